"""Simulate a user who judges the first k results by their category, and measure what the judgements gain.

Judged images would make the next ranking look better than it is, so gains are measured over the residual collection:
judged images are removed from the ranking and from the relevant images. As this removes the easiest images, a round is
compared with the plain ranking over the SAME residual collection, not with the round before.

A query whose relevant images are all judged has no residual ANMRR, and its residual precision is 0. Which queries these
are depends on the strategy and the round. Therefore strategies and rounds are compared over the common queries: those
with relevant images left in every round with every strategy.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.feedback.refinement import Round
from cbir.feedback.rounds import RoundResult, Search, judge_all, start_all
from cbir.files.progress import Progress

# Queries simulated together; their rankings of 50,000 images take 75 MB.
_TOGETHER = 256


@dataclass(frozen=True, eq=False)
class Gain:
    """The figures of each query in each round. Every array is float64 (queries, rounds + 1), column 0 the plain query.

    Attributes:
        precision: precision@k of all results, including judged images.
        residual_precision: precision@k over the images not yet judged.
        residual_precision_plain: that of the plain ranking over the same images.
        residual_nmrr: NMRR over the images not yet judged; NaN where none of them is of the query's category.
        residual_nmrr_plain: that of the plain ranking over the same images.
        judged: the number of images judged so far.
    """

    precision: NDArray[np.float64]
    residual_precision: NDArray[np.float64]
    residual_precision_plain: NDArray[np.float64]
    residual_nmrr: NDArray[np.float64]
    residual_nmrr_plain: NDArray[np.float64]
    judged: NDArray[np.float64]

    def select(self, queries: NDArray[np.bool_]) -> "Gain":
        """Return the figures of the queries where ``queries``, bool (queries,), is True."""
        return Gain(*(getattr(self, field.name)[queries] for field in fields(self)))

    @property
    def something_left(self) -> NDArray[np.bool_]:
        """Which queries have unjudged images of their category in every round, bool (queries,)."""
        return np.logical_not(np.isnan(self.residual_nmrr).any(axis=1))

    def mean(self, common: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """Return a row for each round, with means over the queries.

        Args:
            common: bool (queries,), the queries of the columns ``common_...``. Where strategies are compared, these
                are the queries with `something_left` for all of them. None takes `something_left`.

        Returns:
            Columns ``round``, ``queries``, ``judged``, ``precision_at_k``, the residual figures, ``residual_queries``
            (the number of queries that define the residual ANMRR of this round), and, over the ``common_queries``, the
            residual figures as ``common_residual_...``. A mean over no query is NaN.
        """
        common = self.something_left if common is None else common
        figures = {
            "residual_precision_at_k": self.residual_precision,
            "residual_precision_at_k_plain": self.residual_precision_plain,
            "residual_anmrr": self.residual_nmrr,
            "residual_anmrr_plain": self.residual_nmrr_plain,
        }
        return pd.DataFrame(
            {
                "round": range(self.precision.shape[1]),
                "queries": len(self.precision),
                "judged": self.judged.mean(axis=0),
                "precision_at_k": self.precision.mean(axis=0),
                **{name: _means(values) for name, values in figures.items()},
                "residual_queries": (~np.isnan(self.residual_nmrr)).sum(axis=0),
                "common_queries": int(common.sum()),
                **{f"common_{name}": _means(values[common]) for name, values in figures.items()},
            }
        )


def _means(values: NDArray[np.float64]) -> list[float]:
    return [mean_defined(column) for column in values.T]


def judge_by_category(result: RoundResult) -> Round:
    """Return the simulated user's judgements, as ranks: results of the query's category are relevant, all others not.

    Raises:
        ValueError: when the query's category is not known.
    """
    if result.of_category is None:
        raise ValueError("a simulated user needs the query's category")
    return Round(
        relevant=tuple(np.flatnonzero(result.of_category).tolist()),
        irrelevant=tuple(np.flatnonzero(~result.of_category).tolist()),
    )


def choose(sha256: Sequence[str], count: int, seed: int) -> NDArray[np.bool_]:
    """Choose ``count`` images at random, bool (n,); all if there are fewer.

    The choice is by a hash of content and seed, so adding or removing an image changes it by few images.
    """
    lots = [hashlib.sha256(f"{seed} {digest}".encode()).digest() for digest in sha256]
    chosen = np.zeros(len(lots), dtype=np.bool_)
    chosen[sorted(range(len(lots)), key=lots.__getitem__)[:count]] = True
    return chosen


def simulate(searches: Sequence[Search], rounds: int) -> Iterator[list[RoundResult]]:
    """Yield the results of all searches for round 0, then for ``rounds`` rounds judged by the simulated user."""
    results = start_all(searches)
    yield results
    for _ in range(rounds):
        results = judge_all(searches, results, [judge_by_category(result) for result in results])
        yield results


def measure(searches: Sequence[Search], rounds: int, gtm: int) -> Gain:
    """Simulate the user for several queries, and measure the gain.

    Args:
        searches: a search for each query, all in one gallery and with known categories.
        rounds: how many rounds are judged.
        gtm: GTM of the whole query set in the whole gallery (see `cbir.evaluation.metrics.anmrr`). It is the same for
            all rounds and any subset of the queries, so that their figures can be compared.
    """
    table = np.empty((6, len(searches), rounds + 1))
    progress = Progress("simulated queries", len(searches))
    for start in range(0, len(searches), _TOGETHER):
        some = searches[start : start + _TOGETHER]
        for column, results in enumerate(simulate(some, rounds)):
            if column == 0:
                first = results
            table[:, start : start + len(some), column] = _figures(some, first, results, gtm)
        progress.advance(len(some))
    return Gain(*table)


def _figures(
    searches: Sequence[Search], first: list[RoundResult], results: list[RoundResult], gtm: int
) -> NDArray[np.float64]:
    """Return the six figures of `Gain` for one round, float64 (6, queries)."""
    pairs = list(zip(searches, first, results, strict=True))
    refined = _residual((search, result, result) for search, _, result in pairs)
    before = _residual(pairs)
    nmrr = REGISTRY["anmrr"].per_query
    return np.array(
        [
            [result.precision for result in results],
            [result.residual_precision for result in results],
            [row[: search.k].sum() / search.k for search, row in zip(searches, before, strict=True)],
            nmrr(refined, gtm=gtm),
            nmrr(before, gtm=gtm),
            [result.relevant.size + result.irrelevant.size for result in results],
        ]
    )


def _residual(rankings: Iterable[tuple[Search, RoundResult, RoundResult]]) -> NDArray[np.bool_]:
    """Return the relevance matrix, bool (queries, images), of rankings without the images that were already judged.

    Args:
        rankings: a search, the round whose ranking is measured, and the round whose judged images are removed.

    Rows are padded with False, which does not change any of the figures.
    """
    rows = []
    for search, ranked, judged in rankings:
        kept = np.ones(len(search.gallery.image_ids), dtype=np.bool_)
        kept[judged.relevant] = kept[judged.irrelevant] = False
        order = ranked.order[kept[ranked.order]]
        row = np.zeros(len(kept), dtype=np.bool_)
        row[: len(order)] = search.gallery.of_category(search.category or "")[order]
        rows.append(row)
    return np.stack(rows)
