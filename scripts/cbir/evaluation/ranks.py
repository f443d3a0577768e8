"""Rank a gallery for each query, from the ranks of the right images that an earlier evaluation left.

A row that is added to the gallery, or removed from it, moves a right image by one rank if it is nearer to the query. So
an earlier rank is updated by comparing the distance of the right image with those of the rows that changed. Only
queries that are new, that lost a neighbour, or whose category gained or lost images, are compared with the whole
gallery. The results are those of a run without earlier ranks.
"""

import itertools
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import Relevant, members, singles
from cbir.evaluation.judgements import Judgements, Order
from cbir.evaluation.relevance import Relevance, count, hits
from cbir.features import store
from cbir.features.store import FeatureStore
from cbir.files import memory
from cbir.files.atomic import atomic
from cbir.files.errors import InputError
from cbir.retrieval import exact, known
from cbir.retrieval.changes import keys
from cbir.retrieval.known import Change, Known

log = logging.getLogger("cbir")

Distances = NDArray[np.float64]
Block = tuple[slice, Order, Distances, Relevance]
"""Some queries: their rows, the gallery rows (block, listed) of their first results, the distances of these, and the
relevance (block, n) of the whole ranking."""


def _is_possible(arrays: memory.Arrays) -> bool:
    labels = [arrays["query_label"], arrays["gallery_label"]]
    return (
        known.FORM.is_possible(arrays)
        and len(arrays["query_label"]) == len(arrays["right"]) == len(arrays["queries"])
        and len(arrays["gallery_label"]) == len(arrays["gallery"])
        and all(label.min(initial=0) >= 0 and label.max(initial=-1) < len(arrays["categories"]) for label in labels)
        and bool(arrays["right"].min(initial=0) >= 0)
        and bool(arrays["right"].sum() == len(arrays["ranks"]))
        and bool(1 <= arrays["ranks"].min(initial=1) <= arrays["ranks"].max(initial=1) <= len(arrays["gallery"]))
    )


FORM = memory.Form(
    {
        **known.FORM.arrays,
        "query_label": (np.int64, 1),
        "gallery_label": (np.int64, 1),
        "categories": ("S", 1),
        "right": (np.int64, 1),
        "ranks": (np.uint32, 1),
    },
    _is_possible,
)
"""The arrays of the file: beside those of `cbir.retrieval.known` the labels and the names of their categories, how many
right images each query has, and their ranks, query by query in the order of the gallery."""

# Ranks that are kept, at most: 100 MB.
_MOST_RANKS = 25_000_000
# Cells of a relevance matrix that is made of ranks.
_CELLS = 16_000_000
# The errors of two squared distances, and what rounding adds to their square roots, are less than so many bounds.
_ERRORS = 4


