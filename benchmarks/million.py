"""Compare index kinds on a large gallery: seconds to build, memory, recall and milliseconds a query.

    python benchmarks/million.py [--images N] [--values D] [--queries Q] [--directory DIR] [--killed] [KIND ...]

By default 1,000,000 clustered vectors of 128 values, and the kinds auto and ivf-pq with 2,000 MB. Each step runs in a
new process, as a job does, from files to files. `faiss` is FAISS used directly, with the parameters that auto chose;
where they are installed, a table of hnswlib and usearch with 32 links follows. "One row more" and "one fewer" are the
seconds of the workflow's own job, from a feature store with that change to an index that can be searched, without the
start of Python and imports; "FAISS appends" is what FAISS takes to read an index, append a row and write it again.
With --directory, existing vectors and indexes are used again. With --killed, each build is also killed half way and
started again, and continues where a part was kept: the files must then equal those of the first build.
"""

import argparse
import importlib.util
import shutil
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
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json
from cbir.retrieval import exact, index, quality
from cbir.retrieval.indexes import _faiss

OPTIONS: dict[str, dict[str, Any]] = {
    "auto": {"memory_mb": 2000, "ef_construction": 80},
    "hnsw": {"links": 32, "ef_construction": 80},
    "ivf-pq": {"lists": None, "code_bytes": None},
}
LEAST = {"auto": 0.95, "hnsw": 0.95, "ivf-pq": 0.9}
K = 10
_BLOCK = 100_000
_CHANGES = ("one row more", "one fewer", "FAISS appends")


