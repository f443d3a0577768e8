"""Preprocessing layers that architectures share."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras import layers, ops
from keras.src.backend.common import global_state

# Mean and standard deviation of red, green and blue in ImageNet's training images, divided by 255, with the digits of
# Keras Applications.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
# Means of blue, green and red for networks that were trained with Caffe.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def from_minus_one_to_one(pixels: Any) -> Any:
    """Return pixels, a Keras tensor of values from 0 to 255, as x / 127.5 - 1.

    Two layers, because a `Rescaling` by 1 / 127.5 multiplies by a rounded number: for 111 of the 256 values its float32
    results differ from those of the division by up to 1.2e-7. Neither layer has weights.
    """
    # A `Normalization` divides by the square root of the variance.
    divided = layers.Normalization(axis=None, mean=0.0, variance=127.5**2, name="divide")(pixels)
    return layers.Rescaling(1.0, offset=-1.0, name="shift")(divided)


def normalised(pixels: Any) -> Any:
    """Return (pixels - mean) / deviation of ImageNet for each channel; pixels are a Keras tensor of 0 to 255."""
    return layers.Normalization(
        axis=-1,
        mean=[255 * value for value in _MEAN],
        # A `Normalization` divides by the square root of the variance.
        variance=[(255 * value) ** 2 for value in _DEVIATION],
        name="normalise",
    )(pixels)


def blue_green_red(pixels: Any) -> Any:
    """Return pixels - mean, in the order blue, green, red; pixels are a Keras tensor of values from 0 to 255."""
    return layers.Normalization(axis=-1, mean=list(_CAFFE_MEAN), variance=[1.0] * 3, name="centre")(
        ops.flip(pixels, axis=-1)
    )


@contextmanager
def numbered_anew() -> Iterator[None]:
    """Restart Keras's numbering of layers without a name, so that it does not depend on networks built before."""
    kept = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", kept)
