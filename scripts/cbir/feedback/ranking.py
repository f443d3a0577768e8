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
"""Lower and upper bounds of scores, each float64 (rankings, n)."""


@dataclass(frozen=True, eq=False)
class Ranking(ABC):
    """A ranking of the gallery by a score of each image. The score must not depend on other images of the gallery.

    Attributes:
        features: (n, d) float32 or float64, the gallery.
        vector: float64 (d,), the query vector.
    """

    features: Features
    vector: Vector

    def __init_subclass__(cls) -> None:
        """Give a subclass that overrides only `score` the default `bounds`: inherited ones would not fit its scores."""
        if "score" in vars(cls) and "bounds" not in vars(cls):
            cls.bounds = staticmethod(Ranking.bounds)  # type: ignore[method-assign]

    @abstractmethod
    def score(self, rows: Rows | slice) -> Vector:
        """Return the scores of some gallery rows, float64; a higher score ranks first.

        The score of a row must be bit-identical whichever other rows are passed with it.
        """

    @staticmethod
    def bounds(rankings: Sequence[Any], parts: int) -> Bounds:
        """Return bounds of all scores of several rankings of this class and of one gallery.

        They make the simulated user fast, who ranks the gallery for hundreds of queries: a matrix product computes
        bounds much faster than exact scores, which are then needed only where bounds overlap. This default returns the
        scores themselves. A class overrides it if its scores follow from a matrix product.

        Args:
            rankings: rankings of this class with the same ``features``.
            parts: how many threads to use.

        Returns:
            Lower and upper bounds of the scores, or of the same increasing function of all scores.
        """
        scores = np.stack([ranking.scores for ranking in rankings])
        return scores, scores

    @cached_property
    def scores(self) -> Vector:
        """All scores, float64 (n,)."""
        return self.score(slice(None))

    @cached_property
    def order(self) -> Rows:
        """All gallery rows, highest score first; equal scores in row order."""
        return np.argsort(-self.scores, kind="stable")


@dataclass(frozen=True, eq=False)
class Near(Ranking):
    """A ranking by Euclidean distance to ``vector``, as in a search without feedback; scores are negative distances."""

    def score(self, rows: Rows | slice) -> Vector:
        """See `Ranking`."""
        return -np.sqrt(squared_distances(self.features[rows], self.vector))

    @staticmethod
    def bounds(rankings: Sequence["Near"], parts: int) -> Bounds:
        """See `Ranking`; these are bounds of negative squared distances."""
        vectors = np.stack([ranking.vector for ranking in rankings])
        squares, errors = squared_distance_bounds(vectors, rankings[0].features, parts=parts)
        # The square root is increasing, so bounds of squared distances do as well as bounds of distances.
        return -(squares + errors[:, None]), -(squares - errors[:, None])
