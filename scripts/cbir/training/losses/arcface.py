"""ArcFace: additive angular margin (Deng, Guo, Xue and Zafeiriou, CVPR 2019)."""

import math
from typing import Any

from keras import ops

from cbir.training.losses._loss import Loss
from cbir.training.losses._similarities import ProxyLoss, cosines, cross_entropy
from cbir.training.settings import TrainingSettings

OPTIONS = {
    "margin": {
        "description": "How much nearer an image must be to the proxy of its category, in radians.",
        "type": "number",
        "minimum": 0,
        "maximum": 1.5,
        "default": 0.5,
    },
    "scale": {
        "description": "Factor of the cosines.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 64,
    },
    "rate": {
        "description": "Factor of the learning rate for the proxies.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 100,
    },
}

# Keeps cosines away from -1 and 1, where the derivative of the arc cosine is infinite.
_EPSILON = 1e-7


def build(
    settings: TrainingSettings,
    categories: int,
    dimension: int,
    *,
    margin: float,
    scale: float,
    rate: float,
) -> Loss:
    """Return the ArcFace loss, whose variable is a proxy of each category."""
    return ArcFace(categories, dimension, margin, scale, rate, settings.seed)


class ArcFace(ProxyLoss):
    """The mean cross-entropy of the scaled cosines between images and proxies.

    The margin is added to the angle between an image and the proxy of its category. The cosine of this sum would rise
    again above pi. There cos(angle) - margin sin(margin) is used instead.
    """

    def __init__(self, categories: int, dimension: int, margin: float, scale: float, rate: float, seed: int) -> None:
        super().__init__("arcface", categories, dimension, rate, seed)
        self.margin, self.scale = margin, scale

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss and 1, because every term is active."""
        similar = cosines(embeddings, self.proxies)
        angles = ops.arccos(ops.clip(similar, -1 + _EPSILON, 1 - _EPSILON))
        farther = ops.where(
            angles <= math.pi - self.margin,
            ops.cos(angles + self.margin),
            ops.cos(angles) - self.margin * math.sin(self.margin),
        )
        own = self.own(targets["labels"])
        return cross_entropy(self.scale * ops.where(own, farther, similar), own), ops.ones(())
