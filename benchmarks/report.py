"""Measure the time of writing and of opening the report of 2,000 photographs with four methods.

    python benchmarks/report.py [IMAGES [FOLDER]]

The photographs are smooth noise of 256 x 256 pixels, or those of FOLDER, a folder a category. The features are drawn,
the methods differ in their noise, and each is evaluated as in the workflow. "written" is the report's job, start
included; "opened" is the time until Chromium has laid out the page; the row is left out where there is no Chromium.
"""

import json
import resource
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).absolute().parents[1] / "scripts"))
sys.path.insert(1, str(Path(__file__).absolute().parents[1] / "tests"))

import numpy as np
import pandas as pd
import yaml
from large import Files, blank_picture, nothing_found
from peers import CATEGORIES, THREADS, VALUES, peak_mb, table, vectors

from cbir.collection.columns import (
    IMAGE_COLUMNS,
    SPLIT_COLUMNS,
)
from cbir.features import store
from cbir.files.tables import write_csv, write_json
from cbir.workflow import configuration
from scenes import scene

REPOSITORY = Path(__file__).absolute().parents[1]
# The noise added to vectors as of a network on photographs: few errors, some, and two methods with many.
NOISE = {"finetuned": 1, "pretrained": 2, "combined": 3, "siamese": 6}
SPLITS = {"train": 0.6, "val": 0.2, "test": 0.2}
DEFAULTS = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
CONFIG = DEFAULTS | {
    "methods": {name: {"encoder": "pretrained"} for name in NOISE},
    "comparison": DEFAULTS["comparison"] | {"pairs": []},
    "feedback": DEFAULTS["feedback"]
    | {"method": "pretrained", "simulation": DEFAULTS["feedback"]["simulation"] | {"methods": []}},
}
SETTINGS = configuration.check(
    CONFIG, yaml.safe_load((REPOSITORY / "scripts/cbir/workflow/config.schema.yaml").read_text())
)


def photographs(images: int, folder: str) -> pd.DataFrame:
    """Return paths and categories of the folder's images, or draw some."""
    if folder:
        paths = sorted(path for path in Path(folder).glob("*/*") if path.is_file())
        paths = [paths[place] for place in np.linspace(0, len(paths) - 1, min(images, len(paths))).astype(int)]
    else:
        paths = [Path(f"images/category{number % CATEGORIES:02d}/{number:05d}.jpg") for number in range(images)]
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Forty pictures, each turned and cut in its way: drawing takes longer than what is measured.
            scene(number % 40, 256).rotate(number).save(path, quality=90)
    return pd.DataFrame({"path": list(map(str, paths)), "category": [path.parent.name for path in paths]})


def make(images: int, folder: str) -> None:
    """Write the inputs of the report, except those that `evaluate` writes."""
    rows = photographs(images, folder).sample(frac=1, random_state=0).sort_values("category", kind="stable")
    names = sorted(set(rows["category"]))
    rows["label"] = rows["category"].map({name: number for number, name in enumerate(names)})
    rows["image_id"] = rows["category"] + "/" + rows["path"].map(lambda path: Path(path).name)
    rows["sha256"], rows["width"], rows["height"], rows["bytes"] = rows["image_id"], 256, 256, 10_000
    write_csv("results/collection/images.csv", rows[IMAGE_COLUMNS])
    within = rows.groupby("category").cumcount() / rows.groupby("category")["label"].transform("size")
    centres, _ = vectors(len(names), 0)
    for number, (split, (low, high)) in enumerate({"train": (0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1)}.items()):
        part = rows[(within >= low) & (within < high)].reset_index(drop=True)
        write_csv(f"results/splits/{split}.csv", part[SPLIT_COLUMNS])
        for method, noise in NOISE.items():
            drawn = np.random.default_rng(number).normal(scale=noise, size=(len(part), VALUES))
            features = (centres[part["label"]] + drawn).astype(np.float32)
            store.write(f"results/features/{method}/{split}.h5", part, [features], VALUES, {"method": method})
    numbers = {str(number): name for number, name in enumerate(names)}
    write_json("results/collection/categories.json", {"index_to_category": numbers})
    write_json("results/encoders/pretrained.json", {"encoder": "pretrained", "weights": "random", "dimension": VALUES})
    nothing_found("results/collection")
    for method in NOISE:
        prepare(method)


