import gc
import json
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from cbir.encoders import inference, networks
from cbir.encoders.architectures import REGISTRY
from cbir.encoders.inference import embedder
from cbir.encoders.options import Options, Preparation, preparation
from cbir.encoders.pooling import pooled
from cbir.encoders.runtimes import Runtime
from cbir.files.errors import InputError


def test_options_of_a_row() -> None:
    assert Options.from_row({"size": 96, "weights": "random"}) == Options(size=(96, 96))
    assert Options.from_row({"size": [96, 64], "pooling": "gem", "gem_p": 2}).size == (96, 64)
    assert Options().given() == Options(gem_p=7).given() == {}
    # Some architectures have another pooling by default.
    assert Options(pooling="average", gem_p=7).given() == {"pooling": "average"}
    given = Options(size=(96, 64), pooling="gem", gem_p=2, crop="centre", flip=True)
    assert Options.from_row(json.loads(json.dumps(given.given()))) == given


@pytest.mark.parametrize(
    "row",
    [{"size": 0}, {"size": [3, 3, 3]}, {"size": "big"}, {"crop": []}, {"pooling": "sum"}, {"gem_p": 0}, {"flip": 2}],
)
def test_invalid_values_of_options_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(row))} is .*: make it"):
        Options.from_row(row)


def test_the_side_file_states_how_images_are_prepared() -> None:
    about = {"architecture": "siamese", "preprocessing": {"size": [32, 16]}, "options": {"crop": "centre"}}
    assert preparation(about, "e.json") == Preparation((32, 16), "centre")
    assert preparation({"architecture": "siamese"}, "e.json") == Preparation((224, 224))
    for damaged in (
        {"preprocessing": 3},
        {"preprocessing": {"size": [10**9, 5]}},
        {"options": 3},
    ):
        with pytest.raises(InputError, match=r"e\.json does not say what images its network takes .*: run again"):
            preparation(about | damaged, "e.json")


def test_the_fingerprint_covers_only_options_that_are_used() -> None:
    plain = networks.preprocessing("siamese")
    assert networks.preprocessing("siamese", (224, 224), Options(gem_p=4, pooling="average")) == plain
    assert set(plain) == {"decode", "size", "scale", "network"}
    others = [
        networks.preprocessing("siamese", (96, 96)),
        *(
            networks.preprocessing("siamese", None, options)
            for options in (Options(pooling="max"), Options(pooling="gem"), Options(pooling="gem", gem_p=4))
        ),
        networks.preprocessing("siamese", None, Options(crop="centre")),
        networks.preprocessing("siamese", None, Options(flip=True)),
    ]
    assert len({json.dumps(steps) for steps in [plain, *others]}) == 7


def test_the_pooling_within_a_network_is_replaced() -> None:
    model, _ = networks.build("siamese", "random", 0, options=Options(size=(32, 32), pooling="max"))
    own, _ = networks.build("siamese", "random", 0, options=Options(size=(32, 32)))
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    maps = np.asarray(keras.Model(own.input, own.get_layer("pool3").output)(pixels))
    kernel, bias = own.get_layer("embedding").get_weights()
    np.testing.assert_allclose(model(pixels), maps.max(axis=(1, 2)) @ kernel + bias, rtol=1e-3, atol=1e-4)
    assert pooled(own, "average", 3) is own


def test_averages_within_blocks_are_not_replaced_as_pooling() -> None:
    inputs = keras.Input((8, 8, 3))
    weights = layers.Reshape((1, 1, 3))(layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, layers.Flatten()(layers.Multiply()([inputs, weights])), name="squeezing")
    with pytest.raises(
        InputError, match="squeezing has no average over its feature map that pooling: gem could replace"
    ):
        pooled(model, "gem", 3)


