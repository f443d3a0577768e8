"""Compare index kinds on a large gallery: seconds to build, memory, recall and milliseconds a query.

    python benchmarks/million.py [--images N] [--values D] [--queries Q] [--directory DIR] [KIND ...]

By default 1,000,000 clustered vectors of 128 values, and the kinds auto and ivf-pq with 2,000 MB. Each step runs in a
new process, as a job does, from files to files. `faiss` is FAISS used directly, with the parameters that auto chose.
With --directory, existing vectors and indexes are used again.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from peers import THREADS, peak_mb, table

from cbir.features import store
from cbir.files.tables import read_json, write_json
from cbir.retrieval import index, quality
from cbir.retrieval.indexes import _faiss

OPTIONS: dict[str, dict[str, Any]] = {
    "auto": {"memory_mb": 2000, "ef_construction": 80},
    "hnsw": {"links": 32, "ef_construction": 80},
    "ivf-pq": {"lists": None, "code_bytes": None},
}
LEAST = {"auto": 0.95, "hnsw": 0.95, "ivf-pq": 0.9}
K = 10
_BLOCK = 100_000


def vectors(count: int, values: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of vectors: 1,000 clusters in 24 dimensions, turned into all values, and a little noise."""
    shape = np.random.default_rng(0)
    centres, turn = shape.normal(size=(1000, 24)), shape.normal(size=(24, values)) / np.sqrt(24)
    random = np.random.default_rng(seed)
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        inner = centres[random.integers(0, len(centres), rows)] + 0.4 * random.normal(size=(rows, 24))
        yield (inner @ turn + 0.02 * random.normal(size=(rows, values))).astype(np.float32)


def make(folder: Path, asked: argparse.Namespace) -> None:
    """Write the feature stores."""
    for name, count, seed in (("train", asked.images, 1), ("test", asked.queries, 2)):
        if not (folder / f"{name}.h5").exists():
            names = [f"{name}/{row}.jpg" for row in range(count)]
            manifest = pd.DataFrame({"image_id": names, "label": 0, "sha256": names})
            blocks = vectors(count, asked.values, seed)
            store.write(folder / f"{name}.h5", manifest, blocks, asked.values, {"method": "m"})


def build(folder: Path, kind: str) -> None:
    """Build an index, from mapped vectors."""
    index.build(store.read(folder / "train.h5", mapped=True), folder / f"{kind}.json", kind, **OPTIONS[kind])


def measure(folder: Path, kind: str) -> None:
    """Measure an index, and write its recall and times."""
    gallery = store.read(folder / "train.h5", mapped=True)
    held = index.read(folder / f"{kind}.json", gallery)
    queries = store.read(folder / "test.h5")
    found = quality.measure(held, read_json(folder / f"{kind}.json"), queries, K, LEAST[kind], seed=0)
    write_json(folder / f"{kind}.quality.json", found)


def search(folder: Path, kind: str) -> None:
    """Search with one query, as the search page does after its start."""
    gallery = store.read(folder / "train.h5", mapped=True)
    held = index.read(folder / f"{kind}.json", gallery, folder / f"{kind}.quality.json")
    held.search(store.read(folder / "test.h5").features[:1], K)


def faiss(folder: Path, kind: str) -> None:
    """Build the same index by FAISS alone, from vectors in memory, and print the seconds."""
    features = store.read(folder / "train.h5").features
    library = _faiss.library()
    began = time.perf_counter()
    factory = read_json(folder / f"{kind}.json")["factory"]
    plain = library.index_factory(features.shape[1], f"{factory},Flat" if factory.startswith("HNSW") else factory)
    if factory.startswith("HNSW"):
        plain.hnsw.efConstruction = OPTIONS[kind]["ef_construction"]
    plain.train(features)
    plain.add(features)
    print(time.perf_counter() - began)


def main(asked: argparse.Namespace) -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.directory or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, asked)
        for kind in asked.kinds or ["auto", "ivf-pq"]:
            if not (folder / f"{kind}.json").exists():
                seconds, mb = _run("build", folder, kind)
                write_json(folder / f"{kind}.built.json", {"seconds": seconds, "mb": mb})
            made = read_json(folder / f"{kind}.built.json")
            by_hand = float(_output("faiss", folder, kind)[0])
            _run("measure", folder, kind)
            seconds, mb = _run("search", folder, kind)
            found = read_json(folder / f"{kind}.quality.json")
            rows.append(
                [
                    f"{kind}: {found['factory']}, {found['parameter']} {found['effort']}",
                    *(f"{value:,.0f}" for value in (made["seconds"], by_hand, made["mb"])),
                    f"{(folder / f'{kind}.faiss').stat().st_size / 1e6:,.0f}",
                    f"{found['recall_at_10']:.3f}",
                    *(f"{found['times'][name]:.2f}" for name in ("median_ms", "p95_ms")),
                    *(f"{value:,.1f}" for value in (seconds, mb)),
                ]
            )
        print(f"{asked.images:,} vectors of {asked.values} values, {asked.queries:,} queries; {THREADS} threads\n")
    built = ["seconds to build", "FAISS by hand", "peak MB", "file MB"]
    table(["index", *built, "recall@10", "ms a query", "95 % within", "seconds to first answer", "peak MB then"], rows)


def _output(step: str, folder: Path, kind: str) -> list[str]:
    command = [sys.executable, str(Path(__file__).absolute()), "--step", step, "--directory", str(folder), kind]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def _run(step: str, folder: Path, kind: str) -> tuple[float, float]:
    """Run a step in a new process; return its seconds, including the start, and its peak memory in MB."""
    began = time.perf_counter()
    mb = float(_output(step, folder, kind)[-1])
    return time.perf_counter() - began, mb


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--step", choices=["build", "measure", "search", "faiss"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        globals()[arguments.step](arguments.directory, arguments.kinds[0])
        print(peak_mb())
    else:
        main(arguments)
