"""Compute many rankings of one gallery together, with the same result as one by one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from cbir.feedback.ranking import Ranking, Rows
from cbir.files import threads
from cbir.retrieval import exact


def orders(rankings: Sequence[Ranking]) -> list[Rows]:
    """Return what ``ranking.order`` is for each of several rankings of the same gallery, int64 (n,) each.

    The bounds of all rankings of one class are computed together, by matrix products. Scores are computed only for
    images whose order the bounds leave open.
    """
    found: list[Any] = [None] * len(rankings)
    with threads.shared() as parts, np.errstate(over="ignore", invalid="ignore"):
        for kind in dict.fromkeys(map(type, rankings)):
            places = [place for place, ranking in enumerate(rankings) if type(ranking) is kind]
            bounds = rankings[places[0]].bounds([rankings[place] for place in places], parts)
            for place, low, high in zip(places, *bounds, strict=True):
                found[place] = exact.order_by_bounds(-high, -low, partial(_negative_score, rankings[place]))
    return found


def _negative_score(ranking: Ranking, rows: Rows) -> exact.Vector:
    return -ranking.score(rows)
