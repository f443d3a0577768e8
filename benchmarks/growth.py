"""Measure time and peak memory of index, evaluation and search as a collection grows, beside the size of the arrays.

    python benchmarks/growth.py [IMAGES ...]

By default 1,000, 10,000 and 100,000 gallery images of 1,280 values and 1,000 queries. Each stage runs in a process of
its own, as a job does, from files to files.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import pandas as pd
from peers import CATEGORIES, THREADS, VALUES, peak_mb, table, vectors

from cbir.evaluation.evaluate import evaluate
from cbir.features import store
from cbir.retrieval import exact, index

QUERIES, K, LEAFSIZE = 1000, 10, 32


def make(folder: Path, images: int) -> None:
    """Write the feature stores."""
    for name, count, seed in (("train", images, 0), ("test", QUERIES, 1)):
        features, label = vectors(count, seed)
        names = [f"{category}/{row}.jpg" for row, category in enumerate(label)]
        manifest = pd.DataFrame({"image_id": names, "label": label, "sha256": names})
        store.write(folder / f"{name}.h5", manifest, [features], VALUES, {"method": "m"})


def build(folder: Path) -> None:
    index.build(store.read(folder / "train.h5"), folder / "m.pkl", leafsize=LEAFSIZE)


def rank(folder: Path) -> None:
    gallery = store.read(folder / "train.h5")
    evaluate(
        gallery,
        store.read(folder / "test.h5"),
        [str(category) for category in range(CATEGORIES)],
        index.read(folder / "m.pkl", gallery),
        k=3,
        neighbours=K,
        worst_images=5,
        worst_retrieved=3,
        seed=0,
    )


def find(folder: Path) -> None:
    exact.nearest(store.read(folder / "test.h5").features, store.read(folder / "train.h5").features, K)


def nothing(folder: Path) -> None:
    """Do nothing: the memory of a process before it reads anything."""


# Copies of the gallery's values, in bytes a value, that the stage cannot do without: the store's float32, the tree's
# float64, and SciPy's own copy of the tree while it is pickled.
STAGES = {"nothing": (nothing, 0), "index": (build, 4 + 8 + 8), "evaluate": (rank, 4 + 8), "nearest": (find, 4)}


def stage(name: str, folder: Path) -> tuple[float, float]:
    """Run a stage in a new process; return its seconds without imports, and its peak memory in MB."""
    done = subprocess.run([sys.executable, __file__, name, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def main(sizes: list[int]) -> None:
    """Print the table."""
    print(f"{VALUES:,} values, {QUERIES:,} queries, {THREADS} threads; blocks of {exact.BLOCK_BYTES / 1e6:.0f} MB\n")
    rows = []
    for images in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(folder, images)
            for what, (_, bytes_a_value) in STAGES.items():
                seconds, peak = stage(what, folder)
                if what == "nothing":
                    start = peak
                    continue
                arrays = images * VALUES * bytes_a_value / 1e6
                cells = [
                    f"{images:,}",
                    f"{seconds:.1f}",
                    f"{peak:,.0f}",
                    f"{arrays:,.0f}",
                    f"{peak - start - arrays:,.0f}",
                ]
                rows.append([what, *cells])
    rows.sort(key=lambda row: row[0])
    table(["stage", "images", "seconds", "peak MB", "arrays MB", "peak less arrays and start"], rows)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in STAGES:
        began = time.perf_counter()
        STAGES[sys.argv[1]][0](Path(sys.argv[2]))
        spent = time.perf_counter() - began
        print(json.dumps([spent, peak_mb()]))
    else:
        main([int(argument) for argument in sys.argv[1:]] or [1_000, 10_000, 100_000])
