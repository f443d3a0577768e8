"""The base class of losses."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class Loss(keras.layers.Layer):
    """A loss of the embeddings of a batch; subclasses define `call` and may override the other methods.

    A subclass creates its variables with ``self.add_weight`` in its constructor.

    Args:
        name: name of the loss in the configuration.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        # Constructors create all variables, so Keras has nothing to build for the first batch.
        self.built = True

    def targets(self, labels: NDArray[np.int64], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return the targets of a batch, which `call` needs in addition to the embeddings.

        Args:
            labels: int64 (n,), the labels of the images.
            generator: the only source of random numbers that may be used, because several threads call this method.

        Returns:
            Arrays by name whose first dimension is n: ``labels``, and those that a subclass adds.
        """
        return {"labels": labels}

    def call(self, embeddings: Any, targets: dict[str, Any]) -> tuple[Any, Any]:
        """Return the loss of a batch and the share of its terms that are active.

        Args:
            embeddings: float32 (n, d).
            targets: the result of `targets`, as tensors.

        Returns:
            Two scalars: the loss, and the share (0 to 1) of its terms, such as triplets, whose gradient is not zero; 1
            for a loss whose terms are always active.
        """
        raise NotImplementedError

    def collapse_remedy(self, loss: float, spread: float) -> str | None:
        """Return a remedy if the embedding has collapsed in an epoch, that is, maps all images to one place.

        Args:
            loss: mean loss of the epoch.
            spread: root mean square distance of the embeddings to their mean.

        Returns:
            The start of a sentence that continues with ``training.learning_rate``, such as ``lower``; None if the
            embedding has not collapsed.
        """
        return None
