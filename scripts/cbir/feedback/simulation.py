"""A simulated user, who judges the first k results by their category, and what the judgements gain.

Judged images would flatter the next ranking, so gains are measured over the residual collection: the judged images are
taken out of the ranking and of the relevant images. As that also takes out the easiest ones, a round is compared with
the plain ranking over the SAME residual collection, not with the round before.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.feedback.refinement import Round
from cbir.feedback.rounds import RoundResult, Search
from cbir.metrics import mean_defined, nmrr
from cbir.progress import Progress


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

    def mean(self) -> pd.DataFrame:
        """Return one row a round: the means over the queries, ANMRR over those with something left to find."""
        return pd.DataFrame(
            {
                "round": range(self.precision.shape[1]),
                "queries": len(self.precision),
                "judged": self.judged.mean(axis=0),
                "precision_at_k": self.precision.mean(axis=0),
                "residual_precision_at_k": self.residual_precision.mean(axis=0),
                "residual_precision_at_k_plain": self.residual_precision_plain.mean(axis=0),
                "residual_anmrr": [mean_defined(column) for column in self.residual_nmrr.T],
                "residual_anmrr_plain": [mean_defined(column) for column in self.residual_nmrr_plain.T],
            }
        )


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


def simulate(search: Search, rounds: int) -> list[RoundResult]:
    """Return round 0 and ``rounds`` rounds judged by the simulated user."""
    results = [search.start()]
    for _ in range(rounds):
        results.append(search.judge(results[-1], judge_by_category(results[-1])))
    return results


def measure(searches: Sequence[Search], rounds: int, gtm: int) -> Gain:
    """Return what the simulated user's judgements gain over several queries.

    Args:
        searches: one a query, its category known.
        rounds: how many rounds are judged.
        gtm: GTM of the whole query set on the whole gallery (see ``cbir.metrics.nmrr``). It stays the same over the
            rounds and over any choice of queries, so that their figures compare.
    """
    table = np.empty((6, len(searches), rounds + 1))
    progress = Progress("simulated queries", len(searches))
    for query, search in enumerate(searches):
        results = simulate(search, rounds)
        for column, result in enumerate(results):
            refined, before = _residual(search, result, result), _residual(search, results[0], result)
            table[:, query, column] = (
                result.precision,
                result.residual_precision,
                before[:, : search.k].sum() / search.k,
                nmrr(refined, gtm)[0],
                nmrr(before, gtm)[0],
                result.relevant.size + result.irrelevant.size,
            )
        progress.advance()
    return Gain(*table)


def _residual(search: Search, ranked: RoundResult, judged: RoundResult) -> NDArray[np.bool_]:
    """Return the relevance, bool (1, images), of one round's ranking without the images judged before another."""
    order = ranked.order[~np.isin(ranked.order, np.concatenate([judged.relevant, judged.irrelevant]))]
    relevance: NDArray[np.bool_] = search.gallery.categories[order] == search.category
    return relevance[None]
