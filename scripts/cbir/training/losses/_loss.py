"""What every loss offers to the training."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class Loss(keras.layers.Layer):
    """A loss of the embeddings of a batch; subclasses define `call` and, where needed, override the other methods.

    Variables are made by ``self.add_weight`` in the constructor of a subclass.

    Args:
        name: of the loss, as in the configuration.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        # Variables are made by the constructors of subclasses, so nothing is left to do for the first batch.
        self.built = True

    def targets(self, labels: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return what `call` needs of a batch beside its embeddings.

        Args:
            labels: int64 (n,), the categories of the images.
            generator: where random numbers come from; threads call this, so nothing else may be drawn from.

        Returns:
            Arrays whose first dimension is n, by name: ``labels`` unless a subclass adds more.
        """
        return {"labels": labels}

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss of a batch and the share of its terms that are active.

        Args:
            embeddings: float32 (n, d).
            targets: from `targets`, as tensors.

        Returns:
            Two scalars: the loss, and the share (0 to 1) of its terms, such as triplets, that still have a gradient;
            1 where a loss has no such terms.
        """
        raise NotImplementedError

    def collapse_remedy(self, loss: float, spread: float) -> str | None:
        """Return what to change if an epoch shows that all images are mapped to one place; None if it does not.

        Args:
            loss: mean of the epoch.
            spread: root mean square distance of the embeddings to their mean.

        Returns:
            The start of a sentence that goes on with ``training.learning_rate``, such as ``lower``.
        """
        return None
