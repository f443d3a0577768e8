import keras
import numpy as np
import pytest
from keras import layers

from cbir.files.errors import InputError
from cbir.training.model import TrainingModel, frozen_below, half_precision_twin, spread
from training.made import settings


def test_spread_worked_by_hand() -> None:
    # Mean (1, 0); squared distances to it 1, 1, 4, 4; their mean 2.5.
    assert float(spread(np.array([[0, 0], [2, 0], [1, 2], [1, -2]], dtype=np.float32))) == pytest.approx(2.5**0.5)


def encoder() -> keras.Model:
    inputs = keras.Input((4, 4, 3), name="image")
    x = layers.Conv2D(2, 3, name="conv1")(inputs)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.Conv2D(2, 2, name="conv2")(x)
    return keras.Model(inputs, layers.Flatten(name="flat")(x))


def test_layers_below_the_named_one_are_frozen_during_training_only() -> None:
    model = encoder()
    before = model.to_json()
    with frozen_below(model, "conv2"):
        twin = half_precision_twin(model)
        for kind in (model, twin):
            training = TrainingModel(kind, layers.Identity(), settings())
            assert [v.path for v in training.trainable_variables] == ["conv2/kernel", "conv2/bias"]
    with frozen_below(model, None):
        assert len(model.trainable_variables) == 6
    assert model.to_json() == before
    assert len(model.trainable_variables) == 6


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("conv3", r"the layer 'conv3', which the network .* does not have: its layers are named such as conv"),
        ("flat", "is 'flat', from which on nothing can be trained"),
    ],
)
def test_freezing_below_an_unknown_or_first_layer_is_refused(name: str, reason: str) -> None:
    model = encoder()
    with pytest.raises(InputError, match=reason), frozen_below(model, name):
        pytest.fail("it was entered")
    assert len(model.trainable_variables) == 6


def test_in_bfloat16_depthwise_convolutions_compute_in_float32() -> None:
    inputs = keras.Input((4, 4, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1, name="rescaled")(inputs)
    x = layers.DepthwiseConv2D(3, name="depthwise")(layers.Conv2D(2, 1, name="conv")(x))
    model = keras.Model(inputs, layers.ReLU(name="relu")(x))
    twin = half_precision_twin(model, "bfloat16")
    assert [layer.compute_dtype for layer in twin.layers[1:]] == ["float32", "bfloat16", "float32", "bfloat16"]
    assert {variable.dtype for variable in twin.variables} == {"float32"}
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(twin(pixels), np.float32), np.asarray(model(pixels)), atol=0.03)
