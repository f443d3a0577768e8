"""The weighted sum of several losses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.training.losses._loss import Loss


class Weighted(Loss):
    """The sum of losses, each times its weight; the share of active terms is their mean by the same weights.

    Args:
        parts: the losses; their variables are trained, saved and left behind as those of a single one.
        weights: above 0, one a loss.
    """

    def __init__(self, parts: Sequence[Loss], weights: Sequence[float]) -> None:
        super().__init__(name="weighted")
        self.parts, self.weights_of_parts = list(parts), list(weights)

    def targets(self, labels: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return the targets of all parts; those of one name must be the same for all of them."""
        return {name: array for part in self.parts for name, array in part.targets(labels, generator).items()}

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """See the class."""
        loss, active = 0.0, 0.0
        for part, weight in zip(self.parts, self.weights_of_parts, strict=True):
            own, share = part(embeddings, targets)
            loss, active = loss + weight * own, active + weight * share
        return loss, active / sum(self.weights_of_parts)