def prepare(method: str) -> None:
    """Index and evaluate a method."""
    train, val, test = (f"results/features/{method}/{split}.h5" for split in SPLITS)
    about = f"results/index/{method}.json"
    index = {"stored": f"results/index/{method}.pkl", "about": about}
    leafsize = json.dumps({"leafsize": SETTINGS["index"]["leafsize"]})
    job("index", method, {"features": train}, index, {"kind": "kdtree", "options": leafsize})
    folder = f"results/evaluation/{method}"
    files = {name: f"{folder}/{name}.json" for name in ("summary", "worst", "calibration")}
    files |= {name: f"{folder}/{name}.csv" for name in ("categories", "queries", "neighbours", "confusion", "cmc")}
    stores = {"gallery": train, "val": val, "asking": test, "about": about}
    inputs = {"categories": "results/collection/categories.json", **stores}
    blank_picture(f"{folder}/calibration.svg")
    job("evaluate", method, inputs, files, {"settings": json.dumps(SETTINGS["evaluation"])})


def write() -> None:
    """Write the report."""
    none = ("trained", "simulated", "pair", "comparison", "query", "refinement", "source", "approximate")
    names = {"split": list(SPLITS), "gallery": ["train"], **{name: [] for name in none}}
    names |= {"encoder": ["pretrained"], "method": list(NOISE)}
    params = {"names": names, "config": SETTINGS, "asked": names | {"outside": [], "derived": [], "ending": ["pkl"]}}
    output = {"report": "results/report.html"}
    job("report", "", {}, output, {name: json.dumps(value) for name, value in params.items()})


def job(rule: str, method: str, inputs: dict, output: dict, params: dict) -> None:
    parts = {"input": Files(**inputs), "output": Files(**output), "params": Files(**params)}
    run = SimpleNamespace(**parts, rule=rule, threads=1, log=[f"{rule}.log"], wildcards=SimpleNamespace(method=method))
    runpy.run_path(str(REPOSITORY / f"scripts/{rule}.py"), {"snakemake": run}, run_name="__main__")


def opened(report: Path) -> float:
    """Return the seconds until the page is laid out: its load event and a frame after it."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto("about:blank")
        began = time.perf_counter()
        page.goto(report.as_uri())
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        seconds = time.perf_counter() - began
        browser.close()
    return seconds


def main(images: int, folder: str) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, str(Path(__file__).absolute()), str(images), folder]
        subprocess.run([*command, "make"], cwd=place, check=True)
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*command, "write"], cwd=place, stdout=subprocess.PIPE, text=True, check=True)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rows = [["written", f"{seconds:.1f}", f"{processor:.1f}", f"{float(done.stdout):,.0f}"]]
        report = Path(place) / "results/report.html"
        if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
            rows.append(["opened", f"{opened(report):.1f}", "", ""])
        errors = report.read_text(encoding="utf-8").count('<details class="error"')
        megabytes = report.stat().st_size / 10**6
        print(f"{images:,} images, {len(NOISE)} methods, {errors:,} errors; {megabytes:.1f} MB; {THREADS} CPUs\n")
        table(["report", "seconds", "processor", "peak MB"], rows)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        {"make": lambda: make(int(sys.argv[1]), sys.argv[2]), "write": write}[sys.argv[3]]()
        print(peak_mb())
    else:
        main(int((sys.argv[1:] or ["2000"])[0]), str(Path(sys.argv[2]).absolute()) if sys.argv[2:] else "")
