"""A simulated user, who judges the first k results by their category, and what the judgements gain.

Judged images would flatter the next ranking, so gains are measured over the residual collection: the judged images are
taken out of the ranking and of the relevant images. As that also takes out the easiest ones, a round is compared with
the plain ranking over the SAME residual collection, not with the round before.

A query whose relevant images are all judged has no residual ANMRR, and nothing left to find in a residual precision.
Which queries these are differs from strategy to strategy and from round to round, so strategies and rounds are compared
over the queries that have something left in every round with every strategy.
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

# Queries that are simulated together; their rankings of 50,000 images take 75 MB.
_TOGETHER = 256


@dataclass(frozen=True, eq=False)
class Gain:
    """Each query's figures, round by round; every array is float64 (queries, rounds + 1), column 0 the plain query.

    Attributes:
        precision: precision@k of all results, judged ones among them.
        residual_precision: precision@k over the images not yet judged.
        residual_precision_plain: the plain query's, over the same images.
        residual_nmrr: NMRR over the images not yet judged; NaN where none of the query's category is left.
        residual_nmrr_plain: the plain query's, over the same images.
        judged: how many images had been judged.
    """

    precision: NDArray[np.float64]
    residual_precision: NDArray[np.float64]
    residual_precision_plain: NDArray[np.float64]
    residual_nmrr: NDArray[np.float64]
    residual_nmrr_plain: NDArray[np.float64]
    judged: NDArray[np.float64]

    def select(self, queries: NDArray[np.bool_]) -> "Gain":
        """Return the figures of some queries alone; ``queries`` is bool, one a query."""
        return Gain(*(getattr(self, field.name)[queries] for field in fields(self)))

    @property
    def something_left(self) -> NDArray[np.bool_]:
        """Which queries have an image of their category left to find in every round, bool (queries,)."""
        return np.logical_not(np.isnan(self.residual_nmrr).any(axis=1))

    def mean(self, common: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """Return one row a round: means over the queries.

        Args:
            common: bool (queries,), those that the columns ``common_...`` are of: where several strategies are
                compared, the queries that have something left with all of them. None: `something_left`.

        Returns:
            Columns ``round``, ``queries``, ``judged``, ``precision_at_k``, the residual figures (ANMRR over the
            ``residual_queries`` with something left in this round) and, over the ``common_queries``, the same figures
            as ``common_residual_...``; NaN where there are none.
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
    """Return the simulated user's judgement of a round's results, as ranks; relevant means of the query's category.

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
    """Choose ``count`` images at random, bool (n,); all when there are fewer.

    What is chosen depends on the images' contents and the seed, so that an image more or less moves few others.
    """
    lots = [hashlib.sha256(f"{seed} {digest}".encode()).digest() for digest in sha256]
    chosen = np.zeros(len(lots), dtype=np.bool_)
    chosen[sorted(range(len(lots)), key=lots.__getitem__)[:count]] = True
    return chosen


def simulate(searches: Sequence[Search], rounds: int) -> Iterator[list[RoundResult]]:
    """Yield round 0 and ``rounds`` rounds judged by the simulated user, each of all searches."""
    results = start_all(searches)
    yield results
    for _ in range(rounds):
        results = judge_all(searches, results, [judge_by_category(result) for result in results])
        yield results


def measure(searches: Sequence[Search], rounds: int, gtm: int) -> Gain:
    """Return what the simulated user's judgements gain over several queries.

    Args:
        searches: one a query of one gallery, its category known.
        rounds: how many rounds are judged.
        gtm: GTM of the whole query set on the whole gallery (see ``cbir.evaluation.metrics.anmrr``). It stays the same
            over the rounds and over any choice of queries, so that their figures compare.
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
    """Return what `Gain` holds of one round, (6, queries)."""
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
    """Return the relevance, bool (queries, images), of rankings without the images judged before another round.

    A row is filled up with images that are not relevant, which no figure tells from none.
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
