"""Exact squared Euclidean distances in float64, the same to the last digit on any number of threads.

A matrix product is the fast way to many distances, but its digits depend on the linear algebra library and its threads.
Here it only picks candidates; every distance returned is a sum of squared differences taken row by row, so a web page
and a batch job that ask the same get the same.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.files import threads

Features = NDArray[np.floating[Any]]
Vector = NDArray[np.float64]

# Rows (or pairs of rows) worked on at once: 64 rows of 1280 float64 values stay in a core's cache.
_BLOCK = 64

# Fewer rows for each thread than this are not worth starting it.
_ROWS_A_THREAD = 1024

# Unit roundoff of float32.
_ROUNDOFF = 2.0**-24


def squared_distances(features: Features, vector: Vector) -> Vector:
    """Return the squared Euclidean distance of every row to one vector.

    Args:
        features: (n, d) float32 or float64.
        vector: (d,) float64.

    Returns:
        float64 (n,), in squared feature units.
    """
    squared = np.empty(len(features))

    def fill(block: slice) -> None:
        squared[block] = _square_sums(features[block] - vector)

    threads.in_blocks(len(features), _BLOCK, fill, _ROWS_A_THREAD)
    return squared


def nearest_squared_distances(features: Features, points: NDArray[np.float64]) -> Vector:
    """Return every row's squared Euclidean distance to the nearest of several points.

    A float32 product |p|^2 - 2 x.p finds the points that may be nearest within its error bound (Higham, "Accuracy and
    Stability of Numerical Algorithms", 2nd edition, section 3.1: d u |x| |p| for a product of d terms); among those the
    exact distances decide.

    Args:
        features: (n, d) float32 or float64.
        points: (m, d) float64, m at least 1.

    Returns:
        float64 (n,), in squared feature units.
    """
    if len(points) == 1:
        return squared_distances(features, points[0])
    lengths = _square_sums(points)
    # Each product errs by at most (d + 4) u |x| |p|, the rounding of x and p included; it counts twice, for two points.
    slack = 4 * (points.shape[1] + 4) * _ROUNDOFF * np.sqrt(lengths.max())
    with np.errstate(over="ignore", invalid="ignore"):
        approximate = lengths - 2 * (features.astype(np.float32, copy=False) @ points.astype(np.float32).T)
        lowest = approximate.min(axis=1)
        limit = lowest + slack * np.sqrt(_square_sums(features))
    # Where float32 overflowed, every point may be nearest.
    limit[~np.isfinite(lowest)] = np.inf
    row, point = np.nonzero(~(approximate > limit[:, None]))
    exact = np.empty(len(row))

    def fill(pairs: slice) -> None:
        exact[pairs] = _square_sums(features[row[pairs]] - points[point[pairs]])

    threads.in_blocks(len(row), _BLOCK, fill, _ROWS_A_THREAD)
    # Rows come sorted, each with at least one point.
    squared: Vector = np.minimum.reduceat(exact, np.searchsorted(row, np.arange(len(features))))
    return squared


def projections(features: Features, direction: Vector) -> Vector:
    """Return every row's scalar product with one vector, float64 (n,); shapes as in ``squared_distances``."""
    products = np.empty(len(features))

    def fill(block: slice) -> None:
        products[block] = np.einsum("ij,j->i", features[block].astype(np.float64), direction)

    threads.in_blocks(len(features), _BLOCK, fill, _ROWS_A_THREAD)
    return products


def _square_sums(rows: NDArray[np.floating[Any]]) -> Vector:
    # einsum sums each row by itself and without the linear algebra library.
    sums: Vector = np.einsum("ij,ij->i", rows, rows)
    return sums
