"""The supervised contrastive loss (Khosla et al., NeurIPS 2020; its first form, L_out)."""

from typing import Any

from keras import ops

from cbir.training.losses._loss import Loss
from cbir.training.losses._similarities import cosines, log_sum_exp, pairs
from cbir.training.settings import TrainingSettings

OPTIONS = {
    "temperature": {
        "description": "Divisor of the cosines; lower values give the nearest images more weight.",
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 0.1,
    },
}


def build(settings: TrainingSettings, categories: int, dimension: int, *, temperature: float) -> Loss:
    """Return the supervised contrastive loss; it has no variables."""
    return SupervisedContrastive(temperature)


class SupervisedContrastive(Loss):
    """The mean over anchors of the mean over positives p of -log softmax(s / temperature)[p].

    s are the cosines of the anchor to all other images of the batch; positives are those of its category.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__("supcon")
        self.temperature = temperature

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss and 1, because every term is active."""
        logits = cosines(embeddings, embeddings) / self.temperature
        positive, negative = pairs(targets["labels"])
        every = log_sum_exp(logits, ops.logical_or(positive, negative), axis=1, one=False)
        count = ops.sum(ops.cast(positive, "float32"), axis=1)
        of_anchor = every - ops.sum(ops.where(positive, logits, 0), axis=1) / ops.maximum(count, 1)
        # An anchor without a positive has no term in the mean.
        has_terms = ops.cast(count > 0, "float32")
        return ops.sum(has_terms * of_anchor) / ops.maximum(ops.sum(has_terms), 1), ops.ones(())
