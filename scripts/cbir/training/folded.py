"""The forward pass with batch normalisation folded into the convolutions, as a function of the network's weights."""

import logging
from collections.abc import Callable
from typing import Any

from keras import layers, ops

from cbir.encoders.folding import fold, inputs_of

log = logging.getLogger("cbir")


def folded_pass(model: Any) -> Callable[[Any], Any] | None:
    """Return a faster function for ``model(images, training=False)``, which can be differentiated by the weights.

    With its moving statistics, batch normalisation multiplies each channel by a number and adds another. Here they are
    applied to the kernels, which have a few million values, instead of the outputs of the convolutions, which have
    hundreds of millions in a batch. The gradients of scale and offset follow from those of kernel and bias. Outputs and
    gradients differ by rounding errors only.

    Args:
        model: a functional `keras.Model`; the function uses its weights as they are at each call.

    Returns:
        The function, or None if no batch normalisation of the model can be folded.
    """
    try:
        folded = fold(model)
        names = {layer.name for layer in folded.layers}
        gone = [one for one in model.layers if isinstance(one, layers.BatchNormalization) and one.name not in names]
        norms = {inputs_of(norm)[0]: norm for norm in gone}
        convolutions = [(folded.get_layer(name), model.get_layer(name), norm) for name, norm in norms.items()]
        others = [(layer, model.get_layer(layer.name)) for layer in folded.layers if layer.name not in norms]
        equal = [pair for one, other in others for pair in zip(one.variables, other.variables, strict=True)]
    # A user's network may have a structure that cannot be folded, such as a layer that is used twice.
    except Exception as error:
        log.info("the network %s is trained without folding, which is not possible (%s)", model.name, error)
        return None
    if not norms:
        return None

    def forward(images: Any) -> Any:
        values = {id(variable): original for variable, original in equal}
        for layer, convolution, norm in convolutions:
            values |= zip(map(id, layer.weights), _normalised(convolution, norm), strict=True)
        kinds = (folded.trainable_variables, folded.non_trainable_variables)
        return folded.stateless_call(*([values[id(v)] for v in kind] for kind in kinds), images, training=False)[0]

    return forward


def _normalised(convolution: Any, norm: Any) -> tuple[Any, Any]:
    """Return kernel and bias of a convolution with its batch normalisation folded in, as tensors.

    For an output x of the convolution, the result is gamma (x - mean) / sqrt(variance + epsilon) + beta.
    """
    factor = ops.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        factor = factor * norm.gamma
    bias = (convolution.bias - norm.moving_mean if convolution.use_bias else -norm.moving_mean) * factor
    if norm.center:
        bias = bias + norm.beta
    # The channels are the last axis of a kernel, but the second to last of a depthwise kernel.
    spread = ops.expand_dims(factor, -1) if isinstance(convolution, layers.DepthwiseConv2D) else factor
    return convolution.kernel * spread, bias
