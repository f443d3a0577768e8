"""Measure time and memory of the jobs of a large evaluation, run as by the workflow: index, evaluate and report.

    python benchmarks/large.py [GALLERY QUERIES]

By default 50,000 gallery images and 10,000 queries of 1,280 values, one method. There are no image files, so the report
shows no pictures.
"""

import json
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import pandas as pd
import yaml
from peers import CATEGORIES, THREADS, VALUES, peak_mb, table, vectors

from cbir.collection.columns import (
    HASHES_COLUMNS,
    IMAGE_COLUMNS,
    NEAR_DUPLICATE_COLUMNS,
    NOTE_COLUMNS,
    REJECTED_COLUMNS,
    SPLIT_COLUMNS,
)
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.features import store
from cbir.files.tables import write_csv, write_json, write_text
from cbir.workflow import configuration

REPOSITORY = Path(__file__).parents[1]
METHOD = "pretrained"
NAMES = [f"category{number:02d}" for number in range(CATEGORIES)]
EVALUATION = {
    **{name: f"evaluation/{METHOD}/{name}.json" for name in ("summary", "worst", "calibration")},
    **{name: f"evaluation/{METHOD}/{name}.csv" for name in ("categories", "queries", "neighbours", "confusion", "cmc")},
    **{f"{name}_picture": f"evaluation/{METHOD}/{name}.svg" for name in ("confusion", "categories")},
}
DEFAULTS = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
SETTINGS = configuration.check(
    DEFAULTS
    | {
        "methods": {METHOD: DEFAULTS["methods"][METHOD]},
        "comparison": DEFAULTS["comparison"] | {"pairs": []},
        "feedback": DEFAULTS["feedback"]
        | {"method": METHOD, "simulation": DEFAULTS["feedback"]["simulation"] | {"methods": []}},
    },
    yaml.safe_load((REPOSITORY / "scripts/cbir/workflow/config.schema.yaml").read_text()),
)


def make(counts: dict[str, int]) -> None:
    """Write the inputs of the rule `index`: the collection's tables, the splits and their feature stores."""
    splits = {}
    for seed, (split, count) in enumerate(counts.items()):
        features, label = vectors(count, seed)
        category = [NAMES[number] for number in label]
        names = [f"{name}/{split}{row:06d}.jpg" for row, name in enumerate(category)]
        images = pd.DataFrame({"image_id": names, "path": names, "category": category, "label": label})
        splits[split] = images.assign(sha256=names, width=256, height=256, bytes=10_000)
        store.write(f"features/{METHOD}/{split}.h5", splits[split], [features], VALUES, {"method": METHOD})
        write_csv(f"splits/{split}.csv", splits[split][SPLIT_COLUMNS])
    write_csv("collection/images.csv", pd.concat(splits.values())[IMAGE_COLUMNS])
    numbered = {str(number): name for number, name in enumerate(NAMES)}
    write_json("names.json", {"index_to_category": numbered})
    write_json("encoders/pretrained.json", {"encoder": METHOD, "weights": "imagenet", "dimension": VALUES})
    nothing_found("collection")
    blank_picture(f"evaluation/{METHOD}/calibration.svg")


def nothing_found(folder: str) -> None:
    """Write the tables of a collection without rejected files, notes, doubtful labels and near-duplicates."""
    for name, columns in {
        "rejected": REJECTED_COLUMNS,
        "notes": NOTE_COLUMNS,
        "hashes": HASHES_COLUMNS,
        "near_duplicates": NEAR_DUPLICATE_COLUMNS,
        "suspects": SUSPECT_COLUMNS,
    }.items():
        write_csv(f"{folder}/{name}.csv", pd.DataFrame(columns=columns))


def blank_picture(path: str) -> None:
    """Write an empty picture in place of one that a job would draw for the report."""
    write_text(path, '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>')


def jobs() -> dict[str, dict]:
    """Return each job's inputs, outputs and parameters by its rule, as Snakemake would pass them."""
    index = {"stored": f"index/{METHOD}.pkl", "about": f"index/{METHOD}.json"}
    train, val, test = (f"features/{METHOD}/{split}.h5" for split in ("train", "val", "test"))
    none = ("trained", "simulated", "pair", "comparison", "query", "refinement", "source", "approximate")
    names = {"split": ["train", "test"], "gallery": ["train"], **{name: [] for name in none}}
    names |= {"encoder": [METHOD], "method": [METHOD]}
    params = {"names": names, "config": SETTINGS, "asked": names | {"outside": [], "derived": []}}
    return {
        "index": {
            "input": {"features": train},
            "output": index,
            "params": {"kind": "kdtree", "options": json.dumps({"leafsize": SETTINGS["index"]["leafsize"]})},
        },
        "evaluate": {
            "input": {
                "categories": "names.json",
                "gallery": train,
                "val": val,
                "asking": test,
                "about": index["about"],
            },
            "output": EVALUATION,
            "params": {"settings": json.dumps(SETTINGS["evaluation"])},
        },
        "report": {
            "input": {},
            "output": {"report": "report.html", "configuration": "configuration.json"},
            "params": {name: json.dumps(value) for name, value in params.items()},
        },
    }


class Files(SimpleNamespace):
    """Named files as in a Snakemake job: accessible by attribute, by key and by iteration."""

    def __iter__(self):
        return iter(vars(self).values())

    def __getitem__(self, name):
        return getattr(self, name)

    def get(self, name, default=None):
        return getattr(self, name, default)


def work(rule: str) -> None:
    """Run a job."""
    parts = {name: Files(**values) for name, values in jobs()[rule].items()}
    job = SimpleNamespace(**parts, rule=rule, threads=THREADS, log=[f"{rule}.log"])
    job.wildcards = SimpleNamespace(method=METHOD)
    runpy.run_path(str(REPOSITORY / f"scripts/{rule}.py"), {"snakemake": job}, run_name="__main__")


def main(gallery: int, queries: int) -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for rule in ("make", *jobs()):
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, str(Path(__file__).absolute()), rule, str(gallery), str(queries)],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            rows.append([rule, f"{time.perf_counter() - began:.1f}", f"{float(done.stdout):,.0f}"])
    print(f"{gallery:,} gallery images, {queries:,} queries, {VALUES:,} values; {THREADS} threads\n")
    table(["job", "seconds, start included", "peak MB"], rows[1:])


if __name__ == "__main__":
    if len(sys.argv) == 4:
        if sys.argv[1] == "make":
            make({"train": int(sys.argv[2]), "val": int(sys.argv[3]), "test": int(sys.argv[3])})
        else:
            work(sys.argv[1])
        print(peak_mb())
    else:
        main(*map(int, sys.argv[1:] or (50_000, 10_000)))
