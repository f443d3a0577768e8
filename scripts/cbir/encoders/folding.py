"""Make a network faster for inference: fold batch normalisation and padding into the convolutions."""

from typing import Any

import keras
import numpy as np
from keras import layers


def fold(model: keras.Model) -> keras.Model:
    """Return an equivalent network with fewer layers, which runs faster.

    Batch normalisation after a convolution is folded into its kernel and bias, because its statistics are constants
    during inference. Zero padding before a convolution is replaced by the padding ``same`` where both are equal. The
    new weights are computed in float64 and rounded once, so that features differ by rounding errors only.

    Args:
        model: a functional model whose layers are each called once.

    Returns:
        A new model with weights of its own. The layers that are not folded keep their names.
    """
    followers: dict[str, list[Any]] = {}
    for layer in model.layers:
        for name in inputs_of(layer):
            followers.setdefault(name, []).append(layer)
    norms, gone, padded = {}, set(), set()
    for layer in model.layers:
        after = followers.get(layer.name, [])
        if len(after) != 1 or layer.output in model.outputs:
            continue
        if _is_linear_convolution(layer) and isinstance(after[0], layers.BatchNormalization):
            norms[layer.name] = after[0]
            gone.add(after[0].name)
        elif isinstance(layer, layers.ZeroPadding2D) and _pads_alike(layer, after[0]):
            padded.add(after[0].name)
            gone.add(layer.name)

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        if layer.name in padded:
            config["padding"] = "same"
        return type(layer).from_config(config)

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in gone else layer(*inputs, **options)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in folded.layers:
        if layer.weights:
            values = model.get_layer(layer.name).get_weights()
            set_weights(layer, _normalised(layer, values, norms[layer.name]) if layer.name in norms else values)
    return folded


def set_weights(layer: Any, values: list[np.ndarray]) -> None:
    """Set the weights of a layer or a model, including what Keras derives from them."""
    layer.set_weights(values)
    # A `Normalization` computes with copies of its weights, which `set_weights` does not update.
    for part in [layer, *getattr(layer, "layers", [])]:
        if isinstance(part, layers.Normalization):
            part.finalize_state()


def inputs_of(layer: Any) -> list[str]:
    """Return the names of the layers whose outputs are the inputs of a layer."""
    if isinstance(layer, layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]


def _is_linear_convolution(layer: Any) -> bool:
    return isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and layer.activation is keras.activations.linear


def _pads_alike(padding: Any, layer: Any) -> bool:
    """Return whether the padding ``same`` of a convolution equals the padding layer before it."""
    if not isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) or layer.padding != "valid":
        return False
    if set(layer.dilation_rate) != {1}:
        return False
    wanted = []
    for size, kernel, stride in zip(padding.input.shape[1:3], layer.kernel_size, layer.strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        wanted.append((total // 2, total - total // 2))
    return tuple(wanted) == tuple(padding.padding) and padding.data_format == layer.data_format == "channels_last"


def _normalised(layer: Any, values: list[np.ndarray], norm: Any) -> list[np.ndarray]:
    """Return kernel and bias of a convolution with its batch normalisation folded in.

    For an output x of the convolution, the result is gamma (x - mean) / sqrt(variance + epsilon) + beta.
    """
    kernel, bias = values[0].astype(np.float64), values[1].astype(np.float64) if len(values) > 1 else 0.0
    parts = iter([value.astype(np.float64) for value in norm.get_weights()])
    gamma = next(parts) if norm.scale else 1.0
    beta = next(parts) if norm.center else 0.0
    mean, variance = parts
    factor = gamma / np.sqrt(variance + norm.epsilon)
    # The channels are the last axis of a kernel, but the second to last of a depthwise kernel.
    spread = factor[:, None] if isinstance(layer, layers.DepthwiseConv2D) else factor
    return [(kernel * spread).astype(np.float32), ((bias - mean) * factor + beta).astype(np.float32)]
