"""Exact nearest-neighbour search (Euclidean, float64) by blocks of a matrix product.

A matrix product gives many distances fast, but rounds. So it only tells which gallery rows may be the nearest, or in
which order they may stand; wherever its rounding might change the answer, distances from differences decide.
"""

from collections.abc import Iterator
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

# Queries that are sorted together; fewer have the threads wait for each other more than they sort.
_SORTED_ROWS = 16

# Pairs of a query and a gallery row whose difference is taken at once: as float64 they stay in a core's cache.
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
    keys = Keys(queries, gallery, np.float64)
    rows = block_bytes // (8 * max(len(keys.gallery), 1))
    ranked = min(max(rows // 4, 1), _RANKED_ROWS)
    space = np.empty((min(max(rows - ranked, 1), len(keys.queries)), len(keys.gallery)))
    for block in _slices(len(keys.queries), len(space)):
        here = space[: block.stop - block.start]
        lengths, margins = np.empty(len(here)), np.empty(len(here))

        def fill(
            rows: slice, first: int = block.start, here: Any = here, lengths: Any = lengths, margins: Any = margins
        ) -> None:
            lengths[rows], margins[rows] = keys.fill(slice(first + rows.start, first + rows.stop), here[rows])

        with threads.shared() as parts:
            threads.in_blocks(len(here), -(-len(here) // parts), fill, parts=parts)
        for part in _slices(len(here), ranked):
            order = np.empty((part.stop - part.start, len(keys.gallery)), np.int64)

            def rank(
                rows: slice,
                first: int = block.start + part.start,
                of_part: Any = (here[part], lengths[part], margins[part]),
                order: Any = order,
            ) -> None:
                order[rows] = _ranking(keys, first + rows.start, *(values[rows] for values in of_part))

            threads.in_blocks(len(order), _SORTED_ROWS, rank)
            yield slice(block.start + part.start, block.start + part.stop), order


@_out_of_range_is_expected
def _ranking(
    keys: "Keys", first: int, found: NDArray[np.float64], lengths: NDArray[np.float64], margins: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the rankings of a few queries from ``first`` on, from their keys, which it overwrites.

    Non-negative numbers are in the order of their bits, so each one's last bits are replaced by its gallery row, and
    sorting the numbers sorts the rows: twice as fast as sorting rows by their numbers.
    """
    found += keys.squares
    # Squared distances, and no rounding makes one negative.
    found += (lengths**2 + margins)[:, None]
    bits = found.view(np.uint64)
    row_bits = np.uint64((1 << (bits.shape[1] - 1).bit_length()) - 1)
    bits &= ~row_bits
    bits |= np.arange(bits.shape[1], dtype=np.uint64)
    bits.sort(axis=1)
    order = (bits & row_bits).view(np.int64)
    # The lost bits, and two more roundings of two numbers.
    lost = (float(row_bits) + 5) * np.finfo(np.float64).eps * (lengths + keys.longest) ** 2
    # Keys that are no numbers are near to all.
    near = ~(np.diff(found, axis=1) > (margins + lost)[:, None])
    for row in np.flatnonzero(near.any(axis=1)):
        # Every run of gallery rows that rounding may have swapped is put in the order of exact distances.
        run = np.concatenate([[0], np.cumsum(~near[row])])
        inside = np.concatenate([[False], near[row]]) | np.concatenate([near[row], [False]])
        rows = order[row, inside]
        distances = keys.distances(np.full(len(rows), first + row), rows)
        order[row, inside] = rows[np.lexsort((rows, distances, run[inside]))]
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
    keys = Keys(queries, gallery, np.float32)
    k = min(k, len(keys.gallery))
    found, places = np.empty((len(keys.queries), k)), np.empty((len(keys.queries), k), np.int64)
    if k == 0:
        return found, places

    def fill(rows: slice) -> None:
        block = np.empty((rows.stop - rows.start, len(keys.gallery)), np.float32)
        _, margins = keys.fill(rows, block)
        for part in _slices(len(block), _QUERY_ROWS):
            here = slice(rows.start + part.start, rows.start + part.stop)
            found[here], places[here] = _nearest(keys, here.start, block[part], margins[part], k)

    with threads.shared() as parts:
        step = min(block_bytes // (4 * len(keys.gallery) * parts), -(-len(found) // parts))
        threads.in_blocks(len(found), max(step, 1), fill, parts=parts)
    return found, places


@_out_of_range_is_expected
def _nearest(
    keys: "Keys", first: int, found: NDArray[Any], margins: NDArray[np.float64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the nearest of a few queries from ``first`` on, from their keys and margins."""
    found += keys.squares
    limits = _kth_or_more(found, k) + margins
    # The next number is no less than the limit, whichever way that was rounded.
    limits = np.nextafter(limits.astype(found.dtype), np.inf, dtype=found.dtype)
    # Keys that are no numbers are candidates. One flat search is far faster than np.nonzero in two dimensions.
    row, candidates = np.divmod(np.flatnonzero(~(found > limits[:, None])), found.shape[1])
    distances = keys.distances(first + row, candidates)
    # Candidates come by gallery row, and the sort is stable.
    order = np.lexsort((distances, row))
    best = order[np.searchsorted(row, np.arange(len(found)))[:, None] + np.arange(k)]
    return distances[best], candidates[best]


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

    The squared distance |x - y|^2 less the query's square, the same for the whole row, is |y|^2 - 2 x.y. Both sides are
    moved to about the gallery's mean first: a large common offset would cancel all digits. The place moved to is one of
    the vectors' own kind, so the distances stay the same.

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
        sample = self.gallery[:: len(self.gallery) // _SAMPLE + 1]
        self._centre = (sample.sum(axis=0, dtype=np.float64) / max(len(sample), 1)).astype(exact)
        lengths = np.empty(len(self.gallery))

        def measure(rows: slice) -> None:
            lengths[rows] = _lengths(self._moved(self.gallery[rows]))

        threads.in_blocks(len(lengths), _PAIRS, measure)
        self.longest = lengths.max(initial=0)
        with np.errstate(over="ignore"):
            self.squares = np.square(lengths).astype(kind)

    @_out_of_range_is_expected
    def fill(self, rows: slice, keys: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Write the keys of some queries, without the squares.

        Args:
            rows: which queries.
            keys: where the keys go, (rows, n) of the kind.

        Returns:
            The queries' lengths, moved as the keys are, and margins, both float64 (rows,): sums of a key and a square
            that are further apart are in the order of `euclidean`.
        """
        x = self._moved(self.queries[rows])
        lengths = _lengths(x)
        # Twice is a power of two, so it rounds nothing.
        x *= -2
        for columns in _slices(len(self.gallery), _GALLERY_ROWS):
            np.matmul(x, self._moved(self.gallery[columns]).T, out=keys[:, columns])
        terms, range_, longest = x.shape[1] + 8, np.finfo(self._kind), self.longest
        key_errors = range_.eps / 2 * (2 * terms * lengths * longest + 8 * longest**2) + terms * float(range_.tiny)
        distance_errors = terms * np.finfo(np.float64).eps / 2 * (lengths + longest) ** 2
        margins: NDArray[np.float64] = 2 * (key_errors + distance_errors)
        margins[~((lengths + longest) ** 2 < range_.max / 4)] = np.inf
        return lengths, margins

    def distances(self, queries: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the exact distances of pairs of a query and a gallery row."""
        distances = np.empty(len(rows))
        for pairs in _slices(len(distances), _PAIRS):
            distances[pairs] = euclidean(self.queries[queries[pairs]], self.gallery[rows[pairs]])
        return distances

    def _moved(self, vectors: NDArray[Any]) -> NDArray[Any]:
        return np.subtract(vectors, self._centre, dtype=self._wide).astype(self._kind, copy=False)


def _lengths(vectors: NDArray[Any]) -> NDArray[np.float64]:
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))


def _slices(length: int, step: int) -> Iterator[slice]:
    for start in range(0, length, max(step, 1)):
        yield slice(start, min(start + step, length))


def euclidean(queries: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the Euclidean distances (n,) float64 from one vector (d,), or n, to each of (n, d), by differences."""
    difference = np.asarray(vectors, np.float64) - np.asarray(queries, np.float64)
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))
