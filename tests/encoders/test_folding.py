"""A folded network computes the same features, with statistics as after training."""

import keras
import numpy as np
import pytest
from keras import layers

from cbir.encoders.architectures import mobilenetv2, siamese
from cbir.encoders.folding import fold


def trained(model: keras.Model) -> keras.Model:
    """Set every weight of the model to a new value, with variances above zero."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
        else:
            layer.set_weights([value + random.normal(0, 0.01, value.shape) for value in layer.get_weights()])
    return model


def outputs(model: keras.Model, shape: tuple[int, ...]) -> np.ndarray:
    pixels = np.random.default_rng(1).uniform(-1, 1, (2, *shape)).astype(np.float32)
    return keras.ops.convert_to_numpy(model(pixels, training=False))


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_folded_mobilenetv2_has_only_convolutions() -> None:
    keras.utils.set_random_seed(0)
    model = trained(mobilenetv2.build(mobilenetv2.SIZE))
    folded = fold(model)
    assert not {"BatchNormalization", "ZeroPadding2D"} & set(kinds(folded))
    # 35 convolutions and 17 depthwise ones.
    assert kinds(folded).count("Conv2D") + kinds(folded).count("DepthwiseConv2D") == 52
    assert [layer.output.shape for layer in folded.layers if layer.name == "block_1_depthwise"] == [(None, 56, 56, 96)]
    expected, found = outputs(model, (224, 224, 3)), outputs(folded, (224, 224, 3))
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_normalisation_after_an_activation_is_not_folded() -> None:
    model = trained(siamese.build(siamese.SIZE))
    folded = fold(model)
    assert kinds(folded) == kinds(model)
    assert np.allclose(outputs(folded, (224, 224, 3)), outputs(model, (224, 224, 3)), rtol=1e-5, atol=1e-6)


def test_a_convolution_that_others_use_too_keeps_its_output() -> None:
    inputs = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(3, 1)(inputs)
    model = trained(keras.Model(inputs, layers.Add()([convolved, layers.BatchNormalization()(convolved)])))
    folded = fold(model)
    assert kinds(folded) == kinds(model)
    assert np.allclose(outputs(folded, (8, 8, 3)), outputs(model, (8, 8, 3)), atol=1e-6)


@pytest.mark.parametrize(("scale", "center", "bias"), [(False, True, True), (True, False, False), (True, True, True)])
def test_a_normalisation_without_one_of_its_parts(scale: bool, center: bool, bias: bool) -> None:
    inputs = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(5, 3, use_bias=bias)(inputs)
    model = trained(keras.Model(inputs, layers.BatchNormalization(scale=scale, center=center)(convolved)))
    folded = fold(model)
    assert kinds(folded) == ["InputLayer", "Conv2D"]
    assert np.allclose(outputs(folded, (8, 8, 3)), outputs(model, (8, 8, 3)), atol=1e-5)


@pytest.mark.parametrize(
    ("size", "padding", "kernel", "stride", "gone"),
    [
        # Keras pads (0, 1) itself for an even size at stride 2, (1, 1) for an odd one.
        (8, ((0, 1), (0, 1)), 3, 2, True),
        (7, ((1, 1), (1, 1)), 3, 2, True),
        (8, ((1, 1), (1, 1)), 3, 1, True),
        (8, ((1, 0), (1, 0)), 3, 2, False),
        (8, ((1, 1), (1, 1)), 3, 2, False),
        (8, ((2, 2), (2, 2)), 3, 1, False),
    ],
)
def test_padding_that_the_convolution_does_itself(
    size: int, padding: tuple, kernel: int, stride: int, gone: bool
) -> None:
    inputs = keras.Input((size, size, 3))
    padded = layers.ZeroPadding2D(padding)(inputs)
    model = keras.Model(inputs, layers.DepthwiseConv2D(kernel, stride)(padded))
    folded = fold(model)
    assert ("ZeroPadding2D" not in kinds(folded)) == gone
    assert np.allclose(outputs(folded, (size, size, 3)), outputs(model, (size, size, 3)), atol=1e-5)
