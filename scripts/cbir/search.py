"""Exact nearest-neighbour search (Euclidean, float64) by blocks of a matrix product.

A matrix product gives many distances fast, but rounds. So it only tells which gallery rows may be the nearest, or in
which order they may stand; wherever its rounding might change the answer, distances from differences decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir import threads

# Bytes of one block of keys.
BLOCK_BYTES = 256_000_000

# Numbers out of range are told by infinite margins; threads do not inherit this setting.
_out_of_range_is_expected = np.errstate(over="ignore", invalid="ignore")

# Gallery rows that are multiplied at once: 21 MB of 1280 float32 values.
_GALLERY_ROWS = 4096

# Gallery rows whose mean stands for that of all.
_SAMPLE = 1024

# Queries whose keys are looked at together: 64 times 8,250 keys stay in a core's cache.
_QUERY_ROWS = 64

# Queries whose whole rankings are yielded at once: 26 MB of order at 50,000 images.
_RANKED_ROWS = 64

# Pairs of a query and a gallery row whose difference is taken at once.
_PAIRS = 128


def rankings(
    queries: ArrayLike, gallery: ArrayLike, block_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Rank the whole gallery for each query, in blocks of queries.

    Args:
        queries: (q, d).
        gallery: (n, d).
        block_bytes: memory for a block's keys and order. Each block reads the whole gallery, so small ones are slow.

    Yields:
        The block's query rows as a slice, and gallery rows (block, n) int64, nearest first; ties by gallery row.
    """
    x, y = np.asarray(queries), np.asarray(gallery)
    rows = block_bytes // (8 * max(len(y), 1))
    ranked = min(max(rows // 4, 1), _RANKED_ROWS)
    for block in _blocks(x, y, np.float64, rows - ranked):
        for part in _slices(len(block.keys), ranked):
            order = np.empty((part.stop - part.start, len(y)), np.int64)

            def fill(rows: slice, block: _Block = block, part: slice = part, order: NDArray[np.int64] = order) -> None:
                for row in range(rows.start, rows.stop):
                    order[row] = _ranking(block, part.start + row, x, y)

            threads.in_blocks(len(order), 1, fill)
            yield slice(block.first + part.start, block.first + part.stop), order


@_out_of_range_is_expected
def _ranking(block: "_Block", row: int, queries: NDArray[Any], gallery: NDArray[Any]) -> NDArray[np.int64]:
    keys = block.keys[row] + block.squares
    order = np.argsort(keys)
    # Keys that are no numbers are near to all.
    near = ~(np.diff(keys[order]) > block.margins[row])
    if near.any():
        # Every run of gallery rows that rounding may have swapped is put in the order of exact distances.
        run = np.concatenate([[0], np.cumsum(~near)])
        inside = np.concatenate([[False], near]) | np.concatenate([near, [False]])
        rows = order[inside]
        distances = _distances(queries, np.full(len(rows), block.first + row), gallery, rows)
        order[inside] = rows[np.lexsort((rows, distances, run[inside]))]
    return order


def nearest(
    queries: ArrayLike, gallery: ArrayLike, k: int, block_bytes: int = BLOCK_BYTES
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the k nearest gallery rows of each query.

    Args:
        queries: (q, d).
        gallery: (n, d).
        k: how many; a smaller gallery gives all its rows.
        block_bytes: memory for a block's keys.

    Returns:
        Distances (q, k) float64 and gallery rows (q, k) int64, nearest first; ties by gallery row.
    """
    x, y = np.asarray(queries), np.asarray(gallery)
    k = min(k, len(y))
    found, places = np.empty((len(x), k)), np.empty((len(x), k), np.int64)
    if k == 0:
        return found, places
    for block in _blocks(x, y, np.float32, block_bytes // (4 * len(y))):

        def fill(rows: slice, block: _Block = block) -> None:
            here = slice(block.first + rows.start, block.first + rows.stop)
            found[here], places[here] = _nearest(block, rows, x, y, k)

        threads.in_blocks(len(block.keys), _QUERY_ROWS, fill)
    return found, places


@_out_of_range_is_expected
def _nearest(
    block: "_Block", rows: slice, queries: NDArray[Any], gallery: NDArray[Any], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    keys = block.keys[rows] + block.squares
    limits = _kth_or_more(keys, k) + block.margins[rows]
    # The next number is no less than the limit, whichever way that was rounded.
    limits = np.nextafter(limits.astype(keys.dtype), np.inf, dtype=keys.dtype)
    # Keys that are no numbers are candidates. One flat search is far faster than np.nonzero in two dimensions.
    row, candidates = np.divmod(np.flatnonzero(~(keys > limits[:, None])), len(gallery))
    distances = _distances(queries, block.first + rows.start + row, gallery, candidates)
    # Candidates come by gallery row, and the sort is stable.
    order = np.lexsort((distances, row))
    best = order[np.searchsorted(row, np.arange(len(keys)))[:, None] + np.arange(k)]
    return distances[best], candidates[best]


def _kth_or_more(keys: NDArray[Any], k: int) -> NDArray[Any]:
    """Return a value for each row of keys (rows, n) that at least k of them do not exceed, close to the k-th smallest.

    The k-th smallest of the minima of groups is one, and far fewer minima than keys are to be partitioned.
    """
    groups = min(keys.shape[1], 256 + 16 * k)
    size = keys.shape[1] // groups
    minima = keys[:, : groups * size].reshape(len(keys), size, groups).min(axis=1)
    return np.partition(minima, k - 1, axis=1)[:, k - 1]


def _distances(
    queries: NDArray[Any], query_rows: NDArray[np.int64], gallery: NDArray[Any], gallery_rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distances of pairs of a query and a gallery row."""
    distances = np.empty(len(gallery_rows))
    for pairs in _slices(len(distances), _PAIRS):
        distances[pairs] = euclidean(queries[query_rows[pairs]], gallery[gallery_rows[pairs]])
    return distances


@dataclass(frozen=True)
class _Block:
    """Keys of a block of queries; ``keys[i] + squares`` orders the gallery as its distances to query i do.

    Attributes:
        first: the block's first query.
        keys: (block, n), -2 times the products of the queries and the gallery.
        squares: (n,), the gallery's squared lengths.
        margins: float64 (block,), sums of a key and a square that are further apart are in the order of `euclidean`.
    """

    first: int
    keys: NDArray[Any]
    squares: NDArray[Any]
    margins: NDArray[np.float64]


def _blocks(queries: NDArray[Any], gallery: NDArray[Any], kind: type[np.floating], step: int) -> Iterator[_Block]:
    """Yield blocks of keys of a floating point kind; the next block is written over the keys of the last.

    The squared distance |x - y|^2 less the query's square, the same for the whole row, is |y|^2 - 2 x.y. Both sides are
    moved to about the gallery's mean first: a large common offset would cancel all digits. The place moved to is one of
    the vectors' own kind, so the distances stay the same.

    A sum of d products is within d u of the sum of their absolute values, which is at most |x||y|, in whatever order it
    is taken (u the unit roundoff; Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). With the
    roundings of x, y, |y|^2 and of the final sum, a key is within u (2 (d + 8) |x||y| + 8 |y|^2) of its true value, and
    a square of `euclidean` within (d + 8) u64 (|x| + |y|)^2 of its own. Where products leave the kind's range, nothing
    is told: the margin is infinite.
    """
    values = gallery.shape[1]
    range_, unit, unit64 = np.finfo(kind), np.finfo(kind).eps / 2, np.finfo(np.float64).eps / 2
    exact = np.result_type(queries, gallery, np.float32)
    sample = gallery[:: len(gallery) // _SAMPLE + 1]
    centre = sample.mean(axis=0, dtype=np.float64).astype(exact) if len(sample) else np.zeros(values, exact)

    def moved(vectors: NDArray[Any]) -> NDArray[Any]:
        return np.subtract(vectors, centre, dtype=np.result_type(exact, kind)).astype(kind, copy=False)

    lengths = np.empty(len(gallery))

    def measure(rows: slice) -> None:
        lengths[rows] = _lengths(moved(gallery[rows]))

    threads.in_blocks(len(gallery), _PAIRS, measure)
    longest = lengths.max(initial=0)
    with np.errstate(over="ignore"):
        squares = np.square(lengths).astype(kind)
    step = min(max(step, 1), len(queries))
    space, part = np.empty((step, len(gallery)), kind), np.empty((min(_GALLERY_ROWS, len(gallery)), values), kind)
    for rows in _slices(len(queries), step):
        x = moved(queries[rows])
        length = _lengths(x)
        key_errors = unit * (2 * (values + 8) * length * longest + 8 * longest**2) + values * float(range_.tiny)
        distance_errors = (values + 8) * unit64 * (length + longest) ** 2
        margins = 2 * (key_errors + distance_errors)
        margins[~((length + longest) ** 2 < range_.max / 4)] = np.inf
        # Twice is a power of two, so it rounds nothing.
        x *= -2
        keys = space[: len(x)]
        with threads.shared() as parts:
            for columns in _slices(len(gallery), _GALLERY_ROWS):
                y = part[: columns.stop - columns.start]

                def fill(rows: slice, y: NDArray[Any] = y, first: int = columns.start) -> None:
                    y[rows] = moved(gallery[first + rows.start : first + rows.stop])

                @_out_of_range_is_expected
                def multiply(rows: slice, y: NDArray[Any] = y, x: NDArray[Any] = x, to: Any = keys[:, columns]) -> None:
                    np.matmul(x[rows], y.T, out=to[rows])

                threads.in_blocks(len(y), _PAIRS, fill, parts=parts)
                threads.in_blocks(len(x), -(-len(x) // parts), multiply, parts=parts)
        yield _Block(rows.start, keys, squares, margins)


def _lengths(vectors: NDArray[Any]) -> NDArray[np.float64]:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))


def _slices(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, max(step, 1)):
        yield slice(start, min(start + step, length))


def euclidean(queries: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distances (n,) float64 from one vector (d,), or n, to each of (n, d), by differences."""
    difference = np.asarray(vectors, np.float64) - np.asarray(queries, np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))
