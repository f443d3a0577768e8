"""Measure the effect of each step of a chain, on several splits and, with a trained encoder, several trainings.

    python benchmarks/ablation.py FOLDER --directory DIR
    python benchmarks/ablation.py FOLDER --directory DIR --method finetuned

FOLDER holds one sub-folder a category. For each split the workflow makes the features of the method, with
configs/cpu.yaml; an encoder that is trained is trained for each split anew. DIR keeps the features of each split, and a
later call goes on. Lists of values are chosen on val. Figures are those of the test images: the mean over the splits
and the standard deviation. A row is compared with the one that is named beside it, by the t-test for repeated random
splits that accounts for their overlap (Nadeau and Bengio, "Inference for the generalization error", Machine Learning
52, 2003).
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from peers import table
from repeated import snakemake
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.evaluation import measure
from cbir.evaluation.choice import choose
from cbir.evaluation.validation import retrieval_quality
from cbir.features import store, transforms

METRICS = ("accuracy", "anmrr", "map")
K = 3
COMPONENTS: dict[str, Any] = {"dimension": [64, 128]}
WHITENED = COMPONENTS | {"whiten": [0.3, 0.5]}
NEIGHBOURS = [10, 20]
# Words, steps, and the row that it is compared with.
CHAINS: list[tuple[str, list[Any], int | None]] = [
    ("as it is", [{"power": 1}], None),
    ("unit length", ["l2"], 0),
    ("unit length, components, unit length", ["l2", {"pca": COMPONENTS}, "l2"], 1),
    ("the same, whitened in part", ["l2", {"pca": WHITENED}, "l2"], 2),
    ("unit length, expanded", ["l2", {"expand": NEIGHBOURS}], 1),
    ("components, expanded", ["l2", {"pca": COMPONENTS}, {"expand": NEIGHBOURS}], 4),
    (
        "whitened in part, the gallery expanded",
        ["l2", {"pca": WHITENED}, {"expand": {"neighbours": NEIGHBOURS, "which": "gallery"}}],
        3,
    ),
    ("whitened in part, gallery and queries expanded", ["l2", {"pca": WHITENED}, {"expand": NEIGHBOURS}], 5),
]


def features(options: argparse.Namespace, seed: int, hidden: Sequence[str] = ()) -> dict[str, store.FeatureStore]:
    """Return the method's features of one split by the name of train, val and test.

    Args:
        options: folder, directory and method.
        seed: of the split.
        hidden: categories without which the encoder, which has the method's name, is trained before.
    """
    kept = options.directory / ("unseen" if hidden else "ablation") / options.method / str(seed)
    if not (kept / "test.h5").exists():
        results, network = options.directory.resolve(), f"results/encoders/{options.method}.keras"
        made = [f"results/features/{options.method}/{split}.h5" for split in ("train", "val", "test")]
        collection = {"source": "folder", "path": str(options.folder.resolve())}
        settings = {"collection": collection, "split": {"seed": seed}}
        runs: list[tuple[dict[str, Any], list[str]]] = [(settings, made)]
        if hidden:
            (results / network).unlink(missing_ok=True)
            without = {"collection": collection | {"exclude": [f"/{name}/" for name in hidden]}}
            frozen = {"encoders": {options.method: {"freeze": True}}}
            runs = [(settings | without, [network]), (settings | frozen, made)]
        for number, (changes, targets) in enumerate(runs):
            added = results / f"features-{number}.yaml"
            added.write_text(yaml.safe_dump(changes))
            snakemake(results, ["configs/cpu.yaml", str(added)], [], targets)
        kept.mkdir(parents=True, exist_ok=True)
        for name in made:
            shutil.copy(results / name, kept)
    return {split: store.read(kept / f"{split}.h5", options.method) for split in ("train", "val", "test")}


def figures(steps: list[Any], held: dict[str, store.FeatureStore]) -> tuple[list[float], str]:
    """Return the metrics of one chain on the test images of a split, and the values that val chose."""
    train, val, test = held["train"], held["val"], held["test"]
    found = choose({"of": "x", "steps": steps}, [train.features], train.label, [val.features], val.label, K)
    gallery = transforms.transform(found.fitted, [train.features], is_gallery=True)
    queries = transforms.transform(found.fitted, [test.features])
    values = retrieval_quality(queries, test.label, gallery, train.label, METRICS, K)
    chosen = "; ".join(_short(step) for step in found.tried[found.best]["steps"])
    return [values[measure.key(name)] for name in METRICS], chosen


def _short(step: dict[str, Any]) -> str:
    [value] = step.values()
    return " ".join(str(item) for item in (value.values() if isinstance(value, dict) else [value]))


def p_value(differences: np.ndarray, test: int, train: int) -> float:
    """Return the two-sided p-value of the mean of differences (splits,), see the module."""
    variance = differences.var(ddof=1) * (1 / len(differences) + test / train)
    if variance == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    return float(2 * stats.t.sf(abs(differences.mean()) / np.sqrt(variance), len(differences) - 1))


def main() -> None:
    """Make the features, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--method", default="pretrained")
    parser.add_argument("--splits", type=int, default=5)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    found = np.empty((len(CHAINS), options.splits, len(METRICS)))
    chosen: list[list[str]] = [[] for _ in CHAINS]
    for seed in range(options.splits):
        held = features(options, seed)
        sizes = len(held["test"].features), len(held["train"].features)
        for number, (_, steps, _) in enumerate(CHAINS):
            found[number, seed], values = figures(steps, held)
            chosen[number].append(values)
            print(f"split {seed}, {CHAINS[number][0]}: {found[number, seed].round(4)} {values}", file=sys.stderr)
    rows = []
    for number, (words, _, other) in enumerate(CHAINS):
        cells = [
            f"{mean:.3f} ± {deviation:.3f}"
            for mean, deviation in zip(found[number].mean(axis=0), found[number].std(axis=0, ddof=1), strict=True)
        ]
        if other is None:
            cells += ["", ""]
        else:
            differences = found[number] - found[other]
            cells.append(f"{differences[:, 1].mean():+.3f} to row {other + 1}")
            cells.append(" ".join(f"{p_value(differences[:, column], *sizes):.3f}" for column in range(len(METRICS))))
        rows.append([f"{number + 1}. {words}", *cells, ", ".join(sorted(set(filter(None, chosen[number]))))])
    print(f"{options.method}, {options.splits} splits\n")
    head = ["steps", "accuracy", "ANMRR", "MAP", "ANMRR", "p: accuracy, ANMRR, MAP", "chosen"]
    table(head, rows)


if __name__ == "__main__":
    main()
