"""Nearest neighbours that an earlier run found, so that only what changed is searched.

A query's neighbours change only if a row that was added is nearer than one of them, or if one of them was removed. So
the added rows are compared with all queries, and only queries that are new, or that lost a neighbour, are searched in
the whole gallery.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.files import memory
from cbir.retrieval import exact
from cbir.retrieval.changes import keys, match

# Queries that are compared with added rows at once: 84 MB of 1280 values.
_ROWS = 16_384


def _is_possible(arrays: memory.Arrays) -> bool:
    places, distances = arrays["places"], arrays["distances"]
    return (
        distances.shape == places.shape == (len(arrays["queries"]), distances.shape[1])
        and bool(places.min(initial=0) >= 0)
        and bool(places.max(initial=-1) < len(arrays["gallery"]))
    )


FORM = memory.Form(
    {"queries": (np.uint64, 1), "gallery": (np.uint64, 1), "distances": (np.float64, 2), "places": (np.int64, 2)},
    _is_possible,
)
"""The arrays of a `Known` in a file, see `cbir.files.memory`."""


@dataclass(frozen=True, eq=False)
class Known:
    """The nearest neighbours of some queries in a gallery.

    Attributes:
        queries: (q,) uint64, the `cbir.retrieval.changes.keys` of the queries.
        gallery: (n,) uint64, those of the gallery.
        distances: float64 (q, k), as `cbir.retrieval.exact.nearest` returns them.
        places: int64 (q, k), likewise.
    """

    queries: NDArray[np.uint64]
    gallery: NDArray[np.uint64]
    distances: NDArray[np.float64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, arrays: memory.Arrays) -> "Known":
        """Return the neighbours in the arrays of a file."""
        return cls(*(arrays[name] for name in FORM.arrays))

    def can_be_used(self, k: int) -> bool:
        """Tell whether they can be carried over to a search for ``k`` neighbours."""
        return self.places.shape[1] == k and len(self.queries) > 0

    def arrays(self) -> memory.Arrays:
        """Return the arrays for a file."""
        return {name: getattr(self, name) for name in FORM.arrays}


class Change:
    """What has changed since.

    Attributes:
        query: int64 (q,), the earlier row of each query, -1 if it is new.
        row: int64, the row now of each earlier row of the gallery, -1 if it was removed. The others ascend, so that
            rows at equal distances keep their order; one that moved is removed and added.
        added: int64, the rows of the gallery that are new, ascending.
    """

    def __init__(self, known: Known, queries: NDArray[np.uint64], gallery: NDArray[np.uint64]) -> None:
        """Compare the keys of the queries (q,) and of the gallery (n,) with the known ones."""
        self.query = match(queries, known.queries)
        row = match(known.gallery, gallery)
        before = np.maximum.accumulate(np.concatenate([[-1], row]))[:-1]
        self.row: NDArray[np.int64] = np.where(row > before, row, -1)
        is_added = np.ones(len(gallery), np.bool_)
        is_added[self.row[self.row >= 0]] = False
        self.added: NDArray[np.int64] = np.flatnonzero(is_added)


def carry_over(
    known: Known, change: Change, queries: NDArray[Any], gallery: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the neighbours now of all queries that need not be searched in the whole gallery.

    Args:
        known: the earlier neighbours; k is at most the number of rows now.
        change: what has changed since.
        queries: (q, d).
        gallery: (n, d).

    Returns:
        Distances (q, k) float64 and gallery rows (q, k) int64, as `exact.nearest` returns them, and int64 (m,), the
        queries for which these are not filled in.
    """
    places = change.row[known.places[change.query]]
    distances = known.distances[change.query]
    anew = (change.query < 0) | (places < 0).any(axis=1)
    others, k = np.flatnonzero(~anew), places.shape[1]
    added = gallery[change.added] if len(others) else gallery[:0]
    for start in range(0, len(others) if len(added) else 0, _ROWS):
        rows = others[start : start + _ROWS]
        more, where = exact.nearest(queries[rows], added, k)
        nearer = np.concatenate([distances[rows], more], axis=1)
        there = np.concatenate([places[rows], change.added[where]], axis=1)
        order = np.lexsort((there, nearer), axis=1)[:, :k]
        distances[rows] = np.take_along_axis(nearer, order, axis=1)
        places[rows] = np.take_along_axis(there, order, axis=1)
    return distances, places, np.flatnonzero(anew)


def nearest(
    queries: NDArray[Any], gallery: NDArray[Any], k: int, *, path: Path, made_by: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the k nearest gallery rows of each query, as `exact.nearest` does, from what the last call left in a file.

    Args:
        queries: (q, d).
        gallery: (n, d).
        k: how many; a smaller gallery gives all its rows.
        path: the file, which is replaced.
        made_by: see `cbir.files.memory`.

    Returns:
        Distances and gallery rows as `exact.nearest` returns them.

    Raises:
        InputError: when the file cannot be written.
    """
    arrays = memory.recall(path, made_by, FORM)
    known = None if arrays is None else Known.of(arrays)
    now = keys(queries), keys(gallery)
    if known is None or not known.can_be_used(min(k, len(gallery))):
        distances, places = exact.nearest(queries, gallery, k)
    else:
        distances, places, anew = carry_over(known, Change(known, *now), queries, gallery)
        for start in range(0, len(anew), _ROWS):
            rows = anew[start : start + _ROWS]
            distances[rows], places[rows] = exact.nearest(queries[rows], gallery, k)
    memory.write(path, made_by, Known(*now, distances, places).arrays())
    return distances, places