@dataclass(frozen=True)
class Memory:
    """The files that an evaluation leaves for the next one.

    Attributes:
        path: the file of the ranks. Beside it (``.gallery.h5``) is the gallery's feature store, as a hard link where
            the file system has them, so that the vectors of rows that are removed later are known.
        made_by: see `cbir.files.memory`.
        gallery: the feature store of the gallery.
    """

    path: Path
    made_by: str
    gallery: Path

    @property
    def earlier_gallery(self) -> Path:
        """The feature store of the earlier gallery."""
        return self.path.with_suffix(".gallery.h5")

    def read(self) -> memory.Arrays | None:
        """Return the arrays of the earlier evaluation; None if there is none that can be used."""
        return memory.recall(self.path, self.made_by, FORM)

    def removed(self, earlier: memory.Arrays, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """Return the vectors of some rows of the earlier gallery; None if its feature store is missing or another."""
        try:
            gallery = store.read(self.earlier_gallery, mapped=True)
        except InputError:
            return None
        if len(gallery.features) != len(earlier["gallery"]):
            return None
        vectors = gallery.features[rows]
        return vectors if np.array_equal(keys(vectors), earlier["gallery"][rows]) else None

    def write(self, arrays: memory.Arrays) -> None:
        """Replace the files.

        Raises:
            InputError: when they cannot be written.
        """
        memory.write(self.path, self.made_by, arrays)
        with atomic(self.earlier_gallery) as temporary:
            temporary.unlink()
            try:
                os.link(self.gallery, temporary)
            except OSError:
                shutil.copyfile(self.gallery, temporary)

    def forget(self) -> None:
        """Remove the files, which another evaluation left."""
        for path in (self.path, self.earlier_gallery):
            with suppress(OSError):
                path.unlink()


def rankings(
    gallery: FeatureStore,
    queries: FeatureStore,
    judged: Judgements,
    listed: int,
    block_bytes: int,
    categories: Sequence[str],
    files: Memory,
) -> Iterator[Block]:
    """Rank the gallery for each query.

    Args:
        gallery: the features that are searched.
        queries: the features of the queries.
        judged: which images are relevant: those of the query's category.
        listed: how many first results are returned; all rankings are at least as long.
        block_bytes: memory for a block of rankings.
        categories: the name of each label.
        files: where the ranks are kept, unless there are too many.

    Raises:
        InputError: when they cannot be written.
    """
    ranks = _Ranks(gallery, queries, judged, listed, block_bytes, list(categories))
    if not ranks.is_kept:
        files.forget()
    earlier = files.read() if ranks.is_kept else None
    if earlier is not None and ranks.update(earlier, files):
        files.write(ranks.arrays())
        yield from ranks.blocks()
        return
    for rows, found in exact.rankings(queries.features, gallery.features, block_bytes):
        order, relevance = judged.judge(rows, found)
        ranks.fill(np.arange(rows.start, rows.stop), order, relevance)
        yield rows, ranks.places[rows], ranks.distances[rows], relevance
    if ranks.is_kept:
        files.write(ranks.arrays())


def distances(queries: FeatureStore, gallery: FeatureStore, rows: NDArray[np.int64], places: Order) -> Distances:
    """Return the distances, float64 (rows, any), of some queries to gallery rows (rows, any)."""
    found = np.empty(places.shape)
    for place, row in enumerate(rows):
        found[place] = exact.euclidean(queries.features[row], gallery.features[places[place]])
    return found


class _Ranks:
    """The first results of each query, and the ranks of its right images."""

    def __init__(
        self,
        gallery: FeatureStore,
        queries: FeatureStore,
        judged: Judgements,
        listed: int,
        block_bytes: int,
        categories: list[str],
    ) -> None:
        self.gallery, self.queries, self.categories, self.block_bytes = gallery, queries, categories, block_bytes
        self.relevant = Relevant(categories)
        self.right = judged.relevant.astype(np.int64)
        # Query by query; `starts` is the first of each query.
        self.starts = np.cumsum(self.right) - self.right
        self.is_kept = bool(self.right.sum() <= _MOST_RANKS)
        self.ranks = np.empty(self.right.sum() if self.is_kept else 0, np.uint32)
        self.places = np.empty((len(queries.features), listed), np.int64)
        self.distances = np.empty(self.places.shape)

    @cached_property
    def keys(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The keys of the queries and of the gallery."""
        return keys(self.queries.features), keys(self.gallery.features)

    def fill(self, rows: NDArray[np.int64], order: Order, relevance: Relevance) -> None:
        """Take the rankings (block, n) of some queries."""
        self.places[rows] = order[:, : self.places.shape[1]]
        self.distances[rows] = distances(self.queries, self.gallery, rows, self.places[rows])
        if not self.is_kept:
            return
        query, rank, _ = hits(relevance, count(relevance))
        # In the order of the gallery.
        rank = rank[np.lexsort((order[query, rank - 1], query))]
        self.ranks[self._flat(rows)] = rank

    def _flat(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where the ranks of some queries are."""
        return _spans(self.starts[rows], self.right[rows])

    def blocks(self) -> Iterator[Block]:
        """Yield the rankings; the relevance matrices are made of the ranks."""
        images = len(self.gallery.features)
        step = max(_CELLS // max(images, 1), 1)
        for start in range(0, len(self.right), step):
            rows = slice(start, min(start + step, len(self.right)))
            relevance = np.zeros((rows.stop - rows.start, images), np.bool_)
            ranks = self.ranks[self._flat(np.arange(rows.start, rows.stop))]
            relevance[np.repeat(np.arange(len(relevance)), self.right[rows]), ranks.astype(np.int64) - 1] = True
            yield rows, self.places[rows], self.distances[rows], relevance

    def arrays(self) -> memory.Arrays:
        """Return the arrays for the file."""
        return Known(*self.keys, self.distances, self.places).arrays() | {
            "query_label": self.queries.label,
            "gallery_label": self.gallery.label,
            "categories": np.array(self.categories, object),
            "right": self.right,
            "ranks": self.ranks,
        }

    def update(self, earlier: memory.Arrays, files: Memory) -> bool:
        """Take what is still right of an earlier evaluation, and rank the gallery for all other queries.

        Returns:
            Whether that was done. It is not if a whole evaluation is faster, or the earlier one cannot be used.
        """
        neighbours, features = Known.of(earlier), self.gallery.features
        if not neighbours.can_be_used(self.places.shape[1]):
            return False
        change = Change(neighbours, *self.keys)
        gone = np.flatnonzero(change.row < 0)
        if (len(gone) + len(change.added)) * int(self.right.sum()) > len(self.right) * len(features):
            return False
        vectors = files.removed(earlier, gone)
        if vectors is None:
            return False
        self.distances, self.places, lost = known.carry_over(neighbours, change, self.queries.features, features)
        # The last is never so, unless others wrote the file.
        is_new = self._is_changed(earlier, change) | (earlier["right"][change.query] != self.right)
        is_new[lost] = True
        self._shift(earlier, change, gone, vectors, np.flatnonzero(~is_new))
        anew = np.flatnonzero(is_new)
        for rows, order in exact.rankings(self.queries.features[anew], features, self.block_bytes):
            relevance = self.relevant(self.gallery.label[order], self.queries.label[anew[rows], None])
            self.fill(anew[rows], order, relevance)
        log.info(
            "%d images were added to the gallery and %d removed: %d of %d queries were ranked again as a whole",
            *(len(change.added), len(gone), len(anew), len(self.right)),
        )
        return True

    def _is_changed(self, earlier: memory.Arrays, change: Change) -> NDArray[np.bool_]:
        """Return which queries are new, have another category, or have other right images; bool (q,)."""
        now, before = np.array(self.categories, object), earlier["categories"]
        still = change.row >= 0
        names, row_names = before[earlier["gallery_label"]], now[self.gallery.label]
        is_other = ~still
        is_other[still] = names[still] != row_names[change.row[still]]
        here = np.concatenate([change.added, change.row[is_other & still]])
        touched = set(singles({*names[is_other], *row_names[here]}))
        is_touched = np.array([not touched.isdisjoint(members(name)) for name in now], np.bool_)
        of_query = before[earlier["query_label"]][change.query]
        return (change.query < 0) | (of_query != now[self.queries.label]) | is_touched[self.queries.label]

    def _shift(
        self,
        earlier: memory.Arrays,
        change: Change,
        gone: NDArray[np.int64],
        vectors: NDArray[np.float32],
        kept: NDArray[np.int64],
    ) -> None:
        """Write the ranks of queries whose right images are the same, moved by the rows that were removed or added."""
        features = self.gallery.features
        changed = np.concatenate([vectors, features[change.added]])
        signs = np.repeat(np.array([-1, 1], np.int64), [len(gone), len(change.added)])
        starts = np.cumsum(earlier["right"]) - earlier["right"]
        # The earlier row of each row now, to compare it with removed ones.
        was = np.full(len(features), -1)
        was[change.row[change.row >= 0]] = np.flatnonzero(change.row >= 0)
        for label in np.unique(self.queries.label[kept]):
            rows = kept[self.queries.label[kept] == label]
            right = np.flatnonzero(self.relevant(self.gallery.label, label))
            found = earlier["ranks"][_spans(starts[change.query[rows]], np.full(len(rows), len(right)))]
            shape = (len(rows), len(right))
            first = np.concatenate([gone[:, None] < was[right], change.added[:, None] < right])
            shifts = _shifts(self.queries.features[rows], features[right], changed, first, signs)
            self.ranks[self._flat(rows)] = (found.reshape(shape).astype(np.int64) + shifts).ravel()


@np.errstate(over="ignore", invalid="ignore")
def _shifts(
    queries: NDArray[np.float32],
    right: NDArray[np.float32],
    changed: NDArray[np.float32],
    first: NDArray[np.bool_],
    signs: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return by how many ranks each right image moves.

    Args:
        queries: (q, d).
        right: (n, d), the right images, the same for all these queries.
        changed: (c, d), the rows that were removed or added.
        first: bool (c, n), which of two at the same distance ranks first: True, if the changed one.
        signs: int64 (c,), -1 if it was removed, 1 if it was added.

    Returns:
        int64 (q, n).
    """
    moved = np.zeros((len(queries), len(right)), np.int64)
    squares, errors = exact.squared_distance_bounds(queries.astype(np.float64), np.concatenate([right, changed]))
    squares, others = np.split(squares, [len(right)], axis=1)
    for place, sign in enumerate(signs):
        gaps = others[:, place, None] - squares
        is_nearer = gaps < 0
        # Negated, so that NaN counts as too close.
        query, image = np.nonzero(~(np.abs(gaps) > _ERRORS * errors[:, None]))
        for one, some in _grouped(query, image):
            near, far = (exact.euclidean(queries[one], rows) for rows in (changed[place, None], right[some]))
            is_nearer[one, some] = (near < far) | ((near == far) & first[place, some])
        moved += sign * is_nearer
    return moved


def _grouped(query: NDArray[np.int64], image: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each query, which are sorted, with its images."""
    borders = np.flatnonzero(np.diff(query, prepend=-1, append=-1))
    for start, stop in itertools.pairwise(borders):
        yield int(query[start]), image[start:stop]


def _spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Return the numbers from each start on, as many as its length, in one array."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
