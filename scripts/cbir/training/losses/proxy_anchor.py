"""The proxy-anchor loss (Kim, Kim, Cho and Kwak, CVPR 2020)."""

from typing import Any

from keras import ops

from cbir.training.losses._loss import Loss
from cbir.training.losses._similarities import ProxyLoss, cosines, log_sum_exp
from cbir.training.settings import TrainingSettings

OPTIONS = {
    "margin": {
        "description": "How far images are pulled towards their proxy and pushed away from the others, in cosine.",
        "type": "number",
        "minimum": 0,
        "default": 0.1,
    },
    "alpha": {
        "description": "Sharpness of the weights; higher values prefer the hardest images of a proxy.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 32,
    },
    "rate": {
        "description": "Factor of the learning rate for the proxies.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 100,
    },
}


def build(
    settings: TrainingSettings,
    categories: int,
    dimension: int,
    *,
    margin: float,
    alpha: float,
    rate: float,
) -> Loss:
    """Return the proxy-anchor loss, whose variable is a proxy of each category."""
    return ProxyAnchor(categories, dimension, margin, alpha, rate, settings.seed)


class ProxyAnchor(ProxyLoss):
    """The sum of two means over proxies, one for positive and one for negative images.

    They are the mean of log(1 + sum exp(-alpha (s+ - margin))) over the proxies of categories in the batch, and the
    mean of log(1 + sum exp(alpha (s- + margin))) over all proxies. s+ are the cosines of a proxy to the images of its
    category, s- those to other images.
    """

    def __init__(self, categories: int, dimension: int, margin: float, alpha: float, rate: float, seed: int) -> None:
        super().__init__("proxy-anchor", categories, dimension, rate, seed)
        self.margin, self.alpha = margin, alpha

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss and 1, because every term is active."""
        similar = cosines(embeddings, self.proxies)
        own = self.own(targets["labels"])
        near = log_sum_exp(-self.alpha * (similar - self.margin), own, axis=0, one=True)
        far = log_sum_exp(self.alpha * (similar + self.margin), ops.logical_not(own), axis=0, one=True)
        # A proxy without an image in the batch adds log(1) = 0 to the sum.
        present = ops.sum(ops.cast(ops.any(own, axis=0), "float32"))
        return ops.sum(near) / present + ops.mean(far), ops.ones(())
