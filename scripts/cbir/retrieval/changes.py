"""The rows that were added to a gallery, and removed from it, since its approximate index was built.

The file of an approximate index stays as it was built. A file beside it (``.rows.h5``) says which row of the gallery
each of its vectors is now, or that the vector was removed. A search drops the removed ones from what the index finds,
and compares the query with all added ones.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.features import blocks
from cbir.files import threads
from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.errors import InputError
from cbir.files.hdf5 import attributes, dataset, opened, write_attributes

SUFFIX = ".rows.h5"
"""Replaces the suffix of the index."""

_SEED = 1234
# Values whose keys are computed together: as 64-bit integers they fit a core's cache.
_VALUES = 32_768
# Added rows that are read together, and distances of added rows that are in memory at once: 16 MB.
_ROWS, _DISTANCES = 1024, 4_000_000


@dataclass(frozen=True, eq=False)
class Rows:
    """Where the vectors of an index file are in the gallery now.

    Attributes:
        keys: (b,) uint64, the `keys` of the vectors in the order of the index file.
        row: (b,) int64, for each of them the row of the gallery with the same vector, -1 if there is none any more.
        features_sha256: the hash of that gallery's vectors.
        file_sha256: the hash of the index file.
        about: JSON data, what the index file was built from.
    """

    keys: NDArray[np.uint64]
    row: NDArray[np.int64]
    features_sha256: str
    file_sha256: str
    about: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write them, with a checksum."""
        with atomic(path, 16 * len(self.keys) + HDF5_OVERHEAD) as temporary, h5py.File(temporary, "w") as file:
            file.create_dataset("keys", data=self.keys)
            file.create_dataset("row", data=self.row)
            texts = [self.features_sha256, self.file_sha256, json.dumps(self.about, sort_keys=True)]
            digest = _digest(self.keys, self.row, texts)
            write_attributes(file, dict(zip(_ATTRIBUTES, [*texts, digest], strict=True)))


_ATTRIBUTES = ("features_sha256", "file_sha256", "about", "sha256")


def _digest(keys: NDArray[np.uint64], row: NDArray[np.int64], texts: list[Any]) -> str:
    digest = hashlib.sha256(json.dumps(texts).encode())
    digest.update(keys.data)
    digest.update(row.data)
    return digest.hexdigest()


