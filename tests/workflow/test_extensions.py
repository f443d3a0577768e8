"""New entries of registries, one file each, used in a run of the whole workflow.

The same run has an encoder of a preset of keras-hub in a folder.
"""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import extension
import presets
import sharing
import workplace
from workplace import CONFIG, Workplace

REGISTRIES = {
    "features/steps": ("nearest-neighbour", extension.STEP),
    "retrieval/indexes": ("sorted-first", extension.INDEX),
    "feedback/strategies": ("city-block", extension.STRATEGY),
}
SETTINGS = CONFIG | {
    "encoders": CONFIG["encoders"] | {"dinov2": {"architecture": "hub:preset", "weights": "own"}},
    "methods": CONFIG["methods"]
    | {"near": {"transform": "nearest-neighbour", "of": "siamese"}, "dinov2": {"encoder": "dinov2"}},
    "index": {"kind": "sorted-first"},
    "feedback": {
        "folder": "feedback",
        "method": "near",
        "simulation": {"methods": ["near"], "strategies": ["city-block"], "rounds": 1},
    },
}

INSPECT = "import sys; from cbir.artifacts.__main__ import main; sys.exit(main(sys.argv[1:]))"


def path_of(checkout: Path, registry: str) -> Path:
    return checkout / "scripts/cbir" / registry / f"{REGISTRIES[registry][0].replace('-', '_')}.py"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    def fill(root: Path) -> None:
        place = workplace.make(root)
        for registry, (_, text) in REGISTRIES.items():
            path_of(place.checkout, registry).write_text(text)
        place.configure(SETTINGS)
        presets.save("DINOv2", place.folder / "preset")
        (place.folder / "feedback").mkdir()
        refinement = {"query": "sea/1.png", "k": 3, "strategy": "city-block", "rounds": [{"relevant": [0]}]}
        (place.folder / "feedback/mine.json").write_text(json.dumps(refinement))
        done = place.run()
        assert done.status == 0, done.output

    return Workplace(sharing.once(tmp_path_factory, "extensions", fill))


def test_the_whole_workflow_uses_them(extended: Workplace) -> None:
    results = extended.folder / "results"
    assert sorted(path.name for path in (results / "index").iterdir()) == [
        *("dinov2.json", "dinov2.npy", "near.json", "near.npy", "siamese.json", "siamese.npy")
    ]
    gain = pd.read_csv(results / "feedback/simulated/near/gain.csv")
    assert set(gain["strategy"]) == {"city-block"}
    record = json.loads((results / "feedback/mine/rounds.json").read_text())
    assert record["refinement"]["strategy"] == "city-block"
    assert record["rounds"][1]["results"][0]["score"] < 0
    assert "sums the differences from the mean" in (results / "report.html").read_text()


def test_a_preset_of_keras_hub_encodes_the_images(extended: Workplace, tmp_path: Path) -> None:
    place = extended.copy(tmp_path / "place")
    about = json.loads((place.folder / "results/encoders/dinov2.json").read_text())
    assert (about["architecture"], about["dimension"], about["preprocessing"]["size"]) == ("hub:preset", 16, [32, 32])
    with h5py.File(place.folder / "results/features/dinov2/train.h5") as store:
        assert store["features"].shape[1] == 16
        assert len(np.unique(store["features"], axis=0)) > 1
    # If the preset changes, the network is made again.
    (place.folder / "preset/metadata.json").write_text("{}")
    planned = place.run("--dry-run", "--quiet", "host").output
    assert {"weights", "encoder"} <= set(re.findall(r"^(?:local)?rule (\w+):", planned, re.M)), planned


