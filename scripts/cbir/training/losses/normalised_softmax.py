"""Normalised softmax (Zhai and Wu, "Classification is a strong baseline for deep metric learning", BMVC 2019)."""

from typing import Any

from keras import ops

from cbir.training.losses._loss import Loss
from cbir.training.losses._similarities import ProxyLoss, cosines, cross_entropy
from cbir.training.settings import TrainingSettings

OPTIONS = {
    "temperature": {
        "description": "Divisor of the cosines.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.05,
    },
    "rate": {
        "description": "Factor of the learning rate for the proxies.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 100,
    },
}


def build(settings: TrainingSettings, categories: int, dimension: int, *, temperature: float, rate: float) -> Loss:
    """Return the normalised softmax loss, whose variable is a proxy of each category."""
    return NormalisedSoftmax(categories, dimension, temperature, rate, settings.seed)


class NormalisedSoftmax(ProxyLoss):
    """The mean over images of the cross-entropy of their cosines to all proxies, divided by the temperature."""

    def __init__(self, categories: int, dimension: int, temperature: float, rate: float, seed: int) -> None:
        super().__init__("normalised-softmax", categories, dimension, rate, seed)
        self.temperature = temperature

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss and 1, because every term is active."""
        logits = cosines(embeddings, self.proxies) / self.temperature
        return cross_entropy(logits, self.own(targets["labels"])), ops.ones(())
