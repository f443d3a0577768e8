"""Exact nearest-neighbour search (Euclidean, float64) by blocks of a matrix product.

A matrix product gives many distances fast, but rounds. So it only tells which gallery rows may be the nearest, or in
which order they may stand; wherever its rounding might change the answer, distances from differences decide.
"""

from collections.abc import Iterator
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir.files import threads

# Bytes of one block of keys.
BLOCK_BYTES = 256_000_000

# Numbers out of range are told by infinite margins; threads do not inherit this setting.
_out_of_range_is_expected = np.errstate(over="ignore", invalid="ignore")

# Gallery rows that are multiplied at once, where they must be converted first: 21 MB of 1280 float64 values.
_GALLERY_ROWS = 2048

# Gallery rows whose mean stands for that of all.
_SAMPLE = 1024

# Query rows that are multiplied at once, at most. With fewer, products are slower; with more, no thread settles its
# candidates while others multiply, and much new memory takes longer than little that is used again.
_BLOCK_ROWS = 896

# Queries whose keys are looked at together: 64 times 8,250 keys stay in a core's cache.
_QUERY_ROWS = 64

# Bytes of whole rankings that are yielded at once: what is freed of this size is soon used again.
_RANKED_BYTES = 16_000_000

# Queries that are sorted together: 16 times 8,250 keys stay in a core's cache.
_SORTED_ROWS = 16

# Pairs of a query and a gallery row whose difference is taken at once: as float64 they stay in a core's cache.
_PAIRS = 32

# Gallery rows whose length is taken at once.
_LENGTHS = 64


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
    # The bits that two numbers lost, those they have instead, and two more roundings of both.
    limits = margins + (2 * float(row_bits) + 5) * np.finfo(np.float64).eps * (longest + keys.longest) ** 2
    # Keys that are no numbers are near to all.
    for row in np.flatnonzero(~(gaps.min(axis=1, initial=np.inf) > limits)):
        # Every run of gallery rows that rounding may have swapped is put in the order of exact distances.
        near = ~(gaps[row] > limits[row])
        run = np.concatenate([[0], np.cumsum(~near)])
        inside = np.concatenate([[False], near]) | np.concatenate([near, [False]])
        rows = order[row, inside]
        distances = keys.distances(np.full(len(rows), first + row), rows)
        order[row, inside] = rows[np.lexsort((rows, distances, run[inside]))]


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
    # Keys that are no numbers are candidates. One flat search is far faster than np.nonzero in two dimensions.
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
    a square of `euclidean` within (d + 8) u64 (|x| + |y|)^2 of its own. Where products leave the kind's range, nothing
    is told: the margin is infinite.

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
    vectors = np.asarray(vectors, np.float64)
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def _slices(length: int, most: int) -> Iterator[slice]:
    """Yield parts of about the same length, none of more than ``most`` or of fewer than 1."""
    parts = -(-length // max(most, 1))
    for part in range(parts):
        yield slice(length * part // parts, length * (part + 1) // parts)


def euclidean(queries: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distances (n,) float64 from one vector (d,), or n, to each of (n, d), by differences."""
    difference = np.asarray(vectors, np.float64) - np.asarray(queries, np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))