def read(path: Path) -> Rows:
    """Read what `Rows.write` wrote.

    Raises:
        InputError: when the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: run the workflow first.")
    try:
        with opened(path) as file:
            said = attributes(file, _ATTRIBUTES)
            keys, row = (dataset(file, name, kind, 1)[:] for name, kind in (("keys", np.uint64), ("row", np.int64)))
        *texts, digest = (said[name] for name in _ATTRIBUTES)
        if digest != _digest(keys, row, texts):
            raise ValueError("its checksum is another one")
        # Nearly sorted, which takes a tenth of the time of `np.unique`.
        kept = np.sort(row[row >= 0], kind="stable")
        if len(keys) != len(row) or row.min(initial=0) < -1 or not np.diff(kept).all():
            raise ValueError("its rows are not possible")
        about = json.loads(texts[2])
        if not isinstance(about, dict):
            raise ValueError("it does not say what the index was built from")
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"{path} is damaged ({error}): remove it and run again.") from error
    return Rows(keys, row, str(texts[0]), str(texts[1]), about)


def keys(features: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a hash of each vector, uint64 (n,), by which equal vectors are recognised.

    Of two different vectors the keys are equal with a probability of at most 2^-64: each half is the upper half of a
    multilinear hash, which is strongly universal (Lemire and Kaser, The Computer Journal, 2014, theorem 1). Even then,
    no result is wrong, because the distances of results are computed from the vectors themselves.

    Args:
        features: (n, d), taken as float32.
    """
    count, dimension = features.shape
    factors = np.random.default_rng(_SEED).integers(0, 2**64, (2, dimension + 1), np.uint64)
    found, half = np.empty(count, np.uint64), np.uint64(32)

    def fill(block: slice) -> None:
        words = np.ascontiguousarray(features[block], np.float32).view(np.uint32).astype(np.uint64)
        # Unsigned integers wrap: the sums are those modulo 2^64.
        first, second = ((words @ row[1:] + row[0]) >> half for row in factors)
        found[block] = first << half | second

    threads.in_blocks(count, max(_VALUES // max(dimension, 1), 1), fill)
    return found


def match(built: NDArray[np.uint64], now: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each key of ``built`` the place of the same key in ``now``, -1 if there is none; int64 (b,).

    Each place is used once. If a key is several times in both, they are matched in their order, as many as there are.
    """
    found = np.full(len(built), -1)
    # Few rows have changed, so most are at the same place, counted from the start or from the end.
    shorter = min(len(built), len(now))
    head = _equal(built[:shorter], now[:shorter])
    tail = _equal(built[::-1][: shorter - head], now[::-1][: shorter - head])
    found[:head] = np.arange(head)
    found[len(built) - tail :] = np.arange(len(now) - tail, len(now))
    inner, others = built[head : len(built) - tail], now[head : len(now) - tail]
    order, place = np.argsort(inner, kind="stable"), np.argsort(others, kind="stable")
    ours, theirs = inner[order], others[place]
    # The n-th of equal keys is matched with the n-th of them on the other side.
    wanted = np.searchsorted(theirs, ours) + np.arange(len(ours)) - np.searchsorted(ours, ours)
    matched = wanted < np.searchsorted(theirs, ours, "right")
    found[head + order[matched]] = head + place[wanted[matched]]
    return found


def _equal(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> int:
    """Return how many of the first elements of two arrays of the same length are equal."""
    differ = a != b
    return int(differ.argmax()) if differ.any() else len(a)


class Changes:
    """What a search must know about the rows that changed since the index was built.

    Attributes:
        row: (b,) int64, for each vector of the index file the gallery's row, -1 if it was removed.
        added: int64, the gallery's rows that the index file lacks, ascending.
        kept: how many vectors of the index file are still in the gallery.
        removed: how many are not.
    """

    def __init__(self, features: NDArray[Any], row: NDArray[np.int64] | None = None) -> None:
        """Take the gallery (n, d), and ``row``; None if the index was built over this gallery.

        Raises:
            InputError: when a row is not one of the gallery's.
        """
        if row is not None and row.max(initial=-1) >= len(features):
            raise InputError("The index names images that do not exist: remove results/index and run again.")
        self.row: NDArray[np.int64] = np.arange(len(features)) if row is None else row
        is_added = np.ones(len(features), bool)
        is_added[self.row[self.row >= 0]] = False
        self.added: NDArray[np.int64] = np.flatnonzero(is_added)
        self.kept = len(features) - len(self.added)
        self.removed = len(self.row) - self.kept
        self._near = _Near(features, self.added) if len(self.added) else None

    def gallery_rows(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the gallery's rows of what the index found, without those that were removed and without the -1.

        Raises:
            InputError: when the index names a row that it does not have.
        """
        if found.max(initial=0) >= len(self.row):
            raise InputError("The index names images that do not exist: remove results/index and run again.")
        rows = self.row[found[found >= 0]]
        return rows[rows >= 0]

    def nearest_added(self, queries: NDArray[Any], k: int) -> Iterator[NDArray[np.int64]]:
        """Yield for each query (q, d) the added rows that may be among its k nearest."""
        if self._near is None:
            yield from (self.added for _ in queries)
        else:
            yield from self._near.rows_of(queries, k)


class _Near:
    """Finds the nearest of a few rows by the products of vectors, as `cbir.retrieval.exact.Keys`, whose bounds it uses.

    `Keys` measures the gallery at each search; here that is done once, and the vectors are kept as the products need
    them: less their mean, in float32.
    """

    def __init__(self, features: NDArray[Any], rows: NDArray[np.int64]) -> None:
        self._rows, dimension = rows, features.shape[1]
        self._centre = features[rows[:: len(rows) // _ROWS + 1]].mean(axis=0, dtype=np.float64)
        self._vectors = blocks.space(len(rows), dimension, np.float32)
        squares = np.empty(len(rows))
        for start in range(0, len(rows), _ROWS):
            block = slice(start, start + _ROWS)
            self._vectors[block] = vectors = features[rows[block]] - self._centre
            squares[block] = np.einsum("ij,ij->i", vectors, vectors)
        self._squares, self._longest = squares.astype(np.float32), np.sqrt(squares.max())

    @np.errstate(over="ignore", invalid="ignore")
    def rows_of(self, queries: NDArray[Any], k: int) -> Iterator[NDArray[np.int64]]:
        k, step = min(k, len(self._rows)), max(_DISTANCES // len(self._rows), 1)
        terms, single, double = queries.shape[1] + 8, np.finfo(np.float32), np.finfo(np.float64)
        for start in range(0, len(queries), step):
            x = queries[start : start + step] - self._centre
            lengths = np.sqrt(np.einsum("ij,ij->i", x, x))
            keys = (-2 * x).astype(np.float32) @ self._vectors.T
            keys += self._squares
            margins = single.eps * (2 * terms * lengths * self._longest + 8 * self._longest**2)
            margins += 2 * terms * single.tiny + terms * double.eps * (lengths + self._longest) ** 2
            margins[~((lengths + self._longest) ** 2 < single.max / 4)] = np.inf
            limits = (np.partition(keys, k - 1, axis=1)[:, k - 1] + margins).astype(np.float32)
            # The next larger number, in case the conversion rounded down. Negated, so that NaN keys are candidates.
            for near in ~(keys > np.nextafter(limits, np.float32(np.inf))[:, None]):
                yield self._rows[near]
