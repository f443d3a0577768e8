"""One loss or a weighted sum of several, and proxies with their own learning rate."""

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from cbir.files.errors import InputError
from cbir.training import losses, objective
from cbir.training.losses._weighted import Weighted
from cbir.training.model import TrainingModel
from training.made import settings

LABELS = np.array([0, 0, 1, 1, 2, 2])
EMBEDDINGS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def build(loss: Any) -> Any:
    return objective.build(settings(loss=loss), 3, 4)


def value(loss: Any, targets: dict[str, Any]) -> tuple[float, float]:
    found, active = loss(ops.convert_to_tensor(EMBEDDINGS), targets)
    return float(found), float(active)


def test_a_single_loss_is_unchanged() -> None:
    assert build("triplet").name == "triplet"
    assert build({"triplet": None}).name == "triplet"
    assert build({"multi-similarity": {"base": 0.3}}).base == 0.3


def test_the_weighted_sum_of_losses() -> None:
    both = build({"triplet": 2, "supcon": {"weight": 0.5, "temperature": 0.2}})
    targets = both.targets(LABELS, np.random.default_rng(0))
    triplet = value(build("triplet"), targets)
    supcon = value(build({"supcon": {"temperature": 0.2}}), targets)
    loss, active = value(both, targets)
    assert loss == pytest.approx(2 * triplet[0] + 0.5 * supcon[0], rel=1e-6)
    assert active == pytest.approx((2 * triplet[1] + 0.5) / 2.5)


def test_the_weight_of_a_single_loss_is_used() -> None:
    assert value(build({"supcon": 3}), {"labels": LABELS})[0] == pytest.approx(
        3 * value(build("supcon"), {"labels": LABELS})[0]
    )


def test_proxies_are_variables_of_the_sum() -> None:
    both = build({"proxy-anchor": 1, "arcface": 1, "triplet": 1})
    assert isinstance(both, Weighted)
    assert [array.shape for array in both.get_weights()] == [(3, 4), (3, 4)]


def step(rate: float) -> np.ndarray:
    """Take one step of Adam at a rate of 0.001, and return the change of each value of the proxies."""
    inputs = keras.Input((4,))
    encoder = keras.Model(inputs, layers.Dense(4, use_bias=False)(inputs))
    loss = build({"normalised-softmax": {"rate": rate}})
    model = TrainingModel(encoder, loss, settings())
    model.compile(optimizer=keras.optimizers.Adam(0.001), jit_compile=False)
    before = ops.convert_to_numpy(loss.proxies)
    model.fit(EMBEDDINGS, {"labels": LABELS}, batch_size=6, epochs=1, shuffle=False, verbose=0)
    return np.abs(ops.convert_to_numpy(loss.proxies) - before)


def test_proxies_have_their_own_learning_rate() -> None:
    # Adam's first step equals the learning rate for any gradient.
    assert np.allclose(step(1), 0.001, rtol=0.01)
    assert np.allclose(step(100), 0.1, rtol=0.01)


def test_an_unknown_option_of_a_loss_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"^training\.loss: triplet does not fit its options \(.*'scale'\): correct"):
        build({"triplet": {"scale": 3}})
    with pytest.raises(InputError, match=r"^training\.loss is 'best': make it one of arcface, "):
        settings(loss={"best": 1})


def test_the_options_that_an_entry_states_are_the_arguments_of_its_build() -> None:
    for name in losses.REGISTRY:
        parameters = list(inspect.signature(losses.REGISTRY[name].build).parameters.values())[3:]
        stated = losses.REGISTRY.options(name)
        assert stated is not None
        assert list(stated) == [parameter.name for parameter in parameters]
        # Defaults are only in OPTIONS.
        assert all("default" in schema for schema in stated.values())
        assert all(parameter.default is parameter.empty for parameter in parameters)


def test_an_option_that_is_not_set_has_the_default_that_the_entry_states(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build("supcon").temperature == 0.1
    monkeypatch.setitem(losses.REGISTRY["supcon"].OPTIONS["temperature"], "default", 0.3)
    assert build("supcon").temperature == 0.3
    assert build({"supcon": {"temperature": 0.2}}).temperature == 0.2


@pytest.mark.parametrize("name", sorted(set(losses.REGISTRY)))
def test_equal_embeddings_give_finite_losses_and_gradients(name: str) -> None:
    import tensorflow as tf

    loss = build(name)
    targets = loss.targets(LABELS, np.random.default_rng(0))
    for vectors in (np.ones((6, 4), np.float32), np.zeros((6, 4), np.float32)):
        x = tf.constant(vectors)
        with tf.GradientTape() as tape:
            tape.watch(x)
            found, _ = loss(x, targets)
        assert np.isfinite(float(found))
        assert np.isfinite(tape.gradient(found, x)).all()


def test_no_loss_is_named_in_the_core() -> None:
    text = Path(inspect.getfile(objective)).read_text(encoding="utf-8")
    assert not [name for name in losses.REGISTRY if f'"{name}"' in text]
