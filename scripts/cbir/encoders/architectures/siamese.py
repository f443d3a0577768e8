"""A small convolutional network that is trained from scratch: 128 features, 403,968 parameters."""

from typing import Any

SIZE = (224, 224)
PREPROCESSING = "x / 127.5 - 1"
SOURCES: dict[str, str] = {}


def build(size: tuple[int, int]) -> Any:
    """Return the network, a functional `keras.Model`; its weights depend on `keras.utils.set_random_seed`."""
    import keras
    from keras import layers

    from cbir.encoders.architectures._layers import from_minus_one_to_one

    def convolution(filters: int, number: int) -> Any:
        return layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv{number}"
        )

    inputs = keras.Input((size[1], size[0], 3), name="image")
    x = convolution(64, 1)(from_minus_one_to_one(inputs))
    # With momentum 0.9 the moving statistics converge within the few dozen steps of a small collection. With Keras's
    # default of 0.99 they do not.
    x = layers.BatchNormalization(momentum=0.9, name="norm1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = convolution(128, 2)(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = convolution(256, 3)(x)
    x = layers.MaxPooling2D(2, name="pool3")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    outputs = layers.Dense(128, name="embedding")(x)
    return keras.Model(inputs, outputs, name="siamese")