@pytest.mark.parametrize(
    ("registry", "users", "others"),
    [
        ("features/steps", {"fit", "derive"}, {"encode", "assemble", "suspects"}),
        ("retrieval/indexes", {"index", "evaluate"}, {"encode", "assemble", "fit", "derive"}),
        ("feedback/strategies", {"refine", "simulate", "report"}, {"encode", "assemble", "fit", "index", "evaluate"}),
    ],
)
def test_an_edited_entry_reruns_only_its_users(
    extended: Workplace, tmp_path: Path, registry: str, users: set[str], others: set[str]
) -> None:
    place = extended.copy(tmp_path / "place")
    unused = place.checkout / "scripts/cbir" / registry / "unused.py"
    unused.write_text(REGISTRIES[registry][1])
    assert "Nothing to be done" in place.run("--dry-run").output
    path = path_of(place.checkout, registry)
    path.write_text(path.read_text() + "\nEDITED = True\n")
    planned = place.run("--dry-run", "--quiet", "host").output
    rules = {line.split()[1].rstrip(":") for line in planned.splitlines() if line.startswith(("rule ", "localrule "))}
    assert users <= rules, planned
    assert not others & rules, planned


def test_another_kind_of_index_gives_the_same_figures(extended: Workplace, tmp_path: Path) -> None:
    place = extended.copy(tmp_path / "place")
    results = place.folder / "results"
    tables = [results / f"evaluation/{method}/neighbours.csv" for method in ("near", "siamese")]
    before = [path.read_bytes() for path in tables]
    whole = {path.parent.name: json.loads(path.read_text()) for path in results.glob("evaluation/*/summary.json")}
    assert "from exact rankings of the whole gallery" in " ".join((results / "report.html").read_text().split())
    # One method has an approximate index, whose recall is measured. The limit of whole rankings is below the number of
    # gallery images, so that only the first results are ranked, which are all images here.
    index = {"kind": "exact", "methods": {"near": {"kind": "hnsw", "max_changed": 1}}}
    place.configure(SETTINGS | {"index": index, "evaluation": {"exact_rows": 3}})
    done = place.run()
    assert done.status == 0, done.output
    assert (done.rules["index"], done.rules["index_2"], done.rules["index_quality"]) == (2, 1, 1)
    assert [path.read_bytes() for path in tables] == before
    assert sorted(path.name for path in (results / "index").iterdir()) == [
        *("dinov2.json", "near.faiss", "near.json", "near.quality.json", "near.rows.h5", "siamese.json")
    ]
    assert json.loads((results / "index/near.quality.json").read_text())["recall_at_10"] == 1
    for method, kind in {"near": "hnsw", "siamese": "exact", "dinov2": "exact"}.items():
        summary = json.loads((results / f"evaluation/{method}/summary.json").read_text())
        assert (summary["ranked_by"]["kind"], summary["ranked_by"]["recall"]) == (kind, 1)
        assert summary["ranked"] == summary["gallery"] and "map" in summary["cut"] and "accuracy" not in summary["cut"]
        assert {name: summary[name] for name in whole[method]} == whole[method]
    report = " ".join((results / "report.html").read_text().split())
    assert "by its index (hnsw), which found 100.0 % of the nearest" in report
    assert f"MAP@{summary['ranked']}" in report and "exact rankings" not in report
    extension.python(place.checkout, INSPECT, str(results))

    # One image more and one less: the index is kept, and searched together with the new row.
    built = (results / "index/near.faiss").read_bytes()
    train = set(pd.read_csv(results / "splits/train.csv")["image_id"]) - {"sea/1.png"}
    (place.folder / "collection" / max(train)).unlink()
    workplace.photograph(1, 99).save(place.folder / "collection/leaf/new.png")
    done = place.run()
    assert done.status == 0, done.output
    assert (done.rules["index_2"], done.rules["index_quality"], done.rules["report"]) == (1, 1, 1)
    assert (results / "index/near.faiss").read_bytes() == built
    about = json.loads((results / "index/near.json").read_text())
    changed = f"{about['added_rows']} rows were added and {about['removed_rows']} removed since it was built"
    assert f"the index near.faiss is kept: {changed}" in (results / "logs/index/near.log").read_text()
    assert about["removed_rows"] > 0
    assert about["rows"] == about["built_rows"] + about["added_rows"] - about["removed_rows"]
    assert json.loads((results / "index/near.quality.json").read_text())["recall_at_10"] == 1
    assert "Nothing to be done" in place.run("--dry-run").output
    extension.python(place.checkout, INSPECT, str(results))
