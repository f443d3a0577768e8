"""Refinements in the real workflow: valid ones become results, invalid ones an error message each."""

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from cbir.features import store
from cbir.feedback import records
from cbir.feedback.refinement import Round
from cbir.feedback.rounds import Search
from cbir.feedback.strategies import Weights
from workplace import CONFIG, Workplace, photograph


def write(path: Path, **value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_refinements(workplace: Workplace) -> None:
    results = workplace.folder / "results"
    folder = workplace.folder / "feedback/folder"
    gallery = store.read(results / "features/siamese/train.h5")
    test = store.read(results / "features/siamese/test.h5")
    query = str(test.image_id[0])
    workplace.configure(CONFIG | {"feedback": {"method": "siamese", "k": 3}})
    rounds = [{"relevant": [1], "irrelevant": [0, str(gallery.image_id[9])]}, {"relevant": [2]}]
    write(folder / "good.json", query=query, rounds=rounds, beta=0.5)
    write(folder / "gallery.json", query=str(gallery.image_id[0]), rounds=[{}], strategy="nearest", k=2)
    write(folder / "outside.json", query="images/dropped.png", rounds=[{"irrelevant": [0]}])
    (folder / "images").mkdir()
    photograph(0, 99).save(folder / "images/dropped.png")
    bad = {
        "unknown.json": ({"rounds": [{"relevant": ["sea/none.png"]}]}, 'rounds[0].relevant[0] is "sea/none.png"'),
        "rank.json": ({"rounds": [{}, {"irrelevant": [3]}]}, "rounds[1].irrelevant[0] is rank 3"),
        "both.json": ({"rounds": [{"relevant": [1], "irrelevant": [1]}]}, "rounds[0] judges"),
        "method.json": ({"method": "magic"}, 'method "magic" is not configured'),
        "leaves.json": ({"query": "../../secret.png"}, 'query "../../secret.png" leaves the folder'),
        "nothing.json": ({"query": "images/none.png"}, 'query "images/none.png" is neither'),
        "broken.json": ({"query": "images/broken.png"}, "images/broken.png cannot be used"),
        "my {file}.json": ({}, "rename it"),
    }
    for name, (changes, _) in bad.items():
        write(folder / name, **{"query": query, "rounds": [{}], **changes})
    (folder / "text.json").write_text("no JSON")
    (folder / "images/broken.png").write_bytes(b"no image")
    (workplace.folder / "secret.png").write_bytes((folder / "images/dropped.png").read_bytes())

    # With --keep-going all errors are reported; without it, a run ends with the first.
    run = workplace.run("--keep-going")
    assert run.status != 0
    assert "Traceback" not in run.output, run.output
    errors = set(re.findall(r"^\d\d:\d\d:\d\d ERROR (.*)$", run.output, re.MULTILINE))
    for name, words in [*((name, words) for name, (_, words) in bad.items()), ("text.json", "not valid JSON")]:
        lines = [line for line in errors if words in line and (name in line or name == "broken.json")]
        assert len(lines) == 1, (name, lines, errors)
    assert len(errors) == len(bad) + 1
    assert run.rules["refine"] == 3
    made = {path.name for path in (results / "feedback").iterdir()}
    assert made == {"good", "gallery", "outside", "simulated"}

    # The results equal those of the library for the same judgements, to the last digit.
    names = ["apple", "leaf", "sea"]
    weights, category = Weights(1, 0.5, 0.15), query.split("/")[0]
    search = Search(records.gallery(gallery, names), test.features[0], 3, "rocchio", weights, query, category)
    expected = [search.start()]
    for judged in rounds:
        expected.append(search.judge(expected[-1], Round(**{key: tuple(items) for key, items in judged.items()})))
    table = pd.read_csv(results / "feedback/good/results.csv")
    assert table["image_id"].tolist() == [image_id for result in expected for image_id in result.image_ids]
    assert table["distance"].tolist() == [distance for result in expected for distance in result.distances]
    record = json.loads((results / "feedback/good/rounds.json").read_text())
    for round, result in zip(record["rounds"], expected, strict=True):
        assert {key: round[key] for key in result.as_json()} == result.as_json()
    with h5py.File(results / "feedback/good/vectors.h5") as file:
        np.testing.assert_array_equal(file["vectors"][:], [result.vector for result in expected])
    assert (results / "feedback/good/refinement.png").stat().st_size > 10_000

    # A query of the gallery is not its own result; without judgements the ranking stays the same.
    table = pd.read_csv(results / "feedback/gallery/results.csv")
    assert str(gallery.image_id[0]) not in set(table["image_id"])
    assert table["image_id"].tolist()[:2] == table["image_id"].tolist()[2:]
    # An image from outside has no category; it is red, so apples are near.
    record = json.loads((results / "feedback/outside/rounds.json").read_text())
    assert record["query"] == "feedback/folder/images/dropped.png"
    assert record["category"] is None and record["rounds"][0]["precision_at_k"] is None

    for name in [*bad, "text.json"]:
        (folder / name).unlink()
    write(folder / "good.json", query=query, rounds=rounds[:1], beta=0.5)
    run = workplace.run()
    assert run.status == 0, run.output
    assert run.rules == {"refine": 1, "report": 1}
    page = (results / "report.html").read_text()
    assert all(f"<bdi>{name}</bdi>" in page for name in ("good", "gallery", "outside"))


def test_the_simulated_user_of_a_whole_run(finished: Workplace) -> None:
    folder = finished.folder / "results/feedback/simulated/siamese"
    table = pd.read_csv(folder / "gain.csv", keep_default_na=False)
    assert set(table["strategy"]) == {"rocchio", "nearest", "linear"}
    assert sorted(set(table["round"])) == [0, 1, 2, 3, 4, 5]
    assert set(table.loc[table["scope"] == "category", "category"]) == {"apple", "leaf", "sea"}
    # A row for each strategy, round and scope: three categories, the worst categories together, and the sample.
    assert len(table) == 3 * 6 * 5
    # There are only three categories, and fewer test images than the size of the sample.
    worst, sample = (table[table["scope"] == scope].drop(columns="scope") for scope in ("worst", "sample"))
    assert (worst.to_numpy() == sample.to_numpy()).all()
    assert worst["queries"].unique().tolist() == [3]
    plain = table[table["round"] == 0]
    assert (plain["residual_anmrr"] == plain["residual_anmrr_plain"]).all()
    summary = json.loads((finished.folder / "results/evaluation/siamese/summary.json").read_text())
    assert plain.loc[plain["scope"] == "worst", "residual_anmrr"].astype(float).tolist() == [summary["anmrr"]] * 3
    example = json.loads((folder / "example.json").read_text())
    assert len(example["rounds"]) == 2
    assert example["category"] == summary["worst_category"]
    assert sum(map(len, example["rounds"][0]["flagged"].values())) == example["refinement"]["k"] == 10
    assert (folder / "example.png").is_file() and (folder / "gain.svg").is_file()
