"""The multi-similarity loss (Wang, Han, Huang, Dong and Scott, CVPR 2019)."""

from typing import Any

from keras import ops

from cbir.training.losses._loss import Loss
from cbir.training.losses._similarities import cosines, log_sum_exp, pairs
from cbir.training.settings import TrainingSettings

OPTIONS = {
    "alpha": {
        "description": "Sharpness of the weights of pairs of one category; higher values prefer distant pairs.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 2,
    },
    "beta": {
        "description": "Sharpness of the weights of pairs of two categories; higher values prefer near pairs.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 50,
    },
    "base": {
        "description": "The cosine at which pairs of both kinds begin to weigh.",
        "type": "number",
        "minimum": -1,
        "maximum": 1,
        "default": 0.5,
    },
    "epsilon": {
        "description": "A pair is ignored if it is better than the anchor's worst pair of the other kind by more than "
        "this cosine; null uses all pairs.",
        "type": ["number", "null"],
        "minimum": 0,
        "default": 0.1,
    },
}


def build(
    settings: TrainingSettings,
    categories: int,
    dimension: int,
    *,
    alpha: float,
    beta: float,
    base: float,
    epsilon: float | None,
) -> Loss:
    """Return the multi-similarity loss; it has no variables."""
    return MultiSimilarity(alpha, beta, base, epsilon)


class MultiSimilarity(Loss):
    """The mean over anchors of two terms, one for positive and one for negative pairs.

    They are log(1 + sum exp(-alpha (s+ - base))) / alpha and log(1 + sum exp(beta (s- - base))) / beta. s+ are the
    cosines of the anchor to images of its category, s- those to others. Pairs are mined as in the paper: s+ is used if
    it is below the largest s- plus epsilon, and s- if it is above the smallest s+ minus epsilon.
    """

    def __init__(self, alpha: float, beta: float, base: float, epsilon: float | None) -> None:
        super().__init__("multi-similarity")
        self.alpha, self.beta, self.base, self.epsilon = alpha, beta, base, epsilon

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss and the share of pairs that are used."""
        similar = cosines(embeddings, embeddings)
        positive, negative = pairs(targets["labels"])
        of_all = ops.sum(ops.cast(positive, "float32")) + ops.sum(ops.cast(negative, "float32"))
        if self.epsilon is not None:
            highest = ops.max(ops.where(negative, similar, -2), axis=1, keepdims=True)
            lowest = ops.min(ops.where(positive, similar, 2), axis=1, keepdims=True)
            positive = ops.logical_and(positive, similar - self.epsilon < highest)
            negative = ops.logical_and(negative, similar + self.epsilon > lowest)
        near = log_sum_exp(-self.alpha * (similar - self.base), positive, axis=1, one=True) / self.alpha
        far = log_sum_exp(self.beta * (similar - self.base), negative, axis=1, one=True) / self.beta
        counted = ops.sum(ops.cast(positive, "float32")) + ops.sum(ops.cast(negative, "float32"))
        return ops.mean(near + far), counted / of_all
