"""The first results of each query, where a gallery is too large to be ranked as a whole.

An approximate index finds them, and their exact distances order them; without one, the exact search does.
"""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from cbir.evaluation.judgements import Judgements, Order
from cbir.features.store import FeatureStore
from cbir.retrieval import exact
from cbir.retrieval.index import Index, over
from cbir.retrieval.quality import recall

log = logging.getLogger("cbir")

RANKED = 1000
"""So many results of each query are ranked, at least; as trec_eval does."""
_MEASURED = 100
"""Queries whose results are compared with the exact search, to choose the index's search parameter."""
_MOST_SHORT = 0.05
"""Share of these queries, at most, for which too few candidates are found: each is then compared with all images."""
_BLOCK, _CELLS = 1000, 4_000_000
"""Queries that are searched with together, and their results: 16 bytes each."""


def searcher(
    index: Index | None, gallery: FeatureStore, queries: FeatureStore, ranked: int, least: float, seed: int
) -> tuple[Index, float]:
    """Return what finds the first results, and its recall at that rank.

    An approximate index is searched with the lowest value of its search parameter that reaches ``least`` at this rank
    on a sample of the queries, and that finds enough candidates for nearly all of them. It is higher than the value for
    ten results. Other kinds miss nothing, but the exact search answers many queries faster, so it is used instead.

    Args:
        index: the gallery's.
        gallery: what is searched.
        queries: whose results are ranked.
        ranked: how many results are.
        least: recall that an approximate index shall have.
        seed: chooses the sample.
    """
    if index is None or index.effort is None:
        return over(gallery.features, "exact"), 1.0
    count = min(_MEASURED, len(queries.features))
    chosen = queries.features[np.sort(np.random.default_rng(seed).permutation(len(queries.features))[:count])]
    exactly, _ = exact.nearest(chosen, gallery.features, ranked)
    reached = 0.0
    efforts = index.efforts()
    for effort in efforts:
        index = index.with_effort(effort)
        if effort < efforts[-1] and index.share_compared_with_all(chosen, ranked) > _MOST_SHORT:
            continue
        reached = recall(index.search(chosen, ranked)[0], exactly, ranked)
        if reached >= least:
            return index, reached
    log.warning(
        "the recall of the first %d results is %.3f, below index.recall %.3f, with the highest search parameter: take "
        "another kind of index",
        *(ranked, reached, least),
    )
    return index, reached


def rankings(
    index: Index, queries: FeatureStore, judged: Sequence[Judgements], ranked: int
) -> Iterator[tuple[slice, Order]]:
    """Rank the first results of each query, in blocks of queries.

    Args:
        index: as `searcher` returns it.
        queries: (q, d).
        judged: judgements, each of which may exclude images from the results. For each of them ``ranked`` results
            remain, or all that the gallery has.
        ranked: how many results each query gets.

    Yields:
        The block's query rows as a slice, and gallery rows (block, ``ranked`` or more) int64, nearest first.
    """
    most = max(int((index.rows - item.ranked).max(initial=0)) for item in judged)
    # All excluded images of a query may be among its nearest ones, so as many additional results are ranked, up to
    # twice as many as needed; `_search` ranks more if that is not enough.
    depth = min(ranked + min(most, ranked), index.rows)
    for start in range(0, len(queries.features), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(queries.features)))
        yield from _search(index, queries, judged, ranked, rows, depth)


def _search(
    index: Index, queries: FeatureStore, judged: Sequence[Judgements], ranked: int, rows: slice, depth: int
) -> Iterator[tuple[slice, Order]]:
    count = rows.stop - rows.start
    if count > 1 and count * depth > _CELLS:
        middle = rows.start + count // 2
        for half in (slice(rows.start, middle), slice(middle, rows.stop)):
            yield from _search(index, queries, judged, ranked, half, depth)
        return
    _, order = index.search(queries.features[rows], depth)
    if depth == index.rows or all(_suffices(item, rows, order, ranked) for item in judged):
        yield rows, order
    else:
        yield from _search(index, queries, judged, ranked, rows, min(2 * depth, index.rows))


def _suffices(judged: Judgements, rows: slice, order: Order, ranked: int) -> bool:
    if judged.passed_over is None:
        return order.shape[1] >= ranked
    left = order.shape[1] - judged.passed_over(rows, order).sum(axis=1)
    return bool((left >= np.minimum(ranked, judged.ranked[rows])).all())
