"""Rankings of a gallery by a score of each image; each strategy returns one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.retrieval.exact import Features, Vector, squared_distance_bounds, squared_distances

Rows = NDArray[np.intp]
Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Bounds of scores from below and from above, each float64 (rankings, n)."""


@dataclass(frozen=True, eq=False)
class Ranking(ABC):
    """A ranking of the gallery by a score of each image, which depends on no other image of the gallery.

    Attributes:
        features: (n, d) float32 or float64, the gallery.
        vector: float64 (d,), the query vector that is searched with.
    """

    features: Features
    vector: Vector

    def __init_subclass__(cls) -> None:
        """Reset `bounds` of a subclass that overrides `score`, since inherited bounds would be of other scores."""
        if "score" in vars(cls) and "bounds" not in vars(cls):
            cls.bounds = staticmethod(Ranking.bounds)  # type: ignore[method-assign]

    @abstractmethod
    def score(self, rows: Rows | slice) -> Vector:
        """Return the scores of some gallery rows, float64; higher is closer.

        A row's score has the same digits whichever rows are asked for with it.
        """

    @staticmethod
    def bounds(rankings: Sequence[Any], parts: int) -> Bounds:
        """Return bounds of all scores of several rankings of this class and of one gallery.

        A simulated user ranks for hundreds of queries. A class whose scores follow from a matrix product gives bounds
        that are computed much faster than the scores; where they overlap, the scores decide. This one, for all other
        classes, returns the scores themselves.

        Args:
            rankings: all of this class and with the same ``features``.
            parts: how many threads to use.

        Returns:
            Numbers that each score lies between. Any increasing function of the scores does as well.
        """
        scores = np.stack([ranking.scores for ranking in rankings])
        return scores, scores

    @cached_property
    def scores(self) -> Vector:
        """All scores, float64 (n,)."""
        return self.score(slice(None))

    @cached_property
    def order(self) -> Rows:
        """All gallery rows, closest first; equal scores in row order."""
        return np.argsort(-self.scores, kind="stable")


@dataclass(frozen=True, eq=False)
class Near(Ranking):
    """By the Euclidean distance to ``vector``, as a search without feedback; scores are negative distances."""

    def score(self, rows: Rows | slice) -> Vector:
        """See `Ranking`."""
        return -np.sqrt(squared_distances(self.features[rows], self.vector))

    @staticmethod
    def bounds(rankings: Sequence["Near"], parts: int) -> Bounds:
        """See `Ranking`; these are bounds of negative squared distances."""
        vectors = np.stack([ranking.vector for ranking in rankings])
        squares, errors = squared_distance_bounds(vectors, rankings[0].features, parts=parts)
        # The square root keeps the order: squares that are further apart than their errors have different roots.
        return -(squares + errors[:, None]), -(squares - errors[:, None])
