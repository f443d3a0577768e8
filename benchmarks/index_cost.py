"""What indexes of very many images take: bytes, machines, hours and milliseconds, with the arithmetic of docs/index.md.

    python benchmarks/index_cost.py [--images N ...] [--values D] [--memory GB]

Rates are arguments; their defaults were measured on 2 cores: encoding by benchmarks/encoding.py, building by
benchmarks/million.py (rows by seconds of processors). Memory is that of a machine which holds a shard of the index; a
fifth of it is left free. Exact search reads all vectors once a query. Shards are built and searched at the same time,
one on each machine.
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from peers import table

from cbir.retrieval.indexes import _faiss

FREE = 0.2


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    rows = []
    room = options.memory * 1e9 * (1 - FREE)
    for images in options.images:
        jobs = math.ceil(images / options.shard)
        encoded = images / options.encoded / 3600 / min(jobs, options.at_once)
        vectors = 4 * images * options.values
        sizes = {
            "exact": (vectors, None),
            f"HNSW{options.links}": (_faiss.hnsw_bytes(images, options.values, options.links), options.graph),
            f"IVF,PQ{options.code}": (_faiss.ivf_pq_bytes(images, options.values, options.code), options.codes),
        }
        for kind, (size, rate) in sizes.items():
            machines = max(math.ceil(size / room), 1)
            built = "" if rate is None else f"{images / rate / options.cores / 3600 / machines:,.2f}"
            query = f"{size / machines / options.read / 1e6:,.0f}" if rate is None else ""
            cells = [f"{images:,}", kind, f"{size / 1e9:,.2f}", str(machines), f"{images / machines / 1e6:,.1f}"]
            rows.append([*cells, built, query, f"{jobs:,}", f"{encoded:,.1f}", f"{vectors / 1e9:,.1f}"])
    machine = f"{options.memory:g} GB of memory and {options.cores} cores a machine"
    print(f"{options.values} values; {machine}, {100 * FREE:g} % of the memory left free\n")
    index = ["index", "GB of the index", "machines", "million images a machine", "hours to build, all at once"]
    table(
        [
            "images",
            *index,
            "ms a query (exact)",
            "jobs of encoding",
            f"hours, {options.at_once} at once",
            "GB of vectors",
        ],
        rows,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10**6, 10**8, 10**9])
    parser.add_argument("--values", type=int, default=128)
    parser.add_argument("--memory", type=float, default=64, help="of a machine, in GB")
    parser.add_argument("--links", type=int, default=32, help="of HNSW")
    parser.add_argument("--code", type=int, default=32, help="bytes a row of IVF-PQ")
    parser.add_argument("--encoded", type=float, default=360, help="images encoded a second")
    parser.add_argument("--shard", type=int, default=250_000, help="images of a job of encoding")
    parser.add_argument("--at-once", type=int, default=25, help="jobs of encoding at the same time")
    parser.add_argument("--cores", type=int, default=16, help="of a machine")
    parser.add_argument("--graph", type=float, default=6000, help="rows a second and core of a graph")
    parser.add_argument("--codes", type=float, default=1000, help="rows a second and core of an inverted file")
    parser.add_argument("--read", type=float, default=10, help="GB of memory read a second")
    main(parser.parse_args())
