"""Exact nearest-neighbour search by blocks of a distance matrix (Euclidean, float64)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Bytes of one block of distances and of its sorted order.
BLOCK_BYTES = 256_000_000
_EPS = np.finfo(np.float64).eps


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
    x, y = np.asarray(queries), np.asarray(gallery)
    for rows, keys, margins in _keys(x, y, block_bytes // (40 * max(len(y), 1))):
        order = np.argsort(keys, axis=1)
        gaps = np.diff(np.take_along_axis(keys, order, axis=1), axis=1)
        near = gaps <= margins[:, None]
        for row in np.flatnonzero(near.any(axis=1)):
            _settle(order[row], near[row], x[rows][row], y)
        yield rows, order


def _settle(order: NDArray[np.int64], near: NDArray[np.bool_], query: ArrayLike, gallery: NDArray[Any]) -> None:
    """Put every run of gallery rows that rounding may have swapped in the order of exact distances, in place."""
    run = np.concatenate([[0], np.cumsum(~near)])
    inside = np.concatenate([[False], near]) | np.concatenate([near, [False]])
    rows = order[inside]
    order[inside] = rows[np.lexsort((rows, euclidean(query, gallery[rows]), run[inside]))]


def _keys(
    queries: NDArray[Any], gallery: NDArray[Any], step: int
) -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield blocks of keys (block, n) that order the gallery as its distances do, and how far they may err (block,).

    The key is the squared distance less the query's square, which is the same for the whole row. Both sides are moved
    by the gallery's mean first: a large common offset would cancel all digits. A sum of d products is within d eps of
    the sum of their absolute values, in whatever order it is taken (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 3.1), so two keys further apart than four times that are in their true order.
    """
    centre = gallery.mean(axis=0, dtype=np.float64) if len(gallery) else 0.0
    y = gallery.astype(np.float64) - centre
    squares = np.einsum("ij,ij->i", y, y)
    longest = np.sqrt(squares.max(initial=0))
    for start in range(0, len(queries), max(step, 1)):
        rows = slice(start, min(start + max(step, 1), len(queries)))
        x = queries[rows].astype(np.float64) - centre
        lengths = np.sqrt(np.einsum("ij,ij->i", x, x))
        yield rows, squares - 2 * (x @ y.T), 4 * (y.shape[1] + 8) * _EPS * (lengths + longest) ** 2


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
    x, y = np.asarray(queries), np.asarray(gallery)
    k = min(k, len(y))
    found, places = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    if k == 0:
        return found, places
    for rows, keys, margins in _keys(x, y, block_bytes // (24 * len(y))):
        borders = np.partition(keys, k - 1, axis=1)[:, k - 1] + margins
        for row, near in enumerate(keys <= borders[:, None], start=rows.start):
            candidates = np.flatnonzero(near)
            exact = euclidean(x[row], y[candidates])
            order = np.argsort(exact, kind="stable")[:k]
            found[row], places[row] = exact[order], candidates[order]
    return found, places


def euclidean(query: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distances (n,) float64 from one vector (d,) to each of (n, d), from their differences."""
    difference = np.asarray(vectors, np.float64) - np.asarray(query, np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))
