"""The triplet loss: |f(a) - f(p)|^2 + margin < |f(a) - f(n)|^2."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from cbir.training.losses import _mining
from cbir.training.losses._loss import Loss
from cbir.training.settings import TrainingSettings

# Mining and margin are settings of the training, not options of the loss.
OPTIONS: dict[str, Any] = {}

TOLERANCE = 0.1
"""Share of the margin below which distances count as zero, see `is_collapsed`.

Measured at margin 0.2: a network trained from scratch with batch-hard mining collapsed within an epoch, to a loss of
0.216 and a spread of 0.05. Successful trainings have spreads above 0.7.
"""


def build(settings: TrainingSettings, categories: int, dimension: int) -> Loss:
    """Return the triplet loss with the settings ``mining`` and ``margin``; it has no variables."""
    return TripletLoss(settings)


class TripletLoss(Loss):
    """The triplet loss over the triplets that ``settings.mining`` chooses from a batch."""

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__(name="triplet")
        self.mining, self.margin = settings.mining, settings.margin

    def targets(self, labels: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return ``labels``, and ``positives`` and ``negatives`` from `random_partners`."""
        positives, negatives = _mining.random_partners(labels, generator)
        return {"labels": labels, "positives": positives, "negatives": negatives}

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the mean hinge of the triplets of a batch, and the share of active triplets."""
        distances = _mining.squared_distances(embeddings)
        if self.mining == "random":
            triplets = _mining.random_triplets(distances, targets["positives"], targets["negatives"])
        elif self.mining == "semi-hard":
            triplets = _mining.semi_hard_triplets(distances, targets["labels"])
        else:
            triplets = _mining.batch_hard_triplets(distances, targets["labels"])
        return triplet_loss(*triplets, self.margin)

    def collapse_remedy(self, loss: float, spread: float) -> str | None:
        """Return an easier mining as the remedy if the embedding `is_collapsed`."""
        if not is_collapsed(loss, spread, self.margin):
            return None
        return {
            "batch-hard": "set training.mining to semi-hard or random, or lower",
            "semi-hard": "set training.mining to random, or lower",
            "random": "change",
        }[self.mining]


def is_collapsed(loss: float, spread: float, margin: float) -> bool:
    """Return whether the loss is close to the margin and the spread of the embeddings close to 0.

    If all embeddings are equal, the hinge of each triplet is the margin.

    Args:
        loss: mean hinge.
        spread: root mean square distance of the embeddings to their mean.
        margin: margin of the loss, in squared distances.
    """
    return abs(loss - margin) <= TOLERANCE * margin and spread**2 <= TOLERANCE * margin


def triplet_hinge(positive: Any, negative: Any, margin: float) -> Any:
    """Return the hinge of each triplet: max(positive - negative + margin, 0).

    Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    CVPR 2015.

    Args:
        positive: squared distances of anchors to positives, any shape.
        negative: squared distances of anchors to negatives, the same shape.
        margin: how much farther than the positive the negative must be, in squared distances.
    """
    return ops.maximum(positive - negative + margin, 0)


def triplet_loss(positive: Any, negative: Any, present: Any, margin: float) -> tuple[Any, Any]:
    """Return the mean hinge of the triplets, and the share of active triplets, whose hinge is above 0.

    Args:
        positive: squared distances of anchors to positives, any shape.
        negative: squared distances of anchors to negatives, the same shape.
        present: 1 for a triplet, 0 for none, the same shape; at least one is 1.
        margin: see `triplet_hinge`.

    Returns:
        Two scalars.
    """
    hinge = triplet_hinge(positive, negative, margin)
    count = ops.sum(present)
    active = ops.sum(present * ops.cast(hinge > 0, present.dtype)) / count
    return ops.sum(present * hinge) / count, active
