"""Exact nearest-neighbour search by blocks of a distance matrix (Euclidean, float64)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Bytes of one block of distances and of its sorted order.
BLOCK_BYTES = 256_000_000
# Candidates looked at beyond the k asked for.
SPARE = 8


def rankings(
    queries: ArrayLike, gallery: ArrayLike, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Rank the whole gallery for each query, in blocks of queries.

    Args:
        queries: (q, d).
        gallery: (n, d).
        block_bytes: memory for a block's distances and order together.

    Yields:
        The block's query rows as a slice, and gallery rows (block, n) int64, nearest first; ties by gallery row.
    """
    x, y = np.asarray(queries), np.asarray(gallery, np.float64)
    squares = np.einsum("ij,ij->i", y, y)
    step = max(1, block_bytes // (24 * max(len(y), 1)))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        # |x|^2 is the same for the whole row and plays no part in its order.
        keys = squares - 2 * (x[rows].astype(np.float64) @ y.T)
        yield rows, np.argsort(keys, axis=1, kind="stable")


def nearest(
    queries: ArrayLike, gallery: ArrayLike, k: int, block_bytes: int = BLOCK_BYTES
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the k nearest gallery rows of each query.

    Args:
        queries: (q, d).
        gallery: (n, d).
        k: how many; a smaller gallery gives all its rows.
        block_bytes: memory for a block's distances.

    Returns:
        Distances (q, k) float64 and gallery rows (q, k) int64, nearest first; ties by gallery row.
    """
    x, y = np.asarray(queries), np.asarray(gallery, np.float64)
    k = min(k, len(y))
    spare = min(k + SPARE, len(y))
    squares = np.einsum("ij,ij->i", y, y)
    found, places = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    step = max(1, block_bytes // (16 * max(len(y), 1)))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        keys = squares - 2 * (x[rows].astype(np.float64) @ y.T)
        found[rows], places[rows] = refine(x[rows], y, np.argpartition(keys, spare - 1, axis=1)[:, :spare], k)
    return found, places


def refine(
    queries: ArrayLike, gallery: ArrayLike, candidates: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Order candidates by distances computed from the differences, exact to the last bits (0 for identical vectors).

    Args:
        queries: (q, d).
        gallery: (n, d).
        candidates: gallery rows (q, c) that hold the k nearest; `SPARE` more than k make that sure, since rounding in a
            matrix product may swap close ones at the border.
        k: how many to return, at most c.

    Returns:
        Distances (q, k) float64 and gallery rows (q, k) int64, nearest first; ties by gallery row.
    """
    x, y = np.asarray(queries), np.asarray(gallery)
    found, places = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    for row, query in enumerate(x):
        rows = np.sort(candidates[row])
        exact = euclidean(query, y[rows])
        order = np.argsort(exact, kind="stable")[:k]
        found[row], places[row] = exact[order], rows[order]
    return found, places


def euclidean(query: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distances (n,) float64 from one vector (d,) to each of (n, d), from their differences."""
    difference = np.asarray(vectors, np.float64) - np.asarray(query, np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))
