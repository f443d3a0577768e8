"""Compare the speed of exact search with FAISS, scikit-learn and a SciPy KD-tree, and of different leaf sizes.

    python benchmarks/search.py

Each finds the 10 nearest of 8,250 images of 1,280 values for 2,750 queries, then whole rankings, on equally many
threads. Trees run only a part of the queries, and times are per query. FAISS is an extra: `make extras`.
"""

import statistics
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from peers import THREADS, VALUES, Measured, Work, measure, table, vectors
from scipy.spatial import KDTree
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.retrieval import exact

GALLERY, QUERIES, K, REPEATS = 8250, 2750, 10, 7
LEAVES, DIMENSIONS = (10, 16, 32, 64, 128), (VALUES, 128, 64)


def data(queries: int) -> tuple[np.ndarray, np.ndarray]:
    """Return queries and gallery."""
    return vectors(queries, 1)[0], vectors(GALLERY, 0)[0]


def this_project(queries: int, k: int) -> Work:
    x, y = data(queries)
    return lambda: exact.nearest(x, y, k)


def flat(queries: int, k: int) -> Work:
    x, y = data(queries)
    index = faiss.IndexFlatL2(VALUES)
    index.add(y)
    return lambda: index.search(x, k)


def scikit_learn(queries: int, k: int, algorithm: str) -> Work:
    x, y = data(queries)
    index = NearestNeighbors(n_neighbors=k, algorithm=algorithm, leaf_size=32, n_jobs=THREADS).fit(y)
    return lambda: index.kneighbors(x)


def tree(queries: int, k: int, leafsize: int) -> Work:
    x, y = data(queries)
    index = KDTree(y, leafsize=leafsize)
    return lambda: index.query(x, k=k, workers=THREADS)


def this_projects_rankings(queries: int) -> Work:
    x, y = data(queries)
    return lambda: [rows for rows, _ in exact.rankings(x, y)]


def show(peers: dict[str, tuple[int, Measured]]) -> None:
    """Print milliseconds a query, and their ratio to this project's; the first peer is this project."""
    times = {name: 1000 * found.seconds / queries for name, (queries, found) in peers.items()}
    base = next(iter(times.values()))
    table(
        ["what", "queries", "ms a query", "times this project's", "peak MB"],
        [
            [name, f"{queries:,}", f"{times[name]:.3f}", f"{times[name] / base:.2f}", f"{found.peak_mb:,.0f}"]
            for name, (queries, found) in peers.items()
        ],
    )


def compare(peers: dict[str, tuple], repeats: int) -> None:
    """Measure peers, whose first argument is how many queries they answer, and print them."""
    found = measure(peers, repeats)
    show({name: (arguments[0], found[name]) for name, (_, arguments) in peers.items()})


def leaves() -> None:
    """Print the KD-tree's milliseconds a query by leaf size and dimension, one thread, the leaf sizes taking turns."""
    y, x = vectors(GALLERY, 0)[0], vectors(60, 1)[0]
    rows = []
    for dimension in DIMENSIONS:
        gallery, queries = y, x
        if dimension < VALUES:
            fitted = PCA(dimension, random_state=0).fit(y)
            gallery, queries = fitted.transform(y), fitted.transform(x)
        trees = {leafsize: KDTree(gallery, leafsize=leafsize) for leafsize in LEAVES}
        times: dict[int, list[float]] = {leafsize: [] for leafsize in LEAVES}
        for _ in range(REPEATS):
            for leafsize, index in trees.items():
                start = time.perf_counter()
                index.query(queries, k=K)
                times[leafsize].append(1000 * (time.perf_counter() - start) / len(queries))
        rows.append([f"{dimension:,}", *(f"{statistics.median(times[leafsize]):.2f}" for leafsize in LEAVES)])
    print(f"\nKD-tree, ms a query of the {K} nearest, one thread, by values and images in a leaf\n")
    table(["values", *map(str, LEAVES)], rows)


def main() -> None:
    """Print the tables."""
    # All candidates must return the same results.
    x, y = data(50)
    distances, rows = exact.nearest(x, y, K)
    tree_distances, tree_rows = KDTree(y).query(x, k=K)
    assert np.array_equal(rows, tree_rows)
    assert np.allclose(distances, tree_distances, rtol=1e-12)
    print(f"{GALLERY:,} images x {VALUES:,} values, {THREADS} threads, medians of {REPEATS}\n\nThe {K} nearest\n")
    compare(
        {
            "this project": (this_project, (QUERIES, K)),
            "FAISS IndexFlatL2": (flat, (QUERIES, K)),
            "scikit-learn brute force": (scikit_learn, (QUERIES, K, "brute")),
            "SciPy KDTree, leaves of 10": (tree, (100, K, 10)),
            "SciPy KDTree, leaves of 32": (tree, (100, K, 32)),
            "scikit-learn KD-tree": (scikit_learn, (100, K, "kd_tree")),
        },
        REPEATS,
    )
    print("Whole rankings\n")
    compare(
        {
            "this project": (this_projects_rankings, (QUERIES,)),
            "scikit-learn brute force": (scikit_learn, (QUERIES, GALLERY, "brute")),
            "SciPy KDTree, leaves of 32": (tree, (50, GALLERY, 32)),
        },
        3,
    )
    leaves()


if __name__ == "__main__":
    main()
