"""The folded pass has the outputs and the gradients of the network itself, for its weights as they are."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from cbir.training import model as training_model
from cbir.training.batches import ImageSet
from cbir.training.folded import folded_pass
from cbir.training.model import TrainingModel
from cbir.training.train import train
from training.made import settings


def network() -> keras.Model:
    """Return a network with each kind of normalisation: folded, after an activation, and beside another reader."""
    inputs = keras.Input((9, 9, 3), name="image")
    x = layers.Conv2D(4, 3, name="biased")(layers.Rescaling(1 / 127.5, -1, name="rescaled")(inputs))
    x = layers.ReLU(6, name="relu")(layers.BatchNormalization(name="of-biased")(x))
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="depthwise")(layers.ZeroPadding2D(1, name="pad")(x))
    x = layers.BatchNormalization(scale=False, name="of-depthwise")(x)
    x = layers.Conv2D(4, 1, activation="relu", name="active")(x)
    x = layers.BatchNormalization(name="of-active")(x)
    shared = layers.Conv2D(4, 1, use_bias=False, name="shared")(x)
    x = layers.Add(name="sum")([shared, layers.BatchNormalization(center=False, name="of-shared")(shared)])
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.BatchNormalization(center=False, name="of-last")(layers.Conv2D(2, 1, use_bias=False, name="last")(x))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, layers.Dense(3, name="dense")(x))


def change_weights(model: keras.Model, seed: int) -> None:
    generator = np.random.default_rng(seed)
    model.set_weights([generator.uniform(0.3, 1.2, value.shape) for value in model.get_weights()])


def gradients(model: keras.Model, call: Any, images: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with tf.GradientTape() as tape:
        outputs = call(images)
        loss = tf.reduce_sum(outputs * tf.constant([[1.0, -2.0, 3.0]]))
    variables = model.trainable_variables
    found = tape.gradient(loss, [variable.value for variable in variables])
    return outputs.numpy(), {v.path: g.numpy() for v, g in zip(variables, found, strict=True)}


def test_outputs_and_gradients_are_those_of_the_network() -> None:
    model = network()
    forward = folded_pass(model)
    assert forward is not None
    images = np.random.default_rng(0).uniform(0, 255, (5, 9, 9, 3)).astype(np.float32)
    for seed in (0, 1):
        change_weights(model, seed)
        expected, slopes = gradients(model, lambda x: model(x, training=False), images)
        found, folded_slopes = gradients(model, forward, images)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert len(slopes) == 16
        for name, slope in slopes.items():
            scale = np.abs(slope).max()
            assert scale > 0
            np.testing.assert_allclose(folded_slopes[name], slope, rtol=1e-3, atol=1e-5 * scale, err_msg=name)


def test_a_training_uses_it_unless_statistics_move_or_precision_is_mixed() -> None:
    model = network()
    plain = [variable.path for variable in model.variables]
    images = np.random.default_rng(0).uniform(0, 255, (5, 9, 9, 3)).astype(np.float32)
    calls: list[int] = []
    for batch_norm, mixed, training, folded in [
        ("frozen", False, True, True),
        ("frozen", False, False, True),
        ("moving", False, True, False),
        ("moving", False, False, True),
        ("frozen", True, True, False),
        ("frozen", "bfloat16", True, True),
    ]:
        trained = TrainingModel(model, layers.Identity(), settings(batch_norm=batch_norm, mixed_precision=mixed))
        calls.clear()
        forward = trained.folded
        trained.folded = forward and (lambda x, forward=forward: (calls.append(1), forward(x))[1])
        trained(images, training=training)
        assert bool(calls) == folded
        # Checkpoints hold the network's weights and the optimizer's in this order.
        assert [variable.path for variable in trained.encoder.variables] == plain
        assert len(trained.trainable_variables) == 16


def test_what_cannot_be_folded_is_left_to_the_network() -> None:
    inputs = keras.Input((4, 4, 3))
    x = layers.BatchNormalization()(layers.Conv2D(3, 1, activation="relu")(inputs))
    assert folded_pass(keras.Model(inputs, x)) is None
    twice = layers.Conv2D(3, 1)
    x = layers.BatchNormalization()(twice(layers.ReLU()(twice(inputs))))
    assert folded_pass(keras.Model(inputs, x)) is None
    # Two outputs of each channel.
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, depth_multiplier=2)(inputs))
    assert folded_pass(keras.Model(inputs, x)) is None


@pytest.mark.slow
def test_a_training_ends_with_the_weights_of_one_without_folding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (9, 9, 3), np.uint8)).save(path)
    images = ImageSet([str(path) for path in paths], np.arange(8) % 2, [path.name for path in paths])
    ends = []
    for folded in (True, False):
        if not folded:
            monkeypatch.setattr(training_model, "folded_pass", lambda _: None)
        model = network()
        change_weights(model, 0)
        train(model, images, images, settings(epochs=2, learning_rate=0.001), tmp_path / str(folded))
        with np.load(tmp_path / str(folded) / "checkpoint.npz") as stored:
            ends.append([stored[f"weights/{number}"] for number in range(len(model.weights))])
    start = network()
    change_weights(start, 0)
    # Adam moves each weight by about 0.001 in a step.
    assert max(np.abs(one - before).max() for one, before in zip(ends[0], start.get_weights(), strict=True)) > 5e-4
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
