"""Print as JSON what each place that shows metrics contains after a tiny evaluation of two methods.

Run it with the library to test and tests/ on PYTHONPATH, and an empty folder as argument.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from cbir.artifacts import evaluation as looks
from cbir.artifacts.found import Found
from cbir.evaluation import comparison
from cbir.evaluation.evaluate import evaluate
from cbir.evaluation.measure import all_metrics, as_text
from cbir.evaluation.validation import retrieval_quality
from cbir.features import store
from cbir.files.errors import InputError
from cbir.files.tables import write_csv, write_json
from cbir.report import plots, training_curve
from cbir.report.sections import REGISTRY as SECTIONS
from cbir.results import Results
from cbir.retrieval import index
from training.made import settings

CATEGORIES = ["category", "fish", "tool"]
GALLERY = {"c0": 0, "c1": 1, "f0": 2, "c2": 4, "f1": 8, "t0": 9, "t1": 16}
# The images of the query's own category are at the ranks
#   c/a 1 2 4    f/b 1 5    f/c 1 4    t/d 1 2    t/e 5 7, and with the other method 1 2.
QUERIES = {"plain": {"c/a": 0.1, "f/b": 2.2, "f/c": 7, "t/d": 15, "t/e": 5}}
QUERIES["other"] = QUERIES["plain"] | {"t/e": 15}
STATISTICS: dict[str, Any] = {"confidence": 0.95, "resamples": 99, "seed": 1}


def features(root: Path, method: str, split: str, images: dict[str, float]) -> store.FeatureStore:
    """Write a feature store of vectors on a line, and return it."""
    path = root / f"features/{method}/{split}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = ["cft".index(name[0]) for name in images]
    manifest = pd.DataFrame({"image_id": list(images), "label": labels, "sha256": "0" * 64})
    vectors = np.array([[place, 0] for place in images.values()], np.float32)
    store.write(path, manifest, [vectors], 2, {"method": method})
    return store.read(path, method)


def refusal(root: Path, key: str) -> str:
    """Return the message of inspect when a metric of the summary is edited to a value out of its range."""
    path = root / "evaluation/plain/summary.json"
    summary = json.loads(path.read_text())
    write_json(path, summary | {key: -7})
    try:
        looks.summary(Results(root), path, {"method": "plain"}, Found())
    except InputError as error:
        return str(error)
    finally:
        write_json(path, summary)
    return ""


def main(root: Path) -> None:
    evaluated = []
    for method, images in QUERIES.items():
        gallery, queries = (
            features(root, method, split, rows) for split, rows in (("train", GALLERY), ("test", images))
        )
        found = evaluate(
            gallery,
            queries,
            CATEGORIES,
            index.over(gallery.features, leafsize=32),
            k=3,
            neighbours=3,
            worst_images=1,
            worst_retrieved=3,
            seed=0,
        )
        folder = root / "evaluation" / method
        folder.mkdir(parents=True)
        write_json(folder / "summary.json", found.summary)
        for name in ("categories", "queries", "confusion"):
            write_csv(folder / f"{name}.csv", getattr(found, name))
        files = [str(folder / name) for name in ("summary.json", "categories.csv", "queries.csv")]
        evaluated.append(comparison.read(method, *files))
    methods = comparison.methods(evaluated, **STATISTICS)
    plots.method_figures(methods, 0.95, root / "methods.svg")
    with patch.object(plots, "save") as save:
        plots.method_figures(methods, 0.95, root / "methods.svg")
        limits = {axes.get_title(): axes.get_xlim() for axes in save.call_args.args[0].axes}
    looks.summary(Results(root), root / "evaluation/plain/summary.json", {"method": "plain"}, Found())
    tests = comparison.pair_tests(evaluated, **STATISTICS)
    tables = {"comparison/methods.csv": methods, "comparison/best_worst.csv": comparison.best_worst(evaluated)}
    tables["comparison/tests.csv"] = tests
    shown = SimpleNamespace(
        config={"evaluation": {"k": 3}, "report": {"study": {}}, "comparison": STATISTICS},
        labelled=True,
        methods=evaluated,
        names={"comparison": ["methods"], "pair": []},
        table=lambda file, *columns: tables[file],
        vector=lambda file: "",
    )

    monitors = [word for word in sys.argv[2:] if settings(monitor=word).monitor == word]
    quality = retrieval_quality(queries.features, queries.label, gallery.features, gallery.label, monitors, k=3)
    history = pd.DataFrame({"epoch": [0], "loss": [1], "active": [1], "spread": [1], **quality, "best": [1]})
    write_csv(root / "history.csv", history)
    training_curve.plot_history(root / "history.csv", root / "training.svg")

    places = {
        "summary": evaluated[0].summary,
        "queries": {name: list(column) for name, column in evaluated[0].queries.items()},
        "methods": {name: list(column) for name, column in methods.items()},
        "pair": comparison.compare(*evaluated, tests, **STATISTICS),
        "picture": (root / "methods.svg").read_text(),
        "limits": limits,
        "report": {row["name"]: row for row in SECTIONS["figures"].gather(shown)["rows"]},
        "report's comparison": SECTIONS["comparison"].gather(shown),
        "terminal": as_text(evaluated[0].summary),
        "inspect": {key: refusal(root, key) for key in all_metrics()},
        "history": quality,
        "curve": (root / "training.svg").read_text(),
    }
    json.dump(places, sys.stdout, default=lambda value: value.item())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
