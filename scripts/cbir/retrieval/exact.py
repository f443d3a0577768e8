"""Exact Euclidean distances, and searches and rankings by them, with the speed of a matrix product.

A matrix product gives many distances fast, but rounds, and its digits depend on the linear algebra library and its
threads. So it only gives bounds: which gallery rows may be the nearest, or in which orders they may be. Wherever
rounding might change the answer, distances from differences decide, in float64 and row by row, so that a web page and a
batch job get the same to the last digit.
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

# Overflow is handled by infinite margins, so NumPy need not warn. Threads do not inherit this setting.
_out_of_range_is_expected = np.errstate(over="ignore", invalid="ignore")

# Gallery rows that are multiplied at once, where they must be converted first: 21 MB of 1280 float64 values.
_GALLERY_ROWS = 2048

# Gallery rows whose mean is taken as an estimate of the mean of all.
_SAMPLE = 1024

# Query rows that are multiplied at once, at most. With fewer, products are slower; with more, no thread settles its
# candidates while others multiply, and much new memory takes longer than little that is used again.
_BLOCK_ROWS = 896

# Queries whose keys are looked at together: 64 times 8,250 keys stay in a core's cache.
_QUERY_ROWS = 64

# Bytes of whole rankings that are yielded at once; memory of this size is reused when it is freed.
_RANKED_BYTES = 16_000_000

# Queries that are sorted together: 16 times 8,250 keys stay in a core's cache.
_SORTED_ROWS = 16

# Pairs of a query and a gallery row whose difference is taken at once: as float64 they stay in a core's cache.
_PAIRS = 32

# Rows (or pairs of rows) whose length or difference is taken at once: 64 rows of 1280 float64 values stay in a core's
# cache.
_LENGTHS = 64

# A thread is worth starting for at least so many rows, where each needs one length or difference.
_ROWS_A_THREAD = 1024

# Gallery rows that are projected at once.
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
    """Write the rankings of a few queries from ``first`` on into ``order``, from their keys, which it overwrites.

    Non-negative numbers are in the order of their bits, so each one's last bits are replaced by its gallery row, and
    sorting the numbers sorts the rows: twice as fast as sorting rows by their numbers.
    """
    bits, longest = found.view(np.uint64), lengths.max()
    # Squared distances and more, so that no rounding makes one negative.
    found += keys.squares + (longest**2 + margins.max())
    row_bits = np.uint64((1 << (bits.shape[1] - 1).bit_length()) - 1)
    bits &= ~row_bits
    bits |= np.arange(bits.shape[1], dtype=np.uint64)
    bits.sort(axis=1)
    np.bitwise_and(bits, row_bits, out=order.view(np.uint64))
    gaps = np.diff(found, axis=1)
    # The bits that two keys lost, the row numbers that replaced them, and two more roundings of both.
    limits = margins + (2 * float(row_bits) + 5) * np.finfo(np.float64).eps * (longest + keys.longest) ** 2
    # A NaN key may be near any other.
    for row in np.flatnonzero(~(gaps.min(axis=1, initial=np.inf) > limits)):
        _settle(order[row], ~(gaps[row] > limits[row]), partial(keys.distances_of, first + int(row)))


@_out_of_range_is_expected
def order_by_bounds(low: Vector, high: Vector, values: Callable[[NDArray[np.intp]], Vector]) -> NDArray[np.intp]:
    """Return the order of values of which bounds are known, smallest first; ties by row.

    Args:
        low: float64 (n,), what no value is below; no number where nothing is known. Any increasing function of the
            values may be bounded instead.
        high: the same from above.
        values: returns the values of some rows, float64. It is asked only for rows whose bounds overlap.
    """
    order = np.argsort(low + high)
    # True where every value before a place is below every value after it.
    clear = np.maximum.accumulate(high[order])[:-1] < np.minimum.accumulate(low[order[::-1]])[::-1][1:]
    _settle(order, ~clear, values)
    return order


def _settle(order: NDArray[Any], near: NDArray[np.bool_], values: Callable[[NDArray[Any]], Vector]) -> None:
    """Put every run of rows that rounding may have swapped in the order of their exact values, ties by row.

    Args:
        order: rows (n,), changed in place.
        near: bool (n - 1,), whether a place and the next may have been swapped.
        values: returns the exact values of some rows.
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
        # Steps of some microseconds: threads that take them at once wait for the interpreter more than they compute. So
        # one takes them while others multiply.
        with exact:
            distances = keys.distances(rows.start + row, candidates)
        # Candidates come by gallery row, and the sort is stable.
        order = np.lexsort((distances, row))
        best = order[np.searchsorted(row, np.arange(len(block)))[:, None] + np.arange(k)]
        found[rows], places[rows] = distances[best], candidates[best]

    with threads.shared() as parts:
        step = min(block_bytes // (4 * len(keys.gallery) * parts), _BLOCK_ROWS, -(-len(found) // parts))
        threads.in_blocks(len(found), max(step, 1), fill, parts=parts)
    return found, places


@_out_of_range_is_expected
def _candidates(keys: "Keys", found: NDArray[Any], margins: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return where, in the flat keys of a few queries, the k nearest of each and little else are."""
    found += keys.squares
    limits = _kth_or_more(found, k) + margins
    # The next number is no less than the limit, whichever way that was rounded.
    limits = np.nextafter(limits.astype(found.dtype), np.inf, dtype=found.dtype)
    # NaN keys are candidates. One flat search is far faster than np.nonzero in two dimensions.
    return np.flatnonzero(~(found > limits[:, None]))


def _kth_or_more(keys: NDArray[Any], k: int) -> NDArray[Any]:
    """Return a value for each row of keys (rows, n) that at least k of them do not exceed, close to the k-th smallest.

    The k-th smallest of the minima of groups is one, and far fewer minima than keys are to be partitioned.
    """
    groups = min(keys.shape[1], 256 + 16 * k)
    size = keys.shape[1] // groups
    minima = keys[:, : groups * size].reshape(len(keys), size, groups).min(axis=1)
    return np.partition(minima, k - 1, axis=1)[:, k - 1]


class Keys:
    """Keys that, with the gallery's squared lengths added, order the gallery as its distances to a query do.

    The squared distance |x - y|^2 less the query's square, the same for the whole row, is |y|^2 - 2 x.y. Where the
    gallery is far from 0 for its extent, both sides are moved to about its mean first: a large common offset would
    cancel all digits. The place moved to is one of the vectors' own kind, so the distances stay the same.

    A sum of d products is within d u of the sum of their absolute values, which is at most |x||y|, in whatever order it
    is taken (u the unit roundoff; Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). With the
    roundings of x, y, |y|^2 and of the final sum, a key is within u (2 (d + 8) |x||y| + 8 |y|^2) of its true value, and
    a square of `euclidean` within (d + 8) u64 (|x| + |y|)^2 of its own. Where products overflow, the margin is
    infinite, and the keys decide nothing.

    Attributes:
        queries: (q, d).
        gallery: (n, d).
        squares: (n,), the gallery's squared lengths.
        longest: the longest of these lengths.
    """

    def __init__(self, queries: ArrayLike, gallery: ArrayLike, kind: type[np.floating]) -> None:
        """Compute keys of a floating point kind."""
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
            What `fill` takes; the queries' lengths, moved as the keys are, and margins, both float64 (rows,): sums of a
            key and a square that are further apart are in the order of `euclidean`.
        """
        x = self._moved(self.queries[rows])
        lengths = _lengths(x)
        # Twice is a power of two, so it rounds nothing.
        x *= -2
        terms, range_, longest = x.shape[1] + 8, np.finfo(self._kind), self.longest
        key_errors = range_.eps / 2 * (2 * terms * lengths * longest + 8 * longest**2) + terms * float(range_.tiny)
        distance_errors = terms * np.finfo(np.float64).eps / 2 * (lengths + longest) ** 2
        margins: NDArray[np.float64] = 2 * (key_errors + distance_errors)
        margins[~((lengths + longest) ** 2 < range_.max / 4)] = np.inf
        return x, lengths, margins

    @_out_of_range_is_expected
    def fill(self, x: NDArray[Any], columns: slice, keys: NDArray[Any]) -> None:
        """Write the keys (rows of x, columns), without the squares, of prepared queries and some gallery rows."""
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
        """Return squared distances (rows, n) of prepared queries, and how far exact ones may be from them, (rows,)."""
        squares = np.empty((len(x), len(self.gallery)), self._kind)
        self.fill(x, slice(0, len(self.gallery)), squares)
        squares += self.squares
        squares += (lengths**2)[:, None].astype(self._kind)
        # The margin is twice the error of a key; these are the roundings of both sums.
        return squares, margins + 8 * np.finfo(self._kind).eps * (lengths + self.longest) ** 2

    @_out_of_range_is_expected
    def _far_centre(self, kind: np.dtype[Any]) -> NDArray[Any] | None:
        """Return about the gallery's mean (d,), or nothing where it is nearer to 0 than to the gallery's vectors."""
        sample = self.gallery[:: len(self.gallery) // _SAMPLE + 1].astype(np.float64)
        centre = (sample.sum(axis=0) / max(len(sample), 1)).astype(kind)
        near = len(sample) * np.square(centre).sum() <= np.square(sample - centre).sum()
        return None if near else centre

    def _moved(self, vectors: NDArray[Any], space: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return vectors as they are multiplied, in new space unless some is given."""
        moved = np.empty(vectors.shape, self._kind) if space is None else space[: len(vectors)]
        if self._centre is None:
            np.copyto(moved, vectors, casting="same_kind")
        else:
            np.subtract(vectors, self._centre, out=moved, dtype=self._wide, casting="same_kind")
        return moved


def _lengths(vectors: NDArray[Any]) -> NDArray[np.float64]:
    return np.sqrt(_square_sums(np.asarray(vectors, np.float64)))


def _square_sums(rows: NDArray[np.float64]) -> Vector:
    # einsum sums each row by itself and without the linear algebra library.
    sums: Vector = np.einsum("ij,ij->i", rows, rows)
    return sums


def _slices(length: int, most: int) -> Iterator[slice]:
    """Yield parts of about the same length, none of more than ``most`` or of fewer than 1."""
    parts = -(-length // max(most, 1))
    for part in range(parts):
        yield slice(length * part // parts, length * (part + 1) // parts)


def euclidean(queries: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distances (n,) float64 from one vector (d,), or n, to each of (n, d), by differences."""
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
    # The next number is no less than the limit, whichever way that was rounded.
    limits = np.nextafter((squares.min(axis=0) + 2 * errors.max()).astype(np.float32), np.float32(np.inf))
    # Where float32 overflowed, no number is above the limit and every point may be nearest.
    row, point = np.nonzero(~(squares > limits).T)
    exact = np.empty(len(row))

    def fill(pairs: slice) -> None:
        exact[pairs] = _square_sums(features[row[pairs]] - points[point[pairs]])

    threads.in_blocks(len(row), _LENGTHS, fill, _ROWS_A_THREAD)
    # Rows come sorted, each with at least one point.
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
        kind: the product's floating point kind.
        parts: how many threads to use. One thread's product may use the linear algebra's own.

    Returns:
        Squared distances (m, n) of that kind, and float64 (m,): `squared_distances` are no further from them than this.
        Where numbers leave the kind's range, they are no numbers or the bounds are infinite.
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
        Products (m, n) float64, and float64 (n,): `projections` are no further from them than this.
    """
    products, lengths = np.empty((len(directions), len(features))), np.empty(len(features))

    def fill(block: slice) -> None:
        rows = features[block].astype(np.float64)
        np.matmul(directions, rows.T, out=products[:, block])
        lengths[block] = _lengths(rows)

    threads.in_blocks(len(features), _PROJECTED_ROWS, fill, parts=parts)
    # Two sums of d products, each within d u |x| of the true one (u, half of epsilon, the unit roundoff; see `Keys`).
    return products, (features.shape[1] + 8) * _EPSILON * lengths
