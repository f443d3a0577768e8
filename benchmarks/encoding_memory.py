"""Measure the peak memory of encoding as the collection grows, without a network: the memory of the pipeline itself.

    python benchmarks/encoding_memory.py

1,000, 10,000 and 100,000 tiny images, each encoded to 1,280 values by a function that costs nothing, in its own
process. What grows is one line for each image: its path and its hash. The features go to the file as they come.
"""

import hashlib
import multiprocessing
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from peers import THREADS, VALUES, peak_mb
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.features.shards import encode_shard

BATCH = 2
COUNTS = (1_000, 10_000, 100_000)


def write(folder: Path, count: int) -> pd.DataFrame:
    """Write ``count`` different images of one pixel; return columns path and sha256."""
    rows = []
    for number in range(count):
        path = folder / f"{number:06d}.bmp"
        Image.new("RGB", (1, 1), (number % 256, number // 256 % 256, number // 65536)).save(path)
        rows.append({"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    return pd.DataFrame(rows)


def measure(count: int) -> tuple[float, float, float]:
    """Return megabytes before the work and at its peak, and of the features."""
    with tempfile.TemporaryDirectory() as name:
        images = write(Path(name), count)
        before = peak_mb()

        def embed(pixels: np.ndarray) -> np.ndarray:
            return np.repeat(pixels[:, :1, 0, 0].astype(np.float32), VALUES, axis=1)

        encode_shard(images, Path(name) / "0.h5", "", VALUES, (224, 224), BATCH, lambda: embed, THREADS)
        peak = peak_mb()
    return before, peak, count * VALUES * 4 / 1e6


def main() -> None:
    """Print the table."""
    print("| images | features, MB | MB before | MB at the peak | more, MB |\n| ---: | ---: | ---: | ---: | ---: |")
    for count in COUNTS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            before, peak, features = pool.apply(measure, [count])
        print(f"| {count:,} | {features:.0f} | {before:.0f} | {peak:.0f} | {peak - before:.0f} |", flush=True)


if __name__ == "__main__":
    main()
