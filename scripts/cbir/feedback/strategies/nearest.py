"""Rank by the distance to the nearest relevant image relative to the distance to the nearest irrelevant one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cbir.feedback.ranking import Bounds, Ranking, Rows
from cbir.feedback.strategies import Weights
from cbir.retrieval.exact import Features, Vector, nearest_squared_distances, squared_distance_bounds

LABEL = "nearest"
EXPLANATION = "compares each image's distance to the nearest relevant with that to the nearest irrelevant one"

# The most bytes of distances in memory at once.
_BYTES = 256_000_000

_EPSILON = float(np.finfo(np.float64).eps)


def rank(features: Features, query: Vector, relevant: Rows, irrelevant: Rows, weights: Weights) -> Ranking:
    """Rank by the relevance score D_irr / (D_rel + D_irr) of nearest-neighbour distances.

    D_rel is an image's distance to the nearest relevant image, where the query counts as one; D_irr is that to the
    nearest irrelevant image. An image at distance 0 from both scores 1/2. If no image was judged irrelevant, the score
    is -D_rel, which gives the order that the score approaches as the irrelevant images move away. Source: Giacinto, "A
    nearest-neighbor approach to relevance feedback in content based image retrieval", CIVR 2007.
    """
    return NearestJudged(features, query, relevant, irrelevant)


@dataclass(frozen=True, eq=False)
class NearestJudged(Ranking):
    """The ranking of `rank`.

    Attributes:
        relevant: gallery rows judged relevant; ``vector`` counts as a further one.
        irrelevant: gallery rows judged irrelevant.
    """

    relevant: Rows
    irrelevant: Rows

    def score(self, rows: Rows | slice) -> Vector:
        """See `Ranking`."""
        scored, features = self.features[rows], self.features
        close = np.sqrt(nearest_squared_distances(scored, np.vstack([self.vector, features[self.relevant]])))
        if not self.irrelevant.size:
            return -close
        far = np.sqrt(nearest_squared_distances(scored, features[self.irrelevant].astype(np.float64)))
        total = close + far
        return np.divide(far, total, out=np.full(len(total), 0.5), where=total > 0)

    @staticmethod
    def bounds(rankings: Sequence["NearestJudged"], parts: int) -> Bounds:
        """See `Ranking`."""
        features = rankings[0].features
        low, high = np.empty((2, len(rankings), len(features)))
        points = max(1 + ranking.relevant.size + ranking.irrelevant.size for ranking in rankings)
        step = max(1, _BYTES // (8 * points * max(len(features), 1)))
        for start in range(0, len(rankings), step):
            some = rankings[start : start + step]
            # The distances of images that occur in several rankings are computed once.
            judged = np.unique(
                np.concatenate([rows for ranking in some for rows in (ranking.relevant, ranking.irrelevant)])
            )
            vectors = np.vstack([*(ranking.vector for ranking in some), features[judged]])
            squares, errors = squared_distance_bounds(vectors, features, parts=parts)
            error = errors.max()
            for number, ranking in enumerate(some):
                relevant, irrelevant = (
                    len(some) + np.searchsorted(judged, rows) for rows in (ranking.relevant, ranking.irrelevant)
                )
                close = squares[[number, *relevant]].min(axis=0)
                nearer, less_near = np.sqrt(np.maximum(close - error, 0)), np.sqrt(close + error)
                if irrelevant.size:
                    far = squares[irrelevant].min(axis=0)
                    less_far, farther = np.sqrt(np.maximum(far - error, 0)), np.sqrt(far + error)
                    # Bounds of the rounding errors of roots, sum and quotient; the score is at most 1.
                    low[start + number] = less_far / (less_near + less_far) - 8 * _EPSILON
                    high[start + number] = farther / (nearer + farther) + 8 * _EPSILON
                else:
                    low[start + number] = -less_near * (1 + 4 * _EPSILON)
                    high[start + number] = -nearer * (1 - 4 * _EPSILON)
        return low, high
