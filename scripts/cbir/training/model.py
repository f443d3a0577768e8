"""An encoder with what its training adds: normalisation and a loss."""

from typing import Any

import keras
from keras import ops

from cbir.training.settings import TrainingSettings


class TrainingModel(keras.Model):
    """Wraps an encoder and a loss for `fit`; its output is what the loss and the validation's search see.

    The targets of a batch are those of the loss, see `cbir.training.losses._loss.Loss.targets`. The metric
    ``active`` is the loss's share of active terms, ``spread`` is that of `spread`.

    Args:
        encoder: maps images to vectors; it is trained in place.
        objective: the `cbir.training.losses._loss.Loss`; its variables are trained with the encoder's.
        settings: normalise and batch_norm are used here.
    """

    def __init__(self, encoder: Any, objective: Any, settings: TrainingSettings) -> None:
        super().__init__(name="training")
        self.encoder, self.objective, self.settings = encoder, objective, settings
        self.active = keras.metrics.Mean(name="active")
        self.spread = keras.metrics.Mean(name="spread")

    def call(self, images: Any, training: bool = False) -> Any:
        """Return embeddings (n, d), float32."""
        # Called for inference, batch normalisation uses its moving statistics, and its scale and offset still learn.
        vectors = self.encoder(images, training=training and self.settings.batch_norm == "moving")
        vectors = ops.cast(vectors, "float32")
        return ops.normalize(vectors, axis=-1) if self.settings.normalise else vectors

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of a batch and note its share of active terms and its spread."""
        loss, active = self.objective(y_pred, y)
        self.active.update_state(active)
        self.spread.update_state(spread(y_pred))
        return loss


def spread(embeddings: Any) -> Any:
    """Return the root mean square distance of ``embeddings`` (n, d) to their mean: 0 when all are the same."""
    centred = embeddings - ops.mean(embeddings, axis=0, keepdims=True)
    return ops.sqrt(ops.mean(ops.sum(centred * centred, axis=1)))


def half_precision_twin(encoder: Any) -> Any:
    """Return a copy of a functional encoder, weights too, that computes in float16 and keeps its weights in float32.

    The layers before the first one with weights, which preprocess pixels, compute in float32.
    """
    names = [layer.name for layer in encoder.layers]
    first = next(number for number, layer in enumerate(encoder.layers) if layer.weights)

    def clone(layer: Any) -> Any:
        half = {"dtype": "mixed_float16"} if layer.name in names[first:] else {}
        return layer.__class__.from_config(layer.get_config() | half)

    twin = keras.models.clone_model(encoder, clone_function=clone)
    twin.set_weights(encoder.get_weights())
    return twin
