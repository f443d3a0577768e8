from report_run import Run, calibrated


def test_the_error_the_threshold_and_its_rates_are_shown(run: Run) -> None:
    part = run.section("calibration")
    assert "differ by 0.150 on average" in part.text
    assert "mean distance to its 3 nearest images is above 1.250" in part.text
    assert part.one("table").cells() == [
        ["Split", "Known called new", "Hidden called new", "AUROC"],
        ["val (12 known queries, 9 hidden)", "6.2 %", "50.0 %", "0.875"],
        ["test (12 known queries, 9 hidden)", "6.2 %", "50.0 %", "0.750"],
    ]
    assert part.one("img").attrs["src"].startswith("data:image/svg+xml")


def test_too_few_validation_images_are_reported(run: Run) -> None:
    probability, novelty = {"too_few": "Too few results."}, {"too_few": "Too few images."}
    run.json("evaluation/plain/calibration.json", calibrated(probability=probability, novelty=novelty))
    part = run.section("calibration")
    assert "Too few results." in part.text and "Too few images." in part.text
    assert not part.all("img") and not part.all("table")


def test_several_methods_have_the_error_in_their_headings(run: Run) -> None:
    run.methods(one=0.25, two=0.5)
    run.json("evaluation/two/calibration.json", calibrated(probability={"too_few": "Too few results."}))
    # The first heading is that of the section.
    assert [line.text for line in run.section("calibration").all("summary")[1:]] == [
        "one expected calibration error 0.150",
        "two too few validation images",
    ]


def test_a_single_nearest_image(run: Run) -> None:
    data = calibrated()
    data["novelty"]["neighbours"] = 1
    run.json("evaluation/plain/calibration.json", data)
    assert "mean distance to its nearest image is above" in run.section("calibration").text
