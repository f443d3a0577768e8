"""Measure calibration, and the detection of queries of unknown categories, with categories hidden from the gallery.

    python benchmarks/novelty.py FOLDER --directory DIR [--method pretrained] [--hidden 5] [--splits 5]
    python benchmarks/novelty.py FOLDER --directory DIR --method finetuned --unseen [--splits 1]

FOLDER holds one sub-folder a category. For each split the workflow makes the features of the method, as in
benchmarks/ablation.py, whose DIR it shares. Then so many categories, drawn by the number of the split, are taken out of
gallery and val. Steps are fitted, curve, score and threshold are learned without them. The test images of the other
categories are known queries, those of the hidden ones unknown ones. The last column is the AUROC of `calibration.json`,
which hides categories from features that were made with them; an encoder that was trained has seen them in both. With
--unseen the encoder, which has the method's name, is trained without the hidden categories in each split.
Figures are the mean over the splits and the standard deviation.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ablation import features
from peers import table

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.evaluation import novelty
from cbir.evaluation.calibration import calibrate, from_data
from cbir.evaluation.choice import choose
from cbir.features import transforms
from cbir.features.store import FeatureStore
from cbir.retrieval import exact

CHAINS: list[tuple[str, list[Any]]] = [
    ("as it is", [{"power": 1}]),
    ("unit length", ["l2"]),
    ("unit length, 64 components", ["l2", {"pca": 64}]),
    ("the same, gallery expanded by 20", ["l2", {"pca": 64}, {"expand": {"neighbours": 20, "which": "gallery"}}]),
    ("the same, gallery and queries expanded by 20", ["l2", {"pca": 64}, {"expand": 20}]),
]


def part(store: FeatureStore, rows: np.ndarray) -> FeatureStore:
    """Return some rows of a store."""
    return FeatureStore(store.features[rows], store.image_id[rows], store.label[rows], store.sha256[rows], store.about)


def derived(steps: list[Any], held: dict[str, FeatureStore], *others: FeatureStore) -> list[FeatureStore]:
    """Return train, val, test and the others, transformed by steps that were fitted on train."""
    train, val = held["train"], held["val"]
    found = choose({"of": "x", "steps": steps}, [train.features], train.label, [val.features], val.label, 3).fitted

    def made(store: FeatureStore, is_gallery: bool) -> FeatureStore:
        rows = transforms.transform(found, [store.features], is_gallery=is_gallery).astype(np.float32)
        return FeatureStore(rows, store.image_id, store.label, store.sha256, store.about)

    return [made(train, True), *(made(store, False) for store in (val, held["test"], *others))]


def figures(steps: list[Any], held: dict[str, FeatureStore], hidden: np.ndarray) -> list[float]:
    """Return calibration error, AUROC, false alarms, detections, and the AUROC by `calibrate` with all categories."""
    known = {name: part(store, ~np.isin(store.label, hidden)) for name, store in held.items()}
    unknown = part(held["test"], np.isin(held["test"].label, hidden))
    train, val, test, new = derived(steps, known, unknown)
    data = calibrate(train, val, test)
    learned = from_data(data, "the calibration")
    ours, theirs = (
        novelty.scores(exact.nearest(store.features, train.features, learned.neighbours)[0], [learned.neighbours])[0]
        for store in (test, new)
    )
    area = novelty.auroc(ours, theirs)
    assert area is not None
    stated = calibrate(*derived(steps, held))["novelty"]["test"]["auroc"]
    error = data["probability"]["reliability"]["expected_calibration_error"]
    return [error, area, (ours > learned.threshold).mean(), (theirs > learned.threshold).mean(), stated]


def main() -> None:
    """Make the features, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--method", default="pretrained")
    parser.add_argument("--hidden", type=int, default=5)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--unseen", action="store_true")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    found = np.empty((len(CHAINS), options.splits, 5))
    for seed in range(options.splits):
        # Labels are the places of the categories in their alphabetical order.
        names = sorted(path.name for path in options.folder.iterdir() if path.is_dir())
        hidden = np.random.default_rng(seed).choice(len(names), options.hidden, replace=False)
        held = features(options, seed, [names[label] for label in hidden] if options.unseen else [])
        for number, (words, steps) in enumerate(CHAINS):
            found[number, seed] = figures(steps, held, hidden)
            print(f"split {seed}, {words}: {found[number, seed].round(4)}", file=sys.stderr)
    rows = [
        [words, *(f"{mean:.3f} ± {spread:.3f}" for mean, spread in zip(row.mean(axis=0), row.std(axis=0), strict=True))]
        for (words, _), row in zip(CHAINS, found, strict=True)
    ]
    print(f"{options.method}, {options.splits} splits, {options.hidden} categories hidden\n")
    table(["steps", "calibration error", "AUROC", "known called new", "unknown called new", "AUROC stated"], rows)


if __name__ == "__main__":
    main()
