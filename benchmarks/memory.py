"""What each rule holds in memory for an image of the gallery: the growth of its peak between two sizes.

    python benchmarks/memory.py [--images N N] [--values D] [--blocks ROWS] [STAGE ...]

By default 5,000 and 20,000 images of 128 values; --blocks is the number of rows up to which all are in memory (65,536
otherwise), so that few images show what very many need. Each stage runs in a process of its own, from files to files.
"Held" is memory of the process itself; "peak" also counts pages of mapped files, which the system takes back when it
needs them. Linux only.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import numpy as np
import pandas as pd
from near_duplicate_search import DISTANCE, hashes
from peers import CATEGORIES, table, vectors

from cbir.collection import near_duplicates as duplicates
from cbir.evaluation import calibration, evaluate, suspects
from cbir.evaluation import first as firsts
from cbir.features import blocks, shards, store, transforms
from cbir.retrieval import index

NAMES = [str(category) for category in range(CATEGORIES)]
ASKING = 300
ROWS = {"pca": {"of": "m", "steps": [{"pca": 32}]}, "expand": {"of": "m", "steps": [{"expand": 10}]}}
_KINDS = {
    "kdtree": {"leafsize": 32},
    "hnsw": {"links": 16, "ef_construction": 40},
    "ivf-pq": {"lists": None, "code_bytes": None},
}


def make(folder: Path, images: int, values: int) -> None:
    """Write what the stages read."""
    for split, count, seed in (("train", images, 0), ("val", ASKING, 1), ("test", ASKING, 2)):
        features, label = vectors(count, seed, values)
        digests = [f"{seed}{row:063x}" for row in range(count)]
        names = [f"{category}/{row}.jpg" for row, category in enumerate(label)]
        manifest = pd.DataFrame({"image_id": names, "category": label.astype(str), "label": label, "sha256": digests})
        manifest.to_csv(folder / f"{split}.csv", index=False)
        store.write(folder / f"{split}.h5", manifest, [features], values, {"method": "m"})
        if split == "train":
            shards._write(folder / "shard.h5", digests, [features], "f", values)
    hashes(images)[0].to_csv(folder / "hashes.csv", index=False)


def gallery(folder: Path, split: str = "train") -> store.FeatureStore:
    return store.read_large(folder / f"{split}.h5")


def assemble(folder: Path) -> None:
    manifest = pd.read_csv(folder / "train.csv", dtype={"sha256": str})
    rows = shards.read_rows([folder / "shard.h5"], list(manifest["sha256"]), "f")
    store.write(folder / "assembled.h5", manifest, rows, gallery(folder, "test").features.shape[1], {"method": "m"})


def fit(folder: Path, name: str) -> None:
    read = gallery(folder)
    fitted = transforms.fit(ROWS[name], [read.features])
    about = transforms.about(name, ROWS[name], [read.about])
    transforms.save(folder / f"{name}.h5", fitted, about)


def derive(folder: Path, name: str) -> None:
    if not (folder / f"{name}.h5").exists():
        raise SystemExit(f"derive-{name} follows fit-{name}")
    fitted, read = transforms.read(folder / f"{name}.h5")[0], gallery(folder)
    manifest = pd.DataFrame({"image_id": read.image_id, "label": read.label, "sha256": read.sha256})
    made = transforms.transformed(fitted, [read.features], True)
    values = 32 if name == "pca" else read.features.shape[1]
    store.write(folder / f"{name}-train.h5", manifest, made, values, {"method": name})


def build(folder: Path, kind: str) -> None:
    index.build(gallery(folder), folder / f"{kind}.json", kind, **_KINDS[kind])


def rank(folder: Path, exact_rows: int | None) -> None:
    read = gallery(folder)
    options = {"k": 3, "neighbours": 10, "worst_images": 5, "worst_retrieved": 3, "seed": 0}
    options |= {"exact_rows": exact_rows, "val": gallery(folder, "val")}
    evaluate.evaluate(read, gallery(folder, "test"), NAMES, None, **options)


def calibrate(folder: Path) -> None:
    calibration.calibrate(*(gallery(folder, split) for split in ("train", "val", "test")))


def near_duplicates(folder: Path) -> None:
    duplicates.groups(pd.read_csv(folder / "hashes.csv", dtype=str), DISTANCE)


def doubtful(folder: Path) -> None:
    images = pd.read_csv(folder / "train.csv", dtype={"sha256": str, "category": str})
    unit, start = None, 0
    for block in shards.read_rows([folder / "shard.h5"], list(images["sha256"]), "f"):
        unit = blocks.space(len(images), block.shape[1], np.float32) if unit is None else unit
        unit[start : start + len(block)] = suspects.scaled(block)
        start += len(block)
    assert unit is not None
    suspects.suspects(images, unit, {}, most=firsts.RANKED * 2)


STAGES = {
    "nothing": lambda folder: None,
    "assemble": assemble,
    "fit-pca": lambda folder: fit(folder, "pca"),
    "derive-pca": lambda folder: derive(folder, "pca"),
    "fit-expand": lambda folder: fit(folder, "expand"),
    "derive-expand": lambda folder: derive(folder, "expand"),
    **{f"index-{kind}": lambda folder, kind=kind: build(folder, kind) for kind in _KINDS},
    "evaluate-whole": lambda folder: rank(folder, None),
    "evaluate-first": lambda folder: rank(folder, 1000),
    "calibrate": calibrate,
    "near_duplicates": near_duplicates,
    "suspects": doubtful,
}


@contextmanager
def watched(found: dict[str, float]) -> Iterator[None]:
    """Note the largest size of the process's own memory in MB, looked at a hundred times a second."""
    ended, most = Event(), [0.0]

    def look() -> None:
        while not ended.wait(0.01):
            most[0] = max(most[0], _status("RssAnon"))

    watcher = Thread(target=look)
    watcher.start()
    began = time.perf_counter()
    try:
        yield
    finally:
        found["seconds"] = time.perf_counter() - began
        ended.set()
        watcher.join()
        found |= {"held": max(most[0], _status("RssAnon")), "peak": _status("VmHWM")}


