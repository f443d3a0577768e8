import base64

from report_run import Run


def test_a_training_is_described_from_its_first_to_its_best_epoch(run: Run) -> None:
    assert not run.report().all("section", id="training")
    run.train()
    part = run.section("training")
    assert "2 epochs over 1,200 images. The validation ANMRR went from 0.500 before training" in part.text
    assert "before training to 0.250 in epoch 1" in part.text
    assert base64.b64decode(part.one("img").attrs["src"].split(",")[1]) == b"<svg>a training</svg>"


def test_the_monitored_metric_is_shown(run: Run) -> None:
    run.train(monitor="map")
    assert "The validation MAP went from 0.300 before training to 0.600 in epoch 1" in run.section("training").text
