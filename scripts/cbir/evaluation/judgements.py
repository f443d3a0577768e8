"""Relevance judgements: which gallery images are relevant to each query, and which are left out of its ranking.

Images left out are removed before anything is measured, as if the gallery did not hold them: the query itself where it
is an image of the gallery, images of its fold, and junk. Junk is neither right nor wrong, such as a picture that shows
a query's building too small to be recognised (Philbin et al., "Object retrieval with large vocabularies and fast
spatial matching", CVPR 2007).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection.categories import Relevant
from cbir.evaluation.relevance import Relevance

Order = NDArray[np.int64]
Labels = NDArray[np.int64]

SETUPS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "easy": (frozenset({"relevant", "easy"}), frozenset({"junk", "hard"})),
    "medium": (frozenset({"relevant", "easy", "hard"}), frozenset({"junk"})),
    "hard": (frozenset({"relevant", "hard"}), frozenset({"junk", "easy"})),
}
"""Which grades are relevant, and which are left out, in each setup of Revisited Oxford and Paris (Radenovic et al.,
"Revisiting Oxford and Paris: large-scale image retrieval benchmarking", CVPR 2018). Images of the grade ``relevant``
are relevant in all of them."""


@dataclass(frozen=True, eq=False)
class Judgements:
    """The judgements of a set of queries.

    Attributes:
        relevant: int64 (queries,), NG: the number of relevant images in the ranking of each query.
        ranked: int64 (queries,), the number of images in the ranking of each query.
        right: takes a block of queries and their rows of the gallery (block, any); returns bool (block, any), True for
            relevant images. It may be True for an excluded image.
        passed_over: takes the same; returns True for images that are excluded from the ranking. None if there are none.
    """

    relevant: NDArray[np.int64]
    ranked: NDArray[np.int64]
    right: Callable[[slice, Order], Relevance]
    passed_over: Callable[[slice, Order], Relevance] | None = None

    def judge(self, rows: slice, order: Order) -> tuple[Order, Relevance]:
        """Return rankings with the images that are left out moved to the end, and which images in them are relevant.

        Args:
            rows: a block of the queries.
            order: int64 (block, any), gallery rows, closest first: all, or the first ones.

        Returns:
            The rankings, int64 (block, any), of which only the first ``ranked`` of a row count. And bool (block, any),
            True where an image is relevant. It is False for images left out; to every metric, that is the same as a
            shorter ranking.
        """
        right = self.right(rows, order)
        if self.passed_over is None:
            return order, right
        out = self.passed_over(rows, order)
        places = np.argsort(out, axis=1, kind="stable")
        return np.take_along_axis(order, places, axis=1), np.take_along_axis(right & ~out, places, axis=1)


def by_category(gallery: Labels, queries: Labels, relevant: Relevant) -> Judgements:
    """Return the judgements in which an image is relevant if it shares a category with the query.

    Args:
        gallery: (n,) labels, 0 and above.
        queries: (q,) labels, likewise.
        relevant: which labels share a category.
    """
    counts = relevant.count(np.bincount(gallery, minlength=len(relevant.has)))[queries]
    ranked = np.full(len(queries), len(gallery))
    return Judgements(counts, ranked, lambda rows, order: relevant(gallery[order], queries[rows, None]))


def across_folds(labels: Labels, folds: Labels, relevant: Relevant) -> Judgements:
    """Return the judgements of a collection that is searched by its own images: a query's own fold is left out.

    Args:
        labels: (n,), the label of each image, 0 and above.
        folds: (n,), the fold of each image; neither the query nor another image of its fold is a result.
        relevant: which labels share a category.
    """
    everywhere = by_category(labels, labels, relevant)
    _, fold, sizes = np.unique(folds, return_inverse=True, return_counts=True)
    inside = np.zeros((len(sizes), len(relevant.has)), np.int64)
    np.add.at(inside, (fold, labels), 1)
    found = np.stack([relevant.count(counts) for counts in inside])[fold, labels]
    return Judgements(
        everywhere.relevant - found,
        len(labels) - sizes[fold],
        everywhere.right,
        lambda rows, order: folds[order] == folds[rows, None],
    )


def by_list(table: pd.DataFrame, queries: NDArray[np.object_], gallery: NDArray[np.object_], setup: str) -> Judgements:
    """Return the judgements of a list of relevant and junk images.

    Args:
        table: columns ``RELEVANCE_COLUMNS`` of `cbir.collection.relevance`.
        queries: (q,) image_ids.
        gallery: (n,) image_ids; images of the list that are not among them are ignored.
        setup: one of ``SETUPS``.
    """
    right, junk = (_listed(table[table["grade"].isin(grades)], queries, gallery) for grades in SETUPS[setup])

    def held(rows_of: list[NDArray[np.int64]]) -> Callable[[slice, Order], Relevance]:
        def block(rows: slice, order: Order) -> Relevance:
            found, listed = np.empty(order.shape, np.bool_), np.zeros(len(gallery), np.bool_)
            for row, places in enumerate(rows_of[rows]):
                listed[places] = True
                found[row] = listed[order[row]]
                listed[places] = False
            return found

        return block

    return Judgements(
        np.array([len(places) for places in right], np.int64),
        np.array([len(gallery) - len(places) for places in junk], np.int64),
        held(right),
        held(junk),
    )


def _listed(table: pd.DataFrame, queries: NDArray[np.object_], gallery: NDArray[np.object_]) -> list[NDArray[np.int64]]:
    """Return the rows of the gallery that are listed for each query."""
    query = pd.Index(queries).get_indexer(pd.Index(table["query"]))
    place = pd.Index(gallery).get_indexer(pd.Index(table["image_id"]))
    known = (query >= 0) & (place >= 0)
    order = np.lexsort((place[known], query[known]))
    borders = np.searchsorted(query[known][order], np.arange(1, len(queries)))
    return np.split(place[known][order].astype(np.int64), borders)