def test_gem_between_average_and_maximum() -> None:
    """Worked by hand: of 1, 2, 3, 6 the cubes are 1, 8, 27, 216, their mean is 63, its cube root 3.979057."""
    inputs = keras.Input((2, 2, 1))
    model = pooled(keras.Model(inputs, layers.Identity()(inputs)), "gem", 3.0)
    values = np.array([1, 2, 3, 6], np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(model(values), [[3.979057]], rtol=1e-5)
    again = type(model.layers[-1]).from_config(model.layers[-1].get_config())
    assert again.p == 3.0


def tiny() -> keras.Model:
    """Return a network whose feature is the mean of the left half of an image."""
    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Cropping2D(((0, 0), (0, 2)))(inputs)))


def test_flip_gives_the_mean_of_the_image_and_its_mirror() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    expected = images.mean(axis=(1, 2))
    assert not np.allclose(embedder(tiny(), 4, False)(images), expected)
    np.testing.assert_allclose(embedder(tiny(), 4, False, flip=True)(images), expected, rtol=1e-5)
    found = embedder(tiny(), 4, True, flip=True)(images)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)


def test_a_network_that_cannot_be_folded_or_converted_is_run_by_tensorflow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "cbir")
    inputs = keras.Input((4, 4, 3))
    twice = layers.DepthwiseConv2D(3, padding="same")
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(twice(twice(inputs))), name="twice")

    def fail(*_: Any) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(inference, "_litert", fail)
    monkeypatch.setattr(inference, "fold", fail)
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    expected = model(images.astype(np.float32))
    np.testing.assert_allclose(embedder(model, 2, False)(images), expected, rtol=1e-4, atol=1e-4)
    messages = [record.getMessage() for record in caplog.records]
    assert any("twice is run without folding" in message for message in messages)
    assert any(
        "twice is run by TensorFlow, because LiteRT cannot (no such operation)" in message for message in messages
    )
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino, "convert_model", fail)
    np.testing.assert_allclose(embedder(model, 2, False, Runtime("openvino"))(images), expected, rtol=1e-4, atol=1e-4)
    assert "because OpenVINO cannot" in "".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.DepthwiseConv2D(3), "litert"),
        # As in ConvNeXt.
        (layers.Conv2D(3, 3, groups=3), "litert"),
        (layers.Conv2D(6, 3, groups=3), "tensorflow"),
        (layers.Conv2D(1, 3), "tensorflow"),
    ],
    ids=["depthwise", "a group for each channel", "groups", "plain"],
)
def test_litert_runs_convolutions_of_single_channels(
    layer: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    litert = inference._litert
    monkeypatch.setattr(inference, "_litert", lambda *given: (runs.append("litert"), litert(*given))[1])
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layer(inputs)))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    found = embedder(model, 2, False)(images)
    np.testing.assert_allclose(found, model(images.astype(np.float32)), rtol=1e-4, atol=1e-4)
    assert (runs or ["tensorflow"]) == [expected]


@pytest.mark.parametrize("layer", [layers.DepthwiseConv2D(3), layers.Conv2D(2, 3)], ids=["depthwise", "plain"])
def test_a_large_network_keeps_its_variables(
    layer: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Copies of its weights as constants would not fit the memory.
    caplog.set_level("INFO", "cbir")
    monkeypatch.setattr(inference, "_MOST_CONVERTED", 10)
    monkeypatch.setattr(inference, "_litert", None)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layer(inputs)), name="large")
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    embed = embedder(model, 2, False)
    expected = model(images.astype(np.float32))
    gc.collect()
    np.testing.assert_allclose(embed(images), expected, rtol=1e-4, atol=1e-4)
    assert "the network large keeps its variables" in caplog.text


def test_every_architecture_defines_what_the_check_of_the_configuration_needs() -> None:
    for name in REGISTRY:
        entry = REGISTRY[name]
        width, height = entry.SIZE
        assert width >= 32 and height >= 32 and isinstance(entry.PREPROCESSING, str) and isinstance(entry.SOURCES, dict)
