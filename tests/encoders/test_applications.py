"""The networks of Keras Applications; tests/applications.py runs every one of them, which takes too long here."""

import inspect
import sys
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from cbir.encoders import networks, weights
from cbir.encoders.architectures import REGISTRY, _layers, applications
from cbir.encoders.options import Options
from cbir.files.errors import InputError
from cbir.files.registry import table

pytestmark = pytest.mark.slow

ROWS = {row["word"]: row for row in table(applications.__file__)}
# A network with each kind of Keras's preprocessing, and one with layers within layers.
SMALL = ["mobilenetv3small", "efficientnetb0", "convnexttiny"]
SIZE = (64, 64)
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    return {word: networks.build(word, "random", 0, options=Options(size=SIZE))[0] for word in SMALL}


def theirs(word: str) -> Any:
    """Return Keras's own module of a network."""
    return sys.modules[getattr(keras.applications, ROWS[word]["function"]).__module__]


def test_every_network_of_keras_applications_is_an_architecture() -> None:
    functions = {name for name, value in vars(keras.applications).items() if inspect.isfunction(value)}
    assert {row["function"] for row in ROWS.values()} == functions - {"MobileNetV2"}
    assert [row["word"] for row in ROWS.values()] == sorted(row["function"].lower() for row in ROWS.values())
    assert set(REGISTRY) == {*ROWS, "mobilenetv2", "siamese"}


@pytest.mark.parametrize("word", ROWS)
def test_preprocessing_is_that_of_keras(word: str) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    expected = theirs(word).preprocess_input(pixels.copy())
    before = applications._PIXELS[ROWS[word]["pixels"]].before
    inputs = keras.Input((8, 8, 3))
    found = pixels if before is None else keras.Model(inputs, getattr(_layers, before)(inputs))(pixels)
    if applications._PIXELS[ROWS[word]["pixels"]].instead:
        # The output of Keras's own layers with the statistics in the file of ImageNet weights.
        expected = (expected / 255 - MEAN) / DEVIATION
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("word", SMALL)
def test_preprocessing_of_networks_with_their_own_layers_for_it(word: str, built: dict[str, Any]) -> None:
    model = built[word]
    first = next(layer for layer in model.layers if layer.weights)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    expected = pixels / 127.5 - 1 if word == "mobilenetv3small" else (pixels / 255 - MEAN) / DEVIATION
    start = model.get_layer("stem_conv_pad").input if word == "efficientnetb0" else first.input
    np.testing.assert_allclose(keras.Model(model.input, start)(pixels), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("word", SMALL)
def test_a_saved_network_is_opened_unchanged(word: str, built: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "e.keras"
    networks.save(built[word], path, encoder="e", source="random", normalise=False, options=Options(size=SIZE))
    # Keras numbers new layers by those built before.
    keras.layers.Conv2D(1, 1)
    opened = networks.open_encoder(path)
    assert opened.size == SIZE
    assert opened.about["dimension"] == int(ROWS[word]["width"]) == built[word].output_shape[1]
    values = zip(opened.model.get_weights(), built[word].get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in values)


def older_file(word: str, path: Path) -> Any:
    """Write weights as Keras publishes them, by Keras's own network; return the network."""
    model = getattr(keras.applications, ROWS[word]["function"])(weights=None, include_top=False, input_shape=(*SIZE, 3))
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.1, 1, value.shape).astype(value.dtype) for value in model.get_weights()])
    model.save(path)
    with h5py.File(path, "a") as file:
        names = list(file["model_weights"])
        for name in names:
            file.move(f"model_weights/{name}", name)
        # Keras 2, which wrote the published files, stores texts of fixed length.
        file.attrs["layer_names"] = file["model_weights"].attrs["layer_names"].astype("S")
        del file["model_weights"]
        for name in names:
            listed = file[name].attrs.get("weight_names", np.array([], object))
            file[name].attrs["weight_names"] = listed.astype("S")
    return model


@pytest.mark.parametrize("word", SMALL)
def test_published_weights_are_loaded_as_keras_loads_them(
    word: str, built: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras uses a file in its cache as the download if the checksum is right."""
    path = tmp_path / "published.h5"
    # Afterwards unnamed layers get other numbers than in the file.
    for kind in (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.ReLU):
        kind()
    published = older_file(word, path)
    monkeypatch.setattr(keras.utils, "get_file", lambda *arguments, **options: str(path))
    model = keras.models.clone_model(built[word])
    assert ROWS[word]["url"] in REGISTRY[word].download("imagenet", model)
    values = published.get_weights()[3 * (word == "efficientnetb0") :]
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), values, strict=True))


def test_the_error_of_a_failed_download_names_the_file_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, url: str, **options: Any) -> None:
        raise Exception(f"URL fetch failure on {url}")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", fail)
    for word, known in (("resnet50", "MD5 4d473c1dd8becc155b73f8504c6f6626"), ("mobilenet", "no published checksum")):
        with pytest.raises(InputError) as caught:
            REGISTRY[word].download("imagenet", None)
        message = str(caught.value)
        assert (
            f"fetch {ROWS[word]['url']} ({known}) by hand and put it at {tmp_path}/models/{ROWS[word]['file']}"
            in message
        )


def test_a_fetched_file_is_compared_with_its_checksum(
    built: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word, path = "mobilenetv3small", tmp_path / "imagenet.keras"
    monkeypatch.setattr(applications.Application, "build", lambda self, size: keras.models.clone_model(built[word]))
    monkeypatch.setattr(
        applications.Application, "download", lambda self, source, model: model.set_weights(built[word].get_weights())
    )
    weights.fetch(word, "imagenet", path)
    model, _ = networks.build(word, "imagenet", 1, path)
    assert all(map(np.array_equal, model.get_weights(), built[word].get_weights()))
    keras.models.clone_model(model).save(path)
    with pytest.raises(InputError, match=r"imagenet\.keras is not the one that .*imagenet\.json describes"):
        networks.build(word, "imagenet", 1, path)


def test_a_size_that_a_network_cannot_take_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"xception takes no images of 32 x 32 pixels .*at least 71.*: make the enc"):
        networks.build("xception", "random", 0, options=Options(size=(32, 32)))


def test_the_table_in_the_documents_agrees_with_the_library() -> None:
    page = (Path(__file__).parents[2] / "docs/encoders.md").read_text(encoding="utf-8")
    listed = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 4]
    found = [line for line in listed if line.split("`")[1] in ROWS]
    assert found == [f"| `{row['word']}` | {row['size']} | {int(row['width']):,} |" for row in ROWS.values()]
