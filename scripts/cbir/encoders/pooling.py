"""Pooling of the last feature map, or of the tokens, of a network to one vector per image."""

from typing import Any

import keras
from keras import layers, ops

from cbir.encoders.folding import inputs_of, set_weights
from cbir.encoders.options import Pooling
from cbir.files.errors import InputError

_AVERAGES = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)
_LEAST = 1e-6


@keras.saving.register_keras_serializable("cbir")
class GeneralisedMean(layers.Layer):
    """Generalised-mean pooling (GeM): (mean of max(x, 1e-6) ** p) ** (1 / p) over all positions, for each channel.

    For p = 1 it is the average of positive values; it approaches the maximum as p grows. The exponent is a constant and
    not trained. Source: Radenovic, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human
    Annotation", IEEE TPAMI, 2018, equation 3.
    """

    def __init__(self, p: float = 3.0, **options: Any) -> None:
        super().__init__(**options)
        self.p = p

    def call(self, inputs: Any) -> Any:
        """Return (n, d) of (n, ..., d)."""
        places = tuple(range(1, len(inputs.shape) - 1))
        means = ops.mean(ops.power(ops.maximum(inputs, _LEAST), self.p), axis=places)
        return ops.power(means, 1 / self.p)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (n, d)."""
        return input_shape[0], input_shape[-1]

    def get_config(self) -> dict[str, Any]:
        """Return the layer's settings."""
        return {**super().get_config(), "p": self.p}


@keras.saving.register_keras_serializable("cbir")
class ClassToken(layers.Layer):
    """The class token of a vision transformer: its first token, which represents the whole image.

    Source: Dosovitskiy and others, "An Image is Worth 16x16 Words", ICLR 2021.
    """

    def call(self, inputs: Any) -> Any:
        """Return (n, d) of tokens (n, tokens, d)."""
        return inputs[:, 0]


def pooled(model: keras.Model, pooling: Pooling | None, p: float) -> keras.Model:
    """Return the network with another pooling layer.

    The last global average pooling or class token is replaced; the layers after it are kept. A pooling layer is
    appended to a network whose output is a feature map or tokens.

    Args:
        model: a functional model.
        pooling: the new pooling; None keeps a network whose output is a vector, and appends an average otherwise.
        p: exponent of gem.

    Returns:
        The model itself if nothing changes, otherwise a new one of the same name and weights.

    Raises:
        InputError: when the network has no pooling that can be replaced, or has no tokens.
    """
    shape = model.output.shape
    if len(shape) > 2:
        return keras.Model(model.input, _layer(pooling or "average", len(shape), p)(model.output), name=model.name)
    if pooling is None:
        return model
    last = next((layer for layer in reversed(model.layers) if isinstance(layer, (*_AVERAGES, ClassToken))), None)
    # An average inside a network, such as in squeeze-and-excitation, shares its input with other layers.
    if last is None or sum(inputs_of(last)[0] in inputs_of(layer) for layer in model.operations) > 1:
        raise InputError(
            f"The architecture {model.name} has no average over its feature map that pooling: {pooling} could replace: "
            "take pooling out of the encoder's row."
        )
    if pooling == ("token" if isinstance(last, ClassToken) else "average"):
        return model
    replacement = _layer(pooling, len(last.input.shape), p)

    def clone(layer: Any) -> Any:
        return replacement if layer is last else type(layer).from_config(layer.get_config())

    changed = keras.models.clone_model(model, clone_function=clone)
    set_weights(changed, model.get_weights())
    return changed


def _layer(pooling: Pooling, dimensions: int, p: float) -> Any:
    if dimensions not in (3, 4):
        raise InputError(f"The network gives arrays of {dimensions} dimensions, which pooling makes no vectors of.")
    if pooling == "gem":
        return GeneralisedMean(p, name="gem")
    if pooling == "token":
        if dimensions == 4:
            raise InputError(
                "The encoder's pooling is token, but its network gives a feature map and no tokens: make pooling "
                "average, max or gem."
            )
        return ClassToken(name="token")
    kinds = {
        ("average", 3): layers.GlobalAveragePooling1D,
        ("average", 4): layers.GlobalAveragePooling2D,
        ("max", 3): layers.GlobalMaxPooling1D,
        ("max", 4): layers.GlobalMaxPooling2D,
    }
    return kinds[pooling, dimensions](name=pooling)
