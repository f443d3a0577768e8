"""Whole runs with split protocols whose test images search each other."""

import json

import h5py
import numpy as np
import pandas as pd

from cbir.artifacts.__main__ import main
from workplace import CONFIG, Workplace, photograph

METHODS = CONFIG["methods"] | {
    "small": {"of": "siamese", "steps": [{"pca": [3, 4]}, {"expand": {"neighbours": 2}}], "choose": "val"}
}


def test_unseen_categories_and_folds(workplace: Workplace) -> None:
    results = workplace.folder / "results"
    for number in range(6):
        path = workplace.folder / f"collection/wood/{number}.png"
        path.parent.mkdir(exist_ok=True)
        photograph(number % 3, 20 + number).save(path)
    split = {"near_duplicates": {"together": False}}
    simulation = {"simulation": {"rounds": 1, "methods": ["small"]}}
    settings = CONFIG | {"methods": METHODS, "queries": {"choose": ["worst"]}, "feedback": simulation}
    workplace.configure(settings | {"split": split | {"protocol": "disjoint"}})
    run = workplace.run()
    assert run.status == 0, run.output
    splits = {name: pd.read_csv(results / f"splits/{name}.csv") for name in ("train", "val", "test")}
    assert {name: len(table) for name, table in splits.items()} == {"train": 10, "val": 2, "test": 12}
    with h5py.File(results / "features/small/test.h5") as store:
        vectors, names = store["features"][:].astype(float), store["image_id"].asstr()[:]
    assert list(names) == list(splits["test"]["image_id"])
    distances = np.sqrt(((vectors[:, None] - vectors) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    found = pd.read_csv(results / "evaluation/small/neighbours.csv")
    nearest = found[found["rank"] == 1].set_index("query")["distance"]
    np.testing.assert_allclose(nearest[names], distances.min(axis=1), rtol=1e-9)
    assert main([str(results)]) == 0

    settings["feedback"] = {"simulation": {"rounds": 1}}
    workplace.configure(settings | {"split": split | {"protocol": "k-fold", "folds": 3}, "methods": CONFIG["methods"]})
    run = workplace.run()
    assert run.status == 0, run.output
    folds = pd.read_csv(results / "evaluation/siamese/folds.csv")
    assert folds["queries"].sum() == 24 and len(folds) == 3
    mean = json.loads((results / "evaluation/siamese/summary.json").read_text())["folds"]["accuracy"]["mean"]
    np.testing.assert_allclose(mean, folds["accuracy"].mean())
    assert "an interval of 95 % confidence" in (results / "report.html").read_text()
    assert main([str(results)]) == 0
