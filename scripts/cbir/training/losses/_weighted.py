"""The weighted sum of several losses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.training.losses._loss import Loss


class Weighted(Loss):
    """The weighted sum of losses; the share of active terms is their weighted mean.

    Args:
        parts: the losses.
        weights: the weight of each loss, above 0.
    """

    def __init__(self, parts: Sequence[Loss], weights: Sequence[float]) -> None:
        super().__init__(name="weighted")
        self.parts, self.weights_of_parts = list(parts), list(weights)

    def targets(self, labels: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return the targets of all losses; targets with one name must be equal."""
        return {name: array for part in self.parts for name, array in part.targets(labels, generator).items()}

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the weighted sum and the weighted mean of the shares of active terms, see `Loss.call`."""
        loss, active = 0.0, 0.0
        for part, weight in zip(self.parts, self.weights_of_parts, strict=True):
            own, share = part(embeddings, targets)
            loss, active = loss + weight * own, active + weight * share
        return loss, active / sum(self.weights_of_parts)
