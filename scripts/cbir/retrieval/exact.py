"""Exact Euclidean search and ranking, almost as fast as a matrix product.

A matrix product computes many distances fast, but with rounding errors that depend on the linear algebra library and
its number of threads. Therefore it is used only for bounds: which gallery rows may be among the nearest, and which of
them are too close to each other to be ordered. Those cases are decided by distances computed from differences, in
float64 and row by row, so that the search page and a batch job give bit-identical results.
"""

from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir.files import threads

Features = NDArray[np.floating[Any]]
Vector = NDArray[np.float64]

# Bytes of one block of keys.
BLOCK_BYTES = 256_000_000

# Silences NumPy's warnings: overflow is handled by infinite margins. Threads do not inherit this setting, so every
# function that a thread calls needs it.
_out_of_range_is_expected = np.errstate(over="ignore", invalid="ignore")

# Gallery rows converted and multiplied at once: 21 MB of 1280 float64 values.
_GALLERY_ROWS = 2048

# Gallery rows sampled to estimate the gallery's mean.
_SAMPLE = 1024

# The most query rows multiplied at once. Smaller blocks make slower products. With larger ones the threads multiply at
# the same time and then all wait for the exact step, and allocating a large block costs more than reusing a small one.
_BLOCK_ROWS = 896

# Queries whose keys are compared together: 64 times 8,250 keys fit a core's cache.
_QUERY_ROWS = 64

# Bytes of the rankings yielded at once: small enough for the allocator to reuse the memory after it is freed.
_RANKED_BYTES = 16_000_000

# Queries sorted together: 16 times 8,250 keys fit a core's cache.
_SORTED_ROWS = 16

# Pairs of a query and a gallery row subtracted at once: as float64 they fit a core's cache.
_PAIRS = 32

# Rows (or pairs of rows) whose norms or differences are computed at once: 64 rows of 1280 float64 values fit a core's
# cache.
_LENGTHS = 64

# The fewest rows for which starting a thread pays, where each row needs one norm or difference.
_ROWS_A_THREAD = 1024

# Gallery rows projected at once.
_PROJECTED_ROWS = 1024