def vectors(count: int, values: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of vectors: 1,000 clusters in 24 dimensions, turned into all values, and a little noise."""
    shape = np.random.default_rng(0)
    centres, turn = shape.normal(size=(1000, 24)), shape.normal(size=(24, values)) / np.sqrt(24)
    random = np.random.default_rng(seed)
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        inner = centres[random.integers(0, len(centres), rows)] + 0.4 * random.normal(size=(rows, 24))
        yield (inner @ turn + 0.02 * random.normal(size=(rows, values))).astype(np.float32)


def make(folder: Path, options: argparse.Namespace) -> None:
    """Write the feature stores."""
    for name, count, seed in (("train", options.images, 1), ("test", options.queries, 2)):
        if not (folder / f"{name}.h5").exists():
            names = [f"{name}/{row}.jpg" for row in range(count)]
            manifest = pd.DataFrame({"image_id": names, "label": 0, "sha256": names})
            blocks = vectors(count, options.values, seed)
            store.write(folder / f"{name}.h5", manifest, blocks, options.values, {"method": "m"})


def make_changed(folder: Path, options: argparse.Namespace) -> None:
    """Write the gallery with one row more, a query, and with one row fewer; both changes are in the first block."""
    row = store.read(folder / "test.h5").features[0]
    for name, count in (("more", options.images + 1), ("fewer", options.images - 1)):
        if not (folder / f"{name}.h5").exists():
            names = [f"{name}/{number}.jpg" for number in range(count)]
            manifest = pd.DataFrame({"image_id": names, "label": 0, "sha256": names})
            first, *others = vectors(options.images, options.values, 1)
            place = len(first) // 2
            first = np.insert(first, place, row, axis=0) if name == "more" else np.delete(first, place, axis=0)
            store.write(folder / f"{name}.h5", manifest, [first, *others], options.values, {"method": "m"})


def build(folder: Path, kind: str) -> None:
    """Build an index, from mapped vectors."""
    index.build(store.read(folder / "train.h5", mapped=True), folder / f"{kind}.json", kind, **OPTIONS[kind])


def more(folder: Path, kind: str) -> None:
    """Do the work of the job `index` after one row was added; print its seconds."""
    _change(folder, kind, "more")


def fewer(folder: Path, kind: str) -> None:
    """Do the work of the job `index` after one row was removed; print its seconds."""
    _change(folder, kind, "fewer")


def _change(folder: Path, kind: str, name: str) -> None:
    own = folder / "changed"
    own.mkdir()
    (own / f"{kind}.faiss").hardlink_to(folder / f"{kind}.faiss")
    shutil.copy(folder / f"{kind}.rows.h5", own)
    _faiss.library()
    began = time.perf_counter()
    gallery = store.read_large(folder / f"{name}.h5", "m")
    index.build(gallery, own / f"{kind}.json", kind, 0.1, **OPTIONS[kind])
    print(time.perf_counter() - began)
    about = read_json(own / f"{kind}.json")
    assert about["added_rows"] + about["removed_rows"] == 1, about
    shutil.rmtree(own)


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


def append(folder: Path, kind: str) -> None:
    """Append a row to an index by FAISS, from file to file; print the seconds of that."""
    library, row = _faiss.library(), store.read(folder / "test.h5").features[:1]
    began = time.perf_counter()
    held = library.read_index(str(folder / f"{kind}.faiss"))
    held.add(np.ascontiguousarray(row))
    library.write_index(held, str(folder / "appended.faiss"))
    print(time.perf_counter() - began)
    (folder / "appended.faiss").unlink()


def peer(folder: Path, name: str) -> None:
    """Build and search by another library; print seconds to build, recall@10 and milliseconds a query."""
    features, queries = (store.read(folder / f"{split}.h5").features for split in ("train", "test"))
    effort, built = read_json(folder / "auto.quality.json")["effort"], OPTIONS["hnsw"]
    began = time.perf_counter()
    if name == "hnswlib":
        import hnswlib

        held = hnswlib.Index(space="l2", dim=features.shape[1])
        held.init_index(len(features), ef_construction=built["ef_construction"], M=built["links"], random_seed=1)
        held.set_num_threads(THREADS)
        held.add_items(features)
        seconds = time.perf_counter() - began
        held.set_ef(max(effort, K))

        def ask(rows: NDArray[np.float32]) -> NDArray[Any]:
            return held.knn_query(rows, K, num_threads=1)[0]
    else:
        from usearch.index import Index

        expansions = {"expansion_add": built["ef_construction"], "expansion_search": max(effort, K)}
        held = Index(ndim=features.shape[1], metric="l2sq", dtype="f32", connectivity=built["links"], **expansions)
        held.add(np.arange(len(features)), features, threads=THREADS)
        seconds = time.perf_counter() - began

        def ask(rows: NDArray[np.float32]) -> NDArray[Any]:
            return held.search(rows, K, threads=1).keys.reshape(len(rows), K)

    nearest = exact.nearest(queries, features, K)[1]
    taken, share = [], []
    for row in range(len(queries)):
        began = time.perf_counter()
        found = ask(queries[row : row + 1])
        taken.append(1000 * (time.perf_counter() - began))
        share.append(len(np.intersect1d(found, nearest[row])) / K)
    print(seconds, np.mean(share), np.median(taken), np.quantile(taken, 0.95))


def killed(folder: Path, kind: str, seconds: float) -> str:
    """Kill a build half way, start it again, and say whether the file is that of the first build."""
    own = folder / "killed"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    (own / "train.h5").symlink_to((folder / "train.h5").absolute())
    with subprocess.Popen(_command("build", own, kind), stdout=subprocess.PIPE) as process:
        try:
            process.wait(seconds / 2)
        except subprocess.TimeoutExpired:
            process.kill()
    left = "a part" if (own / f"{kind}.part").exists() else "nothing"
    assert not (own / f"{kind}.faiss").exists()
    again = _run("build", own, kind)[0]
    same = sha256_file(own / f"{kind}.faiss") == sha256_file(folder / f"{kind}.faiss")
    shutil.rmtree(own)
    equal = "the same bytes" if same else "OTHER BYTES"
    return f"{kind}: killed half way, {left} was left; the next build took {again:,.0f} s, {equal}"


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    rows, lines = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.directory or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make(folder, options)
        make_changed(folder, options)
        for kind in options.kinds or ["auto", "ivf-pq"]:
            if not (folder / f"{kind}.json").exists():
                seconds, processor, mb = _run("build", folder, kind)
                write_json(folder / f"{kind}.built.json", {"seconds": seconds, "processor": processor, "mb": mb})
            made = read_json(folder / f"{kind}.built.json")
            by_hand, *changes = (float(_output(step, folder, kind)[0]) for step in ("faiss", "more", "fewer", "append"))
            if options.killed:
                lines.append(killed(folder, kind, made["seconds"]))
            _run("measure", folder, kind)
            seconds, _, mb = _run("search", folder, kind)
            found = read_json(folder / f"{kind}.quality.json")
            rows.append(
                [
                    f"{kind}: {found['factory']}, {found['parameter']} {found['effort']}",
                    *(f"{value:,.0f}" for value in (made["seconds"], made["processor"], by_hand)),
                    *(f"{value:.1f}" for value in changes),
                    f"{made['mb']:,.0f}",
                    f"{(folder / f'{kind}.faiss').stat().st_size / 1e6:,.0f}",
                    f"{found['recall_at_10']:.3f}",
                    *(f"{found['times'][name]:.2f}" for name in ("median_ms", "p95_ms")),
                    *(f"{value:,.1f}" for value in (seconds, mb)),
                ]
            )
        size = f"{4 * options.images * options.values / 1e6:,.0f} MB"
        print(f"{options.images:,} vectors of {options.values} values ({size}), {options.queries:,} queries")
        print(f"{THREADS} threads\n")
        built = ["seconds to build", "of processors", "FAISS by hand", *_CHANGES, "peak MB", "file MB"]
        searched = ["recall@10", "ms a query", "95 % within"]
        table(["index", *built, *searched, "seconds to first answer", "peak MB then"], rows)
        print("", *lines, "", sep="\n", flush=True)
        if peers := list(_peers(folder)) if (folder / "auto.quality.json").exists() else []:
            table(["library", "seconds to build", "of processors", "peak MB", *searched], peers)


def _peers(folder: Path) -> Iterator[list[str]]:
    for name in ("hnswlib", "usearch"):
        if importlib.util.find_spec(name) is not None:
            *figures, processor, mb = map(float, _output("peer", folder, name))
            seconds, recall, median, most = figures
            sizes = [f"{value:,.0f}" for value in (seconds, processor, mb)]
            yield [name, *sizes, f"{recall:.3f}", f"{median:.2f}", f"{most:.2f}"]


def _command(step: str, folder: Path, kind: str) -> list[str]:
    return [sys.executable, str(Path(__file__).absolute()), "--step", step, "--directory", str(folder), kind]


def _output(step: str, folder: Path, kind: str) -> list[str]:
    return subprocess.run(_command(step, folder, kind), stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def _run(step: str, folder: Path, kind: str) -> tuple[float, float, float]:
    """Run a step in a new process; return its seconds, its processor seconds, and its peak memory in MB."""
    began = time.perf_counter()
    processor, mb = map(float, _output(step, folder, kind)[-2:])
    return time.perf_counter() - began, processor, mb


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--killed", action="store_true")
    parser.add_argument(
        "--step",
        choices=["build", "more", "fewer", "measure", "search", "faiss", "append", "peer"],
        help=argparse.SUPPRESS,
    )
    arguments = parser.parse_args()
    if arguments.step:
        globals()[arguments.step](arguments.directory, arguments.kinds[0])
        print(time.process_time(), peak_mb())
    else:
        main(arguments)
