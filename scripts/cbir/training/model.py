"""The model that is trained: an encoder, the normalisation of its embeddings, and a loss."""

import difflib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from cbir.encoders.folding import set_weights
from cbir.files.errors import InputError
from cbir.training.folded import folded_pass
from cbir.training.settings import TrainingSettings

log = logging.getLogger("cbir")


class TrainingModel(keras.Model):
    """An encoder with a loss, for `keras.Model.fit`; its outputs are the embeddings.

    The targets of a batch are those of the loss, see `cbir.training.losses._loss.Loss.targets`. The metric ``active``
    is the share of active terms of the loss, and ``spread`` is the result of the function `spread`.

    Args:
        encoder: the network from images to vectors, which is trained in place.
        objective: the `cbir.training.losses._loss.Loss`; its variables are trained, too.
        settings: of which ``normalise`` and ``batch_norm`` are used here.
    """

    def __init__(self, encoder: Any, objective: Any, settings: TrainingSettings) -> None:
        super().__init__(name="training")
        self.encoder, self.objective, self.settings = encoder, objective, settings
        # Unfolded batch normalisation computes in float32, which keeps float16 from overflowing.
        self.folded = None if settings.mixed_precision is True else folded_pass(encoder)
        self.active = keras.metrics.Mean(name="active")
        self.spread = keras.metrics.Mean(name="spread")

    def call(self, images: Any, training: bool = False) -> Any:
        """Return the embeddings (n, d) float32 of images (n, height, width, 3)."""
        # With training=False batch normalisation uses its moving statistics; its scale and offset are still trained.
        training = training and self.settings.batch_norm == "moving"
        vectors = self.folded(images) if self.folded and not training else self.encoder(images, training=training)
        vectors = ops.cast(vectors, "float32")
        return ops.normalize(vectors, axis=-1) if self.settings.normalise else vectors

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss of a batch, and update the metrics ``active`` and ``spread``."""
        loss, active = self.objective(y_pred, y)
        self.active.update_state(active)
        self.spread.update_state(spread(y_pred))
        return loss


def spread(embeddings: Any) -> Any:
    """Return the root mean square distance of ``embeddings`` (n, d) to their mean; 0 if all are equal."""
    centred = embeddings - ops.mean(embeddings, axis=0, keepdims=True)
    return ops.sqrt(ops.mean(ops.sum(centred * centred, axis=1)))


@contextmanager
def frozen_below(encoder: Any, name: str | None) -> Iterator[None]:
    """In the block, exclude the layers before the layer ``name`` from training; None excludes none.

    The moving statistics of excluded batch normalisations do not change either.

    Raises:
        InputError: when there is no such layer, or no weights remain to train.
    """
    if name is None:
        yield
        return
    names = [layer.name for layer in encoder.layers]
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0) or names[-3:]
        raise InputError(
            f"training.freeze_below names the layer {name!r}, which the network {encoder.name} does not have: its "
            f"layers are named such as {', '.join(near)}."
        )
    below = [layer for layer in encoder.layers[: names.index(name)] if layer.trainable]
    try:
        for layer in below:
            layer.trainable = False
        if not encoder.trainable_weights:
            raise InputError(f"training.freeze_below is {name!r}, from which on nothing can be trained: name another.")
        log.info("%d layers below %s are not trained", sum(bool(layer.weights) for layer in below), name)
        yield
    finally:
        # The saved network must not depend on which of its layers were trained.
        for layer in below:
            layer.trainable = True


def half_precision_twin(encoder: Any, dtype: str = "float16") -> Any:
    """Return a copy of a functional encoder with the same weights that computes in ``dtype``; weights stay float32.

    The layers before the first layer with weights, which preprocess pixels, compute in float32. So do depthwise
    convolutions instead of in bfloat16, because oneDNN has no fast kernel for their gradient in bfloat16.
    """
    names = [layer.name for layer in encoder.layers]
    first = next(number for number, layer in enumerate(encoder.layers) if layer.weights)

    def clone(layer: Any) -> Any:
        # A nested model has no dtype; its layers have.
        half = layer.name in names[first:] and not isinstance(layer, keras.Model)
        if dtype == "bfloat16" and isinstance(layer, keras.layers.DepthwiseConv2D):
            half = False
        return layer.__class__.from_config(layer.get_config() | ({"dtype": f"mixed_{dtype}"} if half else {}))

    twin = keras.models.clone_model(encoder, clone_function=clone)
    set_weights(twin, encoder.get_weights())
    return twin
