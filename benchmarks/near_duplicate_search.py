"""Measure the time of finding near-duplicates among hashes, compared with FAISS's exact search of binary vectors.

    python benchmarks/near_duplicate_search.py [COUNT ...]

The hashes are random; one image in twenty is a copy of another, up to 40 bits away. FAISS (`make extras`) searches two
of the three ways (as they are, and with one image mirrored), without the second hash and without forming groups.
"""

import sys
import time
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
from peers import peak_mb

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.collection.near_duplicates import groups
from cbir.collection.perceptual import HASH_COLUMNS

DISTANCE = 72


def hashes(count: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return random hashes as the workflow has them and as bytes (count, 32)."""
    random = np.random.default_rng(0)
    packed = {name: random.integers(0, 256, (count, 32), dtype=np.uint8) for name in HASH_COLUMNS}
    copies = random.choice(count, count // 20, replace=False)
    flipped = np.packbits(random.random((len(copies), 256)) < 20 / 256, axis=1)
    for name in HASH_COLUMNS:
        packed[name][copies] = packed[name][random.permutation(copies)] ^ flipped
    table = pd.DataFrame({"sha256": [f"{row:064x}" for row in range(count)]})
    return table.assign(**{name: [row.tobytes().hex() for row in rows] for name, rows in packed.items()}), packed


def main() -> None:
    """Print the table."""
    print("| images | seconds | FAISS's seconds | ratio | largest memory so far, MB |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in map(int, sys.argv[1:] or ["2000", "14000", "100000"]):
        table, packed = hashes(count)
        start = time.perf_counter()
        groups(table, DISTANCE)
        own = time.perf_counter() - start
        memory = peak_mb()
        index = faiss.IndexBinaryFlat(256)
        index.add(packed["phash"])
        start = time.perf_counter()
        for name in ("phash", "phash_mirrored"):
            index.range_search(packed[name], DISTANCE + 1)
        peer = time.perf_counter() - start
        print(f"| {count:,} | {own:.1f} | {peer:.1f} | {own / peer:.2f} | {memory:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
