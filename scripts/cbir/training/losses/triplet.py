"""The triplet loss: |f(a) - f(p)|^2 + margin < |f(a) - f(n)|^2."""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from cbir.training.losses import _mining
from cbir.training.losses._loss import Loss
from cbir.training.settings import TrainingSettings

# Its mining and margin are settings of the training.
OPTIONS: dict[str, Any] = {}

# The hinge of a triplet of coinciding embeddings is the margin; a tenth of it counts as no distance. Measured at margin
# 0.2: batch-hard mining of a network from scratch collapsed to loss 0.216 and spread 0.05 within an epoch, healthy
# trainings have spreads above 0.7.
TOLERANCE = 0.1


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
        """Return the mean hinge of a batch's triplets and the share of them that is active."""
        distances = _mining.squared_distances(embeddings)
        if self.mining == "random":
            triplets = _mining.random_triplets(distances, targets["positives"], targets["negatives"])
        elif self.mining == "semi-hard":
            triplets = _mining.semi_hard_triplets(distances, targets["labels"])
        else:
            triplets = _mining.batch_hard_triplets(distances, targets["labels"])
        return triplet_loss(*triplets, self.margin)

    def collapse_remedy(self, loss: float, spread: float) -> str | None:
        """Return which mining is easier on the network if the loss is the margin and the embeddings have no spread."""
        if not is_collapsed(loss, spread, self.margin):
            return None
        return {
            "batch-hard": "set training.mining to semi-hard or random, or lower",
            "semi-hard": "set training.mining to random, or lower",
            "random": "change",
        }[self.mining]


def is_collapsed(loss: float, spread: float, margin: float) -> bool:
    """Return whether a loss is close to the margin while the embeddings have hardly any spread.

    Args:
        loss: mean hinge.
        spread: root mean square distance of the embeddings to their mean.
        margin: of the loss, in squared distances.
    """
    return abs(loss - margin) <= TOLERANCE * margin and spread**2 <= TOLERANCE * margin


def triplet_hinge(positive: Any, negative: Any, margin: float) -> Any:
    """Return by how much each triplet misses the margin, 0 where it keeps it.

    Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    CVPR 2015.

    Args:
        positive: squared distances of anchors to positives, any shape.
        negative: squared distances of anchors to negatives, the same shape.
        margin: how much farther, in squared distances, a negative must be.
    """
    return ops.maximum(positive - negative + margin, 0)


def triplet_loss(positive: Any, negative: Any, present: Any, margin: float) -> tuple[Any, Any]:
    """Return the mean hinge over the triplets and the share of them that is active, that is, whose hinge is above 0.

    Args:
        positive: squared distances of anchors to positives, any shape.
        negative: squared distances of anchors to negatives, the same shape.
        present: 1 where there is a triplet, 0 where not, the same shape.
        margin: see `triplet_hinge`.

    Returns:
        Two scalars.
    """
    hinge = triplet_hinge(positive, negative, margin)
    count = ops.sum(present)
    active = ops.sum(present * ops.cast(hinge > 0, present.dtype)) / count
    return ops.sum(present * hinge) / count, active
