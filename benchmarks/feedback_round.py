"""Measure the time of a round of relevance feedback, compared with a query of a SciPy KD-tree.

    python benchmarks/feedback_round.py

10,000 gallery images of 1,280 values; 20 images judged relevant, 30 irrelevant; each round ranks the whole gallery,
while the tree finds 10 neighbours. The features are random, in 20 clusters and rectified as a network's are.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.feedback.refinement import Round
from cbir.feedback.rounds import Gallery, Search
from cbir.feedback.strategies import REGISTRY, Weights

IMAGES, VALUES, CATEGORIES, REPEATS = 10_000, 1280, 20, 15
K = 50
JUDGED = Round(relevant=tuple(range(20)), irrelevant=tuple(range(20, 50)))


def median_ms(work: Callable[[], object]) -> tuple[float, float]:
    """Return the median wall time and processor time of several runs, in milliseconds."""
    work()
    by_clock, by_processor = [], []
    for _ in range(REPEATS):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        by_clock.append(time.perf_counter() - clock)
        by_processor.append(time.process_time() - processor)
    return 1000 * statistics.median(by_clock), 1000 * statistics.median(by_processor)


def main() -> None:
    """Print the table."""
    random = np.random.default_rng(0)
    label = np.arange(IMAGES) % CATEGORIES
    centres = random.normal(0, 0.5, (CATEGORIES, VALUES))
    features = np.maximum(centres[label] + random.normal(0, 0.5, (IMAGES, VALUES)), 0).astype(np.float32)
    query = np.maximum(centres[0] + random.normal(0, 0.5, VALUES), 0)
    gallery = Gallery(features, [str(row) for row in range(IMAGES)], np.array([str(item) for item in label]))
    tree = KDTree(features)
    rows = {"KD-tree, 10 nearest": median_ms(lambda: tree.query(query, k=10))}
    for name in REGISTRY:
        search = Search(gallery, query, K, name, Weights(1, 0.75, 0.15))
        start = search.start()
        rows[f"round of {name}"] = median_ms(lambda search=search, start=start: search.judge(start, JUDGED))
    base = rows["KD-tree, 10 nearest"][0]
    print(f"{IMAGES:,} images x {VALUES:,} values, medians of {REPEATS}\n")
    print("| what | ms | processor ms | times the KD-tree's |\n| --- | ---: | ---: | ---: |")
    for name, (by_clock, by_processor) in rows.items():
        print(f"| {name} | {by_clock:.1f} | {by_processor:.1f} | {by_clock / base:.1f} |")


if __name__ == "__main__":
    main()
