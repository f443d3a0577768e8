"""The architectures, without weights. Every network takes float32 (n, 224, 224, 3) in [-1, 1], see `scale`."""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # Read once, when TensorFlow is imported.

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

INPUT_SHAPE = (224, 224, 3)


def scale(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ``images``, uint8 of any shape, as float32 from -1 to 1."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def siamese() -> Any:
    """Return the small convolutional network that is trained from scratch: 128 values an image, 403,968 parameters.

    Returns:
        A functional `keras.Model` named ``siamese``, with random weights; `keras.utils.set_random_seed` settles them.
    """

    def convolution(filters: int, number: int) -> Any:
        return layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv{number}"
        )

    inputs = keras.Input(INPUT_SHAPE, name="image")
    x = convolution(64, 1)(inputs)
    # Moving statistics of momentum 0.9 settle within the few dozen steps that a small collection gives; 0.99 does not.
    x = layers.BatchNormalization(momentum=0.9, name="norm1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = convolution(128, 2)(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = convolution(256, 3)(x)
    x = layers.MaxPooling2D(2, name="pool3")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    outputs = layers.Dense(128, name="embedding")(x)
    return keras.Model(inputs, outputs, name="siamese")


def mobilenetv2() -> Any:
    """Return MobileNetV2 1.0/224 without its classifier, globally averaged: 1280 values an image, random weights.

    Its layers bear the names of Keras Applications, so that published weights load by name. Source: Sandler, Howard,
    Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.

    Returns:
        A functional `keras.Model` named ``mobilenetv2``.
    """
    inputs = keras.Input(INPUT_SHAPE, name="image")
    backbone = keras.applications.MobileNetV2(input_tensor=inputs, include_top=False, weights=None)
    # Keras would number layers without a name, so that a second network in the same process had other names.
    outputs = layers.GlobalAveragePooling2D(name="average")(backbone.output)
    return keras.Model(inputs, outputs, name="mobilenetv2")


NETWORKS: dict[str, Callable[[], Any]] = {"siamese": siamese, "mobilenetv2": mobilenetv2}