def _status(name: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1e3  # type: ignore[index]


def run(stage: str, folder: Path, rows: int) -> dict[str, float]:
    """Run a stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", stage, "--blocks", str(rows), "--folder", str(folder)]
    words = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return dict(zip(("seconds", "held", "peak"), map(float, words), strict=True))


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    chosen = options.stages or [name for name in STAGES if name != "nothing"]
    found: dict[str, list[dict[str, float]]] = {}
    for images in options.images:
        with tempfile.TemporaryDirectory() as name:
            make(Path(name), images, options.values)
            for stage in ["nothing", *chosen]:
                found.setdefault(stage, []).append(run(stage, Path(name), options.blocks))
    few, many = options.images
    row = 4 * options.values
    rows = []
    for stage in chosen:
        one, other = found[stage]
        growth = [1e6 * (other[key] - one[key]) / (many - few) for key in ("held", "peak")]
        cells = [f"{other['seconds']:.1f}", f"{other['held'] - found['nothing'][1]['held']:,.0f}"]
        rows.append([stage, *cells, f"{growth[0]:,.0f}", f"{growth[0] / row:.1f}", f"{growth[1]:,.0f}"])
    size = f"{options.values} values ({row} bytes)"
    print(f"{few:,} and {many:,} images of {size}; up to {options.blocks:,} rows in memory\n")
    head = [f"seconds of {many:,}", "MB held", "bytes held an image", "times its vector", "bytes of the peak an image"]
    table(["stage", *head], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--images", type=int, nargs=2, default=[5_000, 20_000])
    parser.add_argument("--values", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=2048)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    blocks.IN_MEMORY, blocks._BLOCK = arguments.blocks, min(arguments.blocks, blocks._BLOCK)
    if arguments.stage:
        measured: dict[str, float] = {}
        with watched(measured):
            STAGES[arguments.stage](arguments.folder)
        print(measured["seconds"], measured["held"], measured["peak"])
    else:
        main(arguments)
