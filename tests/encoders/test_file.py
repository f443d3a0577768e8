"""A user's own network in a Keras archive, of which only Keras's own layers may run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from cbir.encoders import networks
from cbir.encoders.architectures import REGISTRY
from cbir.encoders.inference import embedder
from cbir.encoders.options import Options
from cbir.files.errors import InputError
from encoders.archived import rewrite

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)


def own(path: Path, *more: Any, size: int | None = 16) -> keras.Model:
    """Save a small network, its preprocessing among its layers, and a layer within a layer."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((size, size, 3))
    normalise = layers.Normalization(axis=-1)
    normalise.adapt(np.random.default_rng(1).uniform(0, 255, (4, 8, 8, 3)))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(normalise(inputs))
    x = keras.Sequential([layers.Conv2D(6, 3, strides=2, use_bias=False), layers.BatchNormalization()])(x)
    x = layers.Dropout(0.1)(x)
    for layer in more:
        x = layer(x)
    model = keras.Model(inputs, x)
    model.compile("adam", "mse")
    model.save(path)
    return model


def saved(path: Path, target: Path, options: Options = Options()) -> Any:  # noqa: B008
    model, source = networks.build(f"file:{path}", "own", 0, options=options)
    networks.save(
        model, target, encoder="own", source=source, normalise=False, architecture=f"file:{path}", options=options
    )
    return model


def test_its_own_weights_give_its_features(tmp_path: Path) -> None:
    path, target = tmp_path / "my.keras", tmp_path / "e.keras"
    model = own(path, layers.GlobalAveragePooling2D())
    expected = model(PIXELS.astype(np.float32), training=False)
    saved(path, target)
    # The results contain everything that is needed.
    path.unlink()
    opened = networks.open_encoder(target)
    assert opened.size == (16, 16)
    assert opened.about["dimension"] == 6
    assert opened.about["weights"] == f"file {path}"
    np.testing.assert_allclose(opened.model(PIXELS.astype(np.float32)), expected, rtol=1e-5)
    np.testing.assert_allclose(embedder(opened.model, 2, False)(PIXELS), expected, rtol=1e-4, atol=1e-6)


def test_random_weights_differ_from_those_of_the_file(tmp_path: Path) -> None:
    own(tmp_path / "my.keras", layers.GlobalAveragePooling2D())
    one, two = (networks.build(f"file:{tmp_path}/my.keras", weights, 0)[0] for weights in ("own", "random"))
    assert not np.allclose(one(PIXELS.astype(np.float32)), two(PIXELS.astype(np.float32)))


def test_a_feature_map_is_averaged_or_pooled_as_configured(tmp_path: Path) -> None:
    path = tmp_path / "my.keras"
    maps = np.asarray(own(path)(PIXELS.astype(np.float32), training=False), np.float64)
    for options, expected in (
        (Options(), maps.mean(axis=(1, 2))),
        (Options(pooling="max"), maps.max(axis=(1, 2))),
        (Options(pooling="gem", gem_p=4), (np.maximum(maps, 1e-6) ** 4).mean(axis=(1, 2)) ** 0.25),
    ):
        saved(path, tmp_path / "e.keras", options)
        opened = networks.open_encoder(tmp_path / "e.keras")
        np.testing.assert_allclose(opened.model(PIXELS.astype(np.float32)), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="pooling is token, but its network gives a feature map"):
        networks.build(f"file:{path}", "own", 0, options=Options(pooling="token"))


def test_a_network_for_images_of_any_size_takes_the_configured_size(tmp_path: Path) -> None:
    path = tmp_path / "my.keras"
    own(path, size=None)
    with pytest.raises(InputError, match=r"my\.keras takes images of any size: give the encoder's row a size"):
        networks.build(f"file:{path}", "own", 0)
    model, _ = networks.build(f"file:{path}", "own", 0, options=Options(size=(24, 32)))
    assert model.input_shape == (None, 32, 24, 3)


def test_a_sequential_model_and_tokens(tmp_path: Path) -> None:
    path = tmp_path / "my.keras"
    stack = [
        keras.Input((16, 16, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(5, 8, strides=8),
        layers.Reshape((4, 5)),
    ]
    model = keras.Sequential(stack)
    model.save(path)
    tokens = np.asarray(model(PIXELS.astype(np.float32)))
    saved(path, tmp_path / "e.keras", Options(pooling="token"))
    found = networks.open_encoder(tmp_path / "e.keras").model(PIXELS.astype(np.float32))
    np.testing.assert_allclose(found, tokens[:, 0], rtol=1e-6)


def added(**layer: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda config: config["config"]["layers"].append({"name": "x", "inbound_nodes": [], **layer})


def activation(function: Any) -> Callable[[dict[str, Any]], Any]:
    def change(config: dict[str, Any]) -> None:
        next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Conv2D")["config"][
            "activation"
        ] = function

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (added(class_name="Lambda", module="keras.layers", config={"function": "4wEA"}), "Lambda of keras.layers"),
        (added(class_name="TFSMLayer", module="keras.layers", config={"filepath": "/x"}), "TFSMLayer of keras.layers"),
        (added(class_name="StringLookup", module="keras.layers", config={"vocabulary": "/etc/passwd"}), "StringLookup"),
        (added(class_name="Popen", module="subprocess", config={"args": "id"}), "Popen of subprocess"),
        (added(class_name="Thing", module=None, config={}), "Thing of None"),
        (activation({"class_name": "function", "module": "builtins", "config": "eval"}), "function of builtins"),
        (activation({"class_name": "__lambda__", "config": {"value": ["4wEA"]}}), "__lambda__ of None"),
        (
            added(class_name="Dense", module="keras.layers", config={"name": "x", "units": 150_000_000}),
            "units of 150000000 is larger",
        ),
        (lambda config: config.update(config=[]), "holds no network"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_foreign_code_and_oversized_layers_are_not_built(
    change: Callable[[dict[str, Any]], Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = tmp_path / "my.keras", tmp_path / "e.keras"
    own(path)
    saved(path, target)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", lambda *_, **__: pytest.fail("it was built"))
    for file, use in ((path, lambda: REGISTRY.get_entry(f"file:{path}").SIZE), (target, None)):
        rewrite(file, change)
        with pytest.raises(InputError, match=reason):
            (use or (lambda: networks.open_encoder(target)))()


def test_files_that_hold_no_such_network_are_input_errors(tmp_path: Path) -> None:
    path = tmp_path / "my.keras"
    with pytest.raises(InputError, match=r"my\.keras does not exist: correct the encoder's architecture"):
        networks.build(f"file:{path}", "own", 0)
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"my\.keras holds no network that could be used"):
        networks.build(f"file:{path}", "own", 0)
    inputs = keras.Input((16, 16, 1))
    keras.Model(inputs, layers.GlobalAveragePooling2D()(inputs)).save(path)
    with pytest.raises(InputError, match=r"maps .*16, 16, 1.* it must take images \(height, width, 3\)"):
        networks.build(f"file:{path}", "own", 0)
    with pytest.raises(InputError, match=r"The architecture 'file:' does not exist: use one of .*, file:\.\.\., "):
        networks.build("file:", "own", 0)
