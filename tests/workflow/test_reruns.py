"""Which jobs run again after a change; encoding and training depend on contents only."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.collection.protocols import random
from cbir.features import store
from cbir.files.hashes import sha256_file
from scenes import scene
from workplace import CONFIG, REPOSITORY, Workplace, check_out

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
# The jobs that follow every evaluation.
AFTER_EVALUATION = {"query", "simulate", "plot_evaluation", "plot_simulation", "report"}
# The rules that follow the splits, with the number of jobs of each.
AFTER_SPLIT = {"assemble": 3, "index": 1, "evaluate": 1, "query": 3, "simulate": 1, "report": 1}
AFTER_SPLIT |= {"plot_evaluation": 1, "plot_simulation": 1}


def touch(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.touch()


def changing_picture(path: Path) -> Iterator[str]:
    """Write another picture to ``path`` at each step; yield its hash."""
    random = np.random.default_rng(7)
    while True:
        Image.fromarray(random.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
        yield sha256_file(path)


def splits_with(images: pd.DataFrame) -> dict[str, set[str]]:
    tables = random.split(images[SPLIT_COLUMNS], SHARES | {"seed": 0}, {})
    return {name: set(table["sha256"]) for name, table in tables.items()}


def test_a_whole_run_makes_every_documented_file(finished: Workplace) -> None:
    results = finished.folder / "results"
    expected = ["collection/images.csv", "collection/rejected.csv", "collection/categories.json", "report.html"]
    expected += [f"collection/{name}.csv" for name in ("near_duplicates", "suspects")]
    expected += [f"splits/{name}.csv" for name in SHARES]
    expected += [f"features/siamese/{name}.h5" for name in ("train", "val", "test")]
    expected += ["index/siamese.pkl", "index/siamese.json", "encoders/siamese.keras"]
    for name in ("summary.json", "categories.csv", "queries.csv", "neighbours.csv", "confusion.csv", "confusion.svg"):
        expected.append(f"evaluation/siamese/{name}")
    expected += [f"queries/siamese/{name}" for name in ("best.json", "best.png", "worst.json", "middling.png")]
    assert [name for name in expected if not (results / name).is_file()] == []
    # A picture has a title, because it may be opened alone.
    for name, words in (("confusion", "Confusion matrix of"), ("categories", "Categories with")):
        assert f">{words} siamese<" in (results / f"evaluation/siamese/{name}.svg").read_text(encoding="utf-8")
    gain = (results / "feedback/simulated/siamese/gain.svg").read_text(encoding="utf-8")
    assert ">Simulated feedback with siamese<" in gain
    assert json.loads((results / "evaluation/siamese/summary.json").read_text())["queries"] == 3


def test_nothing_changed(workplace: Workplace) -> None:
    run = workplace.run()
    assert run.status == 0
    assert not run.rules
    assert "Nothing to be done" in run.output


def test_all_files_touched(workplace: Workplace) -> None:
    touch(workplace.root)
    assert not workplace.run().rules


def test_a_fresh_checkout_elsewhere_over_existing_results(workplace: Workplace) -> None:
    shutil.rmtree(workplace.checkout)
    moved = Workplace(workplace.root.with_name("moved"))
    check_out(moved.checkout)
    workplace.folder.rename(moved.folder)
    assert not moved.run().rules


def test_a_comment_edited_in_the_library(workplace: Workplace) -> None:
    for path in (workplace.checkout / "scripts/cbir").rglob("*.py"):
        path.write_text(path.read_text() + "\n# Another comment.\n")
    assert not workplace.run().rules


def test_a_library_function_changed(workplace: Workplace) -> None:
    path = workplace.checkout / "scripts/cbir/retrieval/queries.py"
    path.write_text(path.read_text() + "\n\ndef added() -> int:\n    return 1\n")
    assert set(workplace.run().rules) == {"query", "report"}


def test_k_changed(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"evaluation": {"k": 1}})
    run = workplace.run()
    assert set(run.rules) - {"compare_methods"} == AFTER_EVALUATION | {"evaluate", "configuration"}


def test_the_keys_of_the_configuration_reordered(workplace: Workplace) -> None:
    def backwards(value: object) -> object:
        return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    workplace.configure(backwards(CONFIG))
    assert not workplace.run().rules


def test_one_test_image_replaced(workplace: Workplace) -> None:
    images = pd.read_csv(workplace.folder / "results/collection/images.csv")
    before = splits_with(images)
    row = int(np.flatnonzero(images["sha256"].isin(before["test"]))[0])
    others = {name: kept - {images["sha256"][row]} for name, kept in before.items()}
    for digest in changing_picture(workplace.folder / images["path"][row]):
        images.loc[row, "sha256"] = digest
        after = splits_with(images)
        if digest in after["test"] and all(after[name] - {digest} == others[name] for name in others):
            break
    run = workplace.run()
    collected = {"collect": 1, "near_duplicates": 1, "split": 1, "suspects": 1, "encode": 2}
    assert run.rules == collected | AFTER_SPLIT
    assert encoded(run.output) == 1


def test_one_train_image_added(workplace: Workplace) -> None:
    images = pd.read_csv(workplace.folder / "results/collection/images.csv")
    before = splits_with(images)
    for digest in changing_picture(workplace.folder / "collection/sea/new.png"):
        row = pd.DataFrame([{"image_id": "sea/new.png", "path": "", "category": "sea", "label": 2, "sha256": digest}])
        after = splits_with(pd.concat([images, row]))
        if digest in after["train"] and after["test"] == before["test"]:
            break
    run = workplace.run()
    collected = {"collect": 1, "near_duplicates": 1, "split": 1, "suspects": 1, "encode": 2}
    assert run.rules == collected | AFTER_SPLIT
    assert encoded(run.output) == 1


def test_corrections_are_applied_and_the_verdict_right_reruns_nothing(workplace: Workplace) -> None:
    file, table = workplace.folder / "corrections/folder.csv", "results/collection/images.csv"
    file.parent.mkdir()
    file.write_text("image_id,verdict,category\nsea/1.png,right,\n")
    assert workplace.run(table).rules == {}
    photograph = (workplace.folder / "collection/sea/1.png").read_bytes()
    file.write_text("image_id,verdict,category\nsea/1.png,move,leaf\nsea/2.png,exclude,\n")
    assert workplace.run(table).rules == {"collect": 1}
    images = pd.read_csv(workplace.folder / table).set_index("image_id")["category"]
    assert images["sea/1.png"] == "leaf" and "sea/2.png" not in images
    assert (workplace.folder / "collection/sea/1.png").read_bytes() == photograph


def test_another_split_encodes_nothing(workplace: Workplace) -> None:
    workplace.configure(CONFIG | {"split": {"seed": 1}})
    rules = workplace.run().rules
    assert "assemble" in rules
    assert "encode" not in rules


def test_the_settings_of_one_method_changed(workplace: Workplace) -> None:
    training = {"epochs": 1, "steps_per_epoch": 1, "categories_per_batch": 2, "images_per_category": 2}
    trained = {"architecture": "siamese", "weights": "random", "training": training}
    methods = {"trained": {"encoder": "trained"}, "x": {"transform": "l2", "of": "siamese"}}
    methods["y"] = {"transform": "pca", "of": "siamese", "dimension": 4, "whiten": False}
    settings = CONFIG | {
        "encoders": CONFIG["encoders"] | {"trained": trained},
        "methods": CONFIG["methods"] | methods,
        "comparison": {"pairs": [["siamese", "trained"], ["siamese", "x"], ["x", "y"]]},
    }
    workplace.configure(settings)
    assert workplace.run().status == 0

    # The p-values of all pairs are corrected together, so each pair is compared again.
    compared = {"configuration": 1, "compare_pair": 3, "compare_methods": 1, "report": 1}
    of_one = {"index": 1, "evaluate": 1, "query": 3, "simulate": 1, "plot_evaluation": 1, "plot_simulation": 1}
    settings["methods"]["y"] = {"transform": "pca", "of": "siamese", "dimension": 3, "whiten": False}
    workplace.configure(settings)
    assert workplace.run().rules == compared | of_one | {"fit": 1, "derive": 3}

    # Other first weights: a training that so small a collection leaves at its first weights gives another network.
    trained["seed"] = 1
    workplace.configure(settings)
    again = workplace.run()
    assert again.rules == compared | of_one | {"train": 1, "plot_training": 1, "encode": 2, "assemble": 3}
    notice = re.search(r"This run trains trained \(last time [0-9.]+ s\)\. To keep a trained network", again.output)
    assert notice and notice.start() < again.output.index("rule train")

    # A frozen network is kept if the split changes, but refused if it does not fit its row.
    workplace.configure(settings | {"split": {"seed": 5}})
    assert "rule train:" in workplace.run("--dry-run").output
    trained["freeze"] = True
    workplace.configure(settings | {"split": {"seed": 5}})
    planned = workplace.run("--dry-run").output
    assert "rule train:" not in planned
    assert "rule split:" in planned
    assert "Frozen, so not trained again, whatever has changed: trained." in planned
    trained["size"] = 64
    workplace.configure(settings)
    assert "encoders.trained is frozen, but" in workplace.run("--dry-run").output


def test_another_runtime_encodes_all_images_with_the_same_network(workplace: Workplace) -> None:
    pytest.importorskip("openvino")
    row = CONFIG["encoders"]["siamese"] | {"runtime": "openvino"}
    workplace.configure(CONFIG | {"encoders": CONFIG["encoders"] | {"siamese": row}})
    before = store.read(workplace.folder / "results/features/siamese/test.h5")
    run = workplace.run("results/features/siamese/test.h5")
    assert set(run.rules) == {"encode", "assemble"}
    assert encoded(run.output) == 18
    after = store.read(workplace.folder / "results/features/siamese/test.h5")
    assert after.about["runtime"] == "openvino"
    assert after.about["encoder_fingerprint"] != before.about["encoder_fingerprint"]
    assert 0 < np.abs(after.features - before.features).max() < 1e-4


def test_another_distance_of_near_duplicates(workplace: Workplace) -> None:
    results = workplace.folder / "results/collection"
    picture = scene(0, side=80)
    picture.save(workplace.folder / "collection/sea/a.png")
    picture.save(workplace.folder / "collection/sea/b.jpg", quality=30)
    assert workplace.run().status == 0
    found = pd.read_csv(results / "near_duplicates.csv")
    assert found["image_id"].tolist() == ["sea/a.png", "sea/b.jpg"]
    assert found["split"].nunique() == 1
    # The groups are the same: the jobs after the split run again, and nothing is encoded.
    workplace.configure(CONFIG | {"split": {"near_duplicates": {"distance": 60}}})
    run = workplace.run()
    assert run.rules == {"configuration": 1, "near_duplicates": 1, "split": 1, "suspects": 1} | AFTER_SPLIT
    assert pd.read_csv(results / "near_duplicates.csv").equals(found)
    assert not workplace.run().rules


@pytest.mark.parametrize("rule", ["index", "evaluate"])
def test_until_a_rule_in_an_empty_folder(workplace: Workplace, rule: str) -> None:
    shutil.rmtree(workplace.folder / "results")
    shutil.rmtree(workplace.folder / ".snakemake")
    done = workplace.run("--until", rule)
    assert done.status == 0, done.output
    assert done.rules[rule] == 1
    assert "report" not in done.rules
    assert not workplace.run("--until", rule).rules


def test_input_files_with_braces_in_their_names_and_older_than_the_results(workplace: Workplace) -> None:
    """To Snakemake, words in braces are wildcards, words in angle brackets variables, and old files unchanged."""
    (workplace.folder / "collection").rename(workplace.folder / "{collection}<path>")
    folder = workplace.folder / "{feedback}<path>"
    folder.mkdir()
    outside, judged = workplace.folder / "{outside}<path>.png", folder / "{judged}<path>.png"
    pictures = changing_picture(outside), changing_picture(judged)
    for picture in pictures:
        next(picture)
    content = {"query": judged.name, "rounds": [{"relevant": [0]}]}
    (folder / "red.json").write_text(json.dumps(content))
    settings = CONFIG | {
        "collection": CONFIG["collection"] | {"path": "{collection}<path>"},
        "queries": {"images": [outside.name]},
        "feedback": {"folder": folder.name, "method": "siamese"},
    }
    workplace.configure(settings)
    done = workplace.run()
    assert done.status == 0, done.output
    assert (workplace.folder / "results/feedback/red/rounds.json").is_file()

    for picture, path in zip(pictures, (outside, judged), strict=True):
        next(picture)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    done = workplace.run()
    assert done.rules == {"outside": 2, "encode": 2, "assemble": 2, "query": 1, "refine": 1, "report": 1}
    content["rounds"] = [{"relevant": [1]}]
    (folder / "red.json").write_text(json.dumps(content))
    os.utime(folder / "red.json", (1_000_000_000, 1_000_000_000))
    assert workplace.run().rules == {"refine": 1, "report": 1}

    # Results that are no longer required are removed.
    (folder / "red.json").unlink()
    workplace.configure(settings | {"queries": {"images": []}})
    assert workplace.run().rules == {"configuration": 1, "report": 1}
    results = workplace.folder / "results"
    assert not (results / "feedback/red").exists()
    assert not list(results.rglob("outside-*"))
    assert len(list((results / "queries/siamese").iterdir())) == 6


def encoded(output: str) -> int:
    """Return how many images the encode jobs of a run encoded."""
    return sum(int(count) for count in re.findall(r"INFO (\d+) images encoded", output))


def test_the_checkout_that_is_tested_is_the_repository(finished: Workplace) -> None:
    assert (finished.checkout / "Snakefile").read_text() == (REPOSITORY / "Snakefile").read_text()
