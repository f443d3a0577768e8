"""Rank by the signed distance to a hyperplane between the relevant and the irrelevant images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cbir.feedback.ranking import Bounds, Ranking, Rows
from cbir.feedback.strategies import Weights, rocchio
from cbir.retrieval.exact import Features, Vector, projection_bounds, projections, squared_distances

LABEL = "linear classifier"
EXPLANATION = "trains a linear classifier on the judgements"

# The parameter C of the support vector machine. In a measurement, values from 0.3 to 100 made little difference.
COST = 1.0

_EPSILON = float(np.finfo(np.float64).eps)


def rank(features: Features, query: Vector, relevant: Rows, irrelevant: Rows, weights: Weights) -> Ranking:
    """Rank by the signed distance to the hyperplane of a linear support vector machine trained on the judgements.

    The query counts as a relevant example. Both classes have the same total weight. The examples are centred on their
    mean and divided by their root mean square distance from it, so that one C suits features of any scale; this
    distance is the unit of the scores. If no image was judged irrelevant, the ranking is that of ``rocchio``. Source:
    Tong and Chang, "Support vector machine active learning for image retrieval", ACM Multimedia 2001.
    """
    if not irrelevant.size:
        return rocchio.rank(features, query, relevant, irrelevant, weights)
    # Imported here, because scikit-learn takes a second to load and a plain search does not need it.
    from sklearn import config_context
    from sklearn.svm import SVC

    examples = np.vstack([query, features[relevant], features[irrelevant]])
    labels = np.repeat([1, 0], [1 + relevant.size, irrelevant.size])
    centre = examples.mean(axis=0)
    spread = np.sqrt(squared_distances(examples, centre).mean()) or 1.0
    # The same weights as class_weight="balanced". Computing them here and skipping scikit-learn's checks of arguments
    # more than halves the time, because training on so few examples takes less time than the checks.
    weight = {label: len(labels) / (2 * np.count_nonzero(labels == label)) for label in (0, 1)}
    with config_context(assume_finite=True, skip_parameter_validation=True):
        machine = SVC(kernel="linear", C=COST, class_weight=weight).fit((examples - centre) / spread, labels)
    # Not SVC.coef_, which is a matrix product: its last digits may depend on the number of threads.
    normal = (machine.dual_coef_[0][:, None] * machine.support_vectors_).sum(axis=0)
    length = np.sqrt((normal**2).sum()) or 1.0
    normal, offset = normal / length, machine.intercept_[0] / length
    return Hyperplane(features, query, normal, (centre * normal).sum(), spread, offset)


@dataclass(frozen=True, eq=False)
class Hyperplane(Ranking):
    """A ranking by the signed distance to a hyperplane: the score of x is ``(x . normal - shift) / spread + offset``.

    Attributes:
        normal: float64 (d,), of length 1.
        shift: the scalar product of the examples' mean and ``normal``.
        spread: the unit of the scores, in feature units.
        offset: the signed distance of the examples' mean, in that unit.
    """

    normal: Vector
    shift: float
    spread: float
    offset: float

    def score(self, rows: Rows | slice) -> Vector:
        """See `Ranking`."""
        return (projections(self.features[rows], self.normal) - self.shift) / self.spread + self.offset

    @staticmethod
    def bounds(rankings: Sequence["Hyperplane"], parts: int) -> Bounds:
        """See `Ranking`."""
        normals = np.stack([ranking.normal for ranking in rankings])
        products, errors = projection_bounds(rankings[0].features, normals, parts)
        shift, spread, offset = (
            np.array([[getattr(ranking, name)] for ranking in rankings]) for name in ("shift", "spread", "offset")
        )
        middle = (products - shift) / spread + offset
        # Bounds of the rounding errors of the difference, the quotient and the sum.
        slack = (errors + 4 * _EPSILON * (np.abs(products) + np.abs(shift))) / spread
        slack += 4 * _EPSILON * (np.abs(middle) + np.abs(offset))
        return middle - slack, middle + slack