_EPSILON = float(np.finfo(np.float64).eps)


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
    keys = Keys(queries, gallery, np.float64)
    row_bytes = 8 * max(len(keys.gallery), 1)
    ranked = max(min(_RANKED_BYTES, block_bytes // 4) // row_bytes, 1)
    rows = min(block_bytes // row_bytes - ranked, _BLOCK_ROWS, len(keys.queries))
    space = np.empty((max(rows, 1), len(keys.gallery)))
    for block in _slices(len(keys.queries), len(space)):
        here = space[: block.stop - block.start]
        x, lengths, margins = keys.prepare(block)

        def fill(columns: slice, here: Any = here, x: Any = x) -> None:
            keys.fill(x, columns, here[:, columns])

        with threads.shared() as parts:
            threads.in_blocks(len(keys.gallery), -(-len(keys.gallery) // parts), fill, parts=parts)
        for part in _slices(len(here), ranked):
            order = np.empty((part.stop - part.start, len(keys.gallery)), np.int64)

            def rank(
                rows: slice,
                first: int = block.start + part.start,
                keys_of: Any = (here[part], lengths[part], margins[part]),
                order: Any = order,
            ) -> None:
                found, lengths, margins = (values[rows] for values in keys_of)
                _rank(keys, first + rows.start, found, lengths, margins, order[rows])

            threads.in_blocks(len(order), _SORTED_ROWS, rank)
            yield slice(block.start + part.start, block.start + part.stop), order


@_out_of_range_is_expected
def _rank(
    keys: "Keys",
    first: int,
    found: NDArray[np.float64],
    lengths: NDArray[np.float64],
    margins: NDArray[np.float64],
    order: NDArray[np.int64],
) -> None:
    """Rank the gallery for a few queries, the first of which is row ``first``.

    Non-negative floating point numbers sort like the integers of the same bits. So the last bits of each key are
    replaced by its gallery row, and sorting the keys sorts the rows: twice as fast as an argsort.

    Args:
        keys: the keys that ``found`` is of.
        first: the row of the first query.
        found: their keys without the gallery's squares, float64 (block, n); overwritten.
        lengths: as `Keys.prepare` returns them.
        margins: likewise.
        order: int64 (block, n), where the gallery rows are written, nearest first.
    """
    bits, longest = found.view(np.uint64), lengths.max()
    # At least the squared distances, so that rounding makes none negative.
    found += keys.squares + (longest**2 + margins.max())
    row_bits = np.uint64((1 << (bits.shape[1] - 1).bit_length()) - 1)
    bits &= ~row_bits
    bits |= np.arange(bits.shape[1], dtype=np.uint64)
    bits.sort(axis=1)
    np.bitwise_and(bits, row_bits, out=order.view(np.uint64))
    gaps = np.diff(found, axis=1)
    # The margin, plus what replacing the last bits may have changed in two keys, plus the rounding of two more sums.
    limits = margins + (2 * float(row_bits) + 5) * np.finfo(np.float64).eps * (longest + keys.longest) ** 2
    # Negated, so that a NaN key counts as too close to its neighbours.
    for row in np.flatnonzero(~(gaps.min(axis=1, initial=np.inf) > limits)):
        _settle(order[row], ~(gaps[row] > limits[row]), partial(keys.distances_of, first + int(row)))


@_out_of_range_is_expected
def order_by_bounds(low: Vector, high: Vector, values: Callable[[NDArray[np.intp]], Vector]) -> NDArray[np.intp]:
    """Sort rows by values of which only bounds are known, smallest first; ties by row.

    Args:
        low: float64 (n,), a lower bound of each value, NaN where there is none. The bounds may be those of any
            increasing function of the values.
        high: float64 (n,), an upper bound, likewise.
        values: computes the exact values, float64, of the rows it is given: only those whose bounds overlap.

    Returns:
        Rows (n,).
    """
    order = np.argsort(low + high)
    # True where every value before a place is below every value after it.
    clear = np.maximum.accumulate(high[order])[:-1] < np.minimum.accumulate(low[order[::-1]])[::-1][1:]
    _settle(order, ~clear, values)
    return order


def _settle(order: NDArray[Any], near: NDArray[np.bool_], values: Callable[[NDArray[Any]], Vector]) -> None:
    """Sort again, by exact values, each run of rows that rounding may have put in the wrong order; ties by row.

    Args:
        order: rows (n,), changed in place.
        near: bool (n - 1,), whether rounding may have swapped a position and the next.
        values: computes the exact values of the rows it is given.
    """
    inside = np.concatenate([[False], near]) | np.concatenate([near, [False]])
    rows = order[inside]
    if rows.size:
        run = np.concatenate([[0], np.cumsum(~near)])
        order[inside] = rows[np.lexsort((rows, values(rows), run[inside]))]


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
    keys = Keys(queries, gallery, np.float32)
    k = min(k, len(keys.gallery))
    found, places = np.empty((len(keys.queries), k)), np.empty((len(keys.queries), k), np.int64)
    if k == 0:
        return found, places

    exact = Lock()

    def fill(rows: slice) -> None:
        block = np.empty((rows.stop - rows.start, len(keys.gallery)), np.float32)
        x, _, margins = keys.prepare(rows)
        keys.fill(x, slice(0, len(keys.gallery)), block)
        parts = [
            part.start * block.shape[1] + _candidates(keys, block[part], margins[part], k)
            for part in _slices(len(block), _QUERY_ROWS)
        ]
        row, candidates = np.divmod(np.concatenate(parts), block.shape[1])
        # This step makes many short NumPy calls. If several threads ran it at once, they would mostly wait for the
        # interpreter lock, so one thread runs it while the others multiply.
        with exact:
            distances = keys.distances(rows.start + row, candidates)
        # Ties stay in gallery order: candidates are in that order, and the sort is stable.
        order = np.lexsort((distances, row))
        best = order[np.searchsorted(row, np.arange(len(block)))[:, None] + np.arange(k)]
        found[rows], places[rows] = distances[best], candidates[best]

    with threads.shared() as parts:
        step = min(block_bytes // (4 * len(keys.gallery) * parts), _BLOCK_ROWS, -(-len(found) // parts))
        threads.in_blocks(len(found), max(step, 1), fill, parts=parts)
    return found, places


@_out_of_range_is_expected
def _candidates(keys: "Keys", found: NDArray[Any], margins: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return the flat positions, in the keys of a few queries, of rows that may be among the k nearest of each."""
    found += keys.squares
    limits = _kth_or_more(found, k) + margins
    # The next larger number, in case the conversion rounded the limit down.
    limits = np.nextafter(limits.astype(found.dtype), np.inf, dtype=found.dtype)
    # Negated, so that NaN keys are candidates. np.flatnonzero is far faster than np.nonzero in two dimensions.
    return np.flatnonzero(~(found > limits[:, None]))


def _kth_or_more(keys: NDArray[Any], k: int) -> NDArray[Any]:
    """Return an upper bound, close to it, of the k-th smallest key in each row of keys (rows, n).

    The bound is the k-th smallest of the minima of groups of keys: partitioning the minima is faster, since there are
    far fewer of them than keys.
    """
    groups = min(keys.shape[1], 256 + 16 * k)
    size = keys.shape[1] // groups
    minima = keys[:, : groups * size].reshape(len(keys), size, groups).min(axis=1)
    return np.partition(minima, k - 1, axis=1)[:, k - 1]


class Keys:
    """Keys -2 x.y that, plus the gallery's squared norms, order the gallery by distance to a query, up to rounding.

    The squared distance |x - y|^2 less |x|^2, which is the same for a query's whole row, is |y|^2 - 2 x.y. If the
    gallery is far from the origin compared with its spread, its approximate mean is subtracted from both sides first:
    a large common offset would cancel all significant digits. That mean is rounded to the vectors' own floating point
    type, so the distances stay the same.

    Error bound: a sum of d products, in any order of summation, differs from its true value by at most d u |x||y|, with
    u the unit roundoff (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). With the rounding
    of x, y, |y|^2 and the final sum, a key differs by at most u (2 (d + 8) |x||y| + 8 |y|^2), and the square of an
    `euclidean` distance by at most (d + 8) u64 (|x| + |y|)^2. Where products overflow, the margin is infinite, and
    exact distances decide.

    Attributes:
        queries: (q, d).
        gallery: (n, d).
        squares: (n,), the gallery's squared norms.
        longest: the largest norm.
    """

    def __init__(self, queries: ArrayLike, gallery: ArrayLike, kind: type[np.floating]) -> None:
        """Measure the gallery; ``kind`` is the floating point type of the keys."""
        self.queries, self.gallery, self._kind = np.asarray(queries), np.asarray(gallery), kind
        exact = np.result_type(self.queries, self.gallery, np.float32)
        self._wide = np.result_type(exact, kind)
        self._centre = self._far_centre(exact)
        lengths = np.empty(len(self.gallery))

        def measure(rows: slice) -> None:
            vectors = self.gallery[rows]
            lengths[rows] = _lengths(vectors if self._centre is None else self._moved(vectors))

        threads.in_blocks(len(lengths), _LENGTHS, measure)
        self.longest = lengths.max(initial=0)
        with np.errstate(over="ignore"):
            self.squares = np.square(lengths).astype(kind)

    @_out_of_range_is_expected
    def prepare(self, rows: slice) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.float64]]:
        """Prepare some queries.

        Returns:
            The argument ``x`` of `fill`; the norms of the centred queries, float64 (rows,); and margins, float64
            (rows,): gallery rows whose keys plus squares differ by more are ordered as by `euclidean`.
        """
        x = self._moved(self.queries[rows])
        lengths = _lengths(x)
        # Exact: multiplying by a power of two does not round.
        x *= -2
        terms, range_, longest = x.shape[1] + 8, np.finfo(self._kind), self.longest
        key_errors = range_.eps / 2 * (2 * terms * lengths * longest + 8 * longest**2) + terms * float(range_.tiny)
        distance_errors = terms * np.finfo(np.float64).eps / 2 * (lengths + longest) ** 2
        margins: NDArray[np.float64] = 2 * (key_errors + distance_errors)
        margins[~((lengths + longest) ** 2 < range_.max / 4)] = np.inf
        return x, lengths, margins

    @_out_of_range_is_expected
    def fill(self, x: NDArray[Any], columns: slice, keys: NDArray[Any]) -> None:
        """Write the keys of prepared queries ``x`` and gallery rows ``columns``, without the squares, to ``keys``."""
        gallery = self.gallery[columns]
        if self._centre is None and gallery.dtype == self._kind:
            np.matmul(x, gallery.T, out=keys)
            return
        space = np.empty((min(_GALLERY_ROWS, len(gallery)), x.shape[1]), self._kind)
        for part in _slices(len(gallery), len(space)):
            np.matmul(x, self._moved(gallery[part], space).T, out=keys[:, part])

    def distances(self, queries: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact distances of pairs of a query and a gallery row."""
        distances = np.empty(len(rows))
        for pairs in _slices(len(distances), _PAIRS):
            distances[pairs] = euclidean(self.queries[queries[pairs]], self.gallery[rows[pairs]])
        return distances

    def distances_of(self, query: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact distances of one query and some gallery rows."""
        return self.distances(np.full(len(rows), query), rows)

    def squared_distances(self, x: NDArray[Any], lengths: Vector, margins: Vector) -> tuple[NDArray[Any], Vector]:
        """Return squared distances (rows, n) of prepared queries, and a bound of their error for each query (rows,)."""
        squares = np.empty((len(x), len(self.gallery)), self._kind)
        self.fill(x, slice(0, len(self.gallery)), squares)
        squares += self.squares
        squares += (lengths**2)[:, None].astype(self._kind)
        # The margin is twice the error of a key; the other term bounds the rounding of the two sums above.
        return squares, margins + 8 * np.finfo(self._kind).eps * (lengths + self.longest) ** 2

    @_out_of_range_is_expected
    def _far_centre(self, kind: np.dtype[Any]) -> NDArray[Any] | None:
        """Return the gallery's approximate mean (d,), or None where its norm is at most the gallery's spread."""
        sample = self.gallery[:: len(self.gallery) // _SAMPLE + 1].astype(np.float64)
        centre = (sample.sum(axis=0) / max(len(sample), 1)).astype(kind)
        near = len(sample) * np.square(centre).sum() <= np.square(sample - centre).sum()
        return None if near else centre

    def _moved(self, vectors: NDArray[Any], space: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return vectors centred and converted to the type of the keys, in a new array unless ``space`` is given."""
        moved = np.empty(vectors.shape, self._kind) if space is None else space[: len(vectors)]
        if self._centre is None:
            np.copyto(moved, vectors, casting="same_kind")
        else:
            np.subtract(vectors, self._centre, out=moved, dtype=self._wide, casting="same_kind")
        return moved


def _lengths(vectors: NDArray[Any]) -> NDArray[np.float64]:
    return np.sqrt(_square_sums(np.asarray(vectors, np.float64)))


def _square_sums(rows: NDArray[np.float64]) -> Vector:
    # einsum sums each row by itself and does not call the linear algebra library, so a row's sum is always the same.
    sums: Vector = np.einsum("ij,ij->i", rows, rows)
    return sums


def _slices(length: int, most: int) -> Iterator[slice]:
    """Yield slices that cover ``length`` in about equal parts of 1 to ``most`` elements."""
    parts = -(-length // max(most, 1))
    for part in range(parts):
        yield slice(length * part // parts, length * (part + 1) // parts)


def euclidean(queries: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return exact Euclidean distances, float64 (n,), of vectors (n, d) from one query (d,) or from n queries (n, d).

    They are computed from differences, not by a matrix product.
    """
    return np.sqrt(_square_sums(np.asarray(vectors, np.float64) - np.asarray(queries, np.float64)))


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

    threads.in_blocks(len(features), _LENGTHS, fill, _ROWS_A_THREAD)
    return squared


@_out_of_range_is_expected
def nearest_squared_distances(features: Features, points: NDArray[np.float64]) -> Vector:
    """Return every row's squared Euclidean distance to the nearest of several points.

    Args:
        features: (n, d) float32 or float64.
        points: (m, d) float64, m at least 1.

    Returns:
        float64 (n,), in squared feature units.
    """
    if len(points) == 1:
        return squared_distances(features, points[0])
    squares, errors = squared_distance_bounds(points, features, np.float32)
    # The next larger number, in case the conversion rounded the limit down.
    limits = np.nextafter((squares.min(axis=0) + 2 * errors.max()).astype(np.float32), np.float32(np.inf))
    # Negated, so that where float32 overflowed every point is a candidate.
    row, point = np.nonzero(~(squares > limits).T)
    exact = np.empty(len(row))

    def fill(pairs: slice) -> None:
        exact[pairs] = _square_sums(features[row[pairs]] - points[point[pairs]])

    threads.in_blocks(len(row), _LENGTHS, fill, _ROWS_A_THREAD)
    # np.nonzero returns sorted rows, and each has at least one point.
    squared: Vector = np.minimum.reduceat(exact, np.searchsorted(row, np.arange(len(features))))
    return squared


@_out_of_range_is_expected
def squared_distance_bounds(
    points: NDArray[np.float64], features: Features, kind: type[np.floating] = np.float64, parts: int = 1
) -> tuple[NDArray[Any], Vector]:
    """Return squared distances from points to a gallery by a matrix product, and bounds of their errors.

    Args:
        points: (m, d).
        features: (n, d), the gallery.
        kind: the product's floating point type.
        parts: how many threads to use. With one, the linear algebra library may use threads of its own.

    Returns:
        Squared distances (m, n) of that type, and float64 (m,), bounds of their difference from `squared_distances`.
        Where a number overflows the type, the distances are infinite or NaN, or the bounds are infinite.
    """
    keys = Keys(points, features, kind)
    squares, errors = np.empty((len(points), len(features)), kind), np.empty(len(points))

    def fill(rows: slice) -> None:
        squares[rows], errors[rows] = keys.squared_distances(*keys.prepare(rows))

    threads.in_blocks(len(points), -(-len(points) // parts), fill, parts=parts)
    return squares, errors


def projections(features: Features, direction: Vector) -> Vector:
    """Return every row's scalar product with one vector, float64 (n,); shapes as in `squared_distances`."""
    products = np.empty(len(features))

    def fill(block: slice) -> None:
        products[block] = np.einsum("ij,j->i", features[block].astype(np.float64), direction)

    threads.in_blocks(len(features), _LENGTHS, fill, _ROWS_A_THREAD)
    return products


def projection_bounds(
    features: Features, directions: NDArray[np.float64], parts: int = 1
) -> tuple[NDArray[np.float64], Vector]:
    """Return scalar products of a gallery with directions by a matrix product, and bounds of their errors.

    Args:
        features: (n, d), the gallery.
        directions: (m, d), each of length 1.
        parts: how many threads to use.

    Returns:
        Products (m, n) float64, and float64 (n,), bounds of their difference from `projections`.
    """
    products, lengths = np.empty((len(directions), len(features))), np.empty(len(features))

    def fill(block: slice) -> None:
        rows = features[block].astype(np.float64)
        np.matmul(directions, rows.T, out=products[:, block])
        lengths[block] = _lengths(rows)

    threads.in_blocks(len(features), _PROJECTED_ROWS, fill, parts=parts)
    # Each of the two sums of d products has an error of at most d u |x|, u being half of epsilon; see `Keys`.
    return products, (features.shape[1] + 8) * _EPSILON * lengths
