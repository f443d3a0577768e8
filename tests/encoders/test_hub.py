"""Presets of keras-hub: tiny ones with random weights, saved here as keras-hub saves them."""

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import kagglehub
import keras
import numpy as np
import pytest
import requests
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from keras_hub import models
from PIL import Image

import presets
from cbir.encoders import networks, weights
from cbir.encoders.architectures import REGISTRY
from cbir.encoders.inference import embedder
from cbir.encoders.options import Options
from cbir.files.errors import InputError
from cbir.training.batches import ImageSet
from cbir.training.train import train
from encoders.archived import rewrite
from presets import FAMILIES, OFFSET, SCALE
from training import made

pytestmark = pytest.mark.slow

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
INPUTS = PIXELS * np.array(SCALE, np.float32) + np.array(OFFSET, np.float32)


class Presets(dict[str, tuple[Path, Any]]):
    """The folder and the backbone of the preset of each family, and its network as it was fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, family: str) -> tuple[Path, Any]:
        folder = self.folder / family
        self[family] = folder, presets.save(family, folder)
        weights.fetch(f"hub:{folder}", "own", self.fetched(family))
        return self[family]

    def fetched(self, family: str) -> Path:
        return self.folder / f"{family}.keras"

    def build(self, family: str, source: str = "own", **options: Any) -> tuple[Any, str]:
        folder, _ = self[family]
        return networks.build(f"hub:{folder}", source, 3, self.fetched(family), Options(**options))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Presets:
    return Presets(tmp_path_factory.mktemp("presets"))


def save(saved: Presets, family: str, path: Path, **options: Any) -> networks.Encoder:
    """Build, save and open an encoder, as the workflow does."""
    model, source = saved.build(family, **options)
    name = f"hub:{saved[family][0]}"
    networks.save(
        model, path, encoder="e", source=source, normalise=False, architecture=name, options=Options(**options)
    )
    return networks.open_encoder(path)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_of_a_preset_equal_those_of_keras_hub(family: str, saved: Presets, tmp_path: Path) -> None:
    folder, backbone = saved[family]
    opened = save(saved, family, tmp_path / "e.keras")
    expected = np.asarray(FAMILIES[family][2](backbone, INPUTS))
    assert np.abs(expected[0] - expected[1]).max() > 5e-3 * np.abs(expected).max()
    found = embedder(opened.model, 2, False)(PIXELS)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert opened.size == (32, 32)
    assert opened.about["architecture"] == f"hub:{folder}"
    config = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    assert f"preset {folder}, config.json sha256 {config}, weights sha256 " in opened.about["weights"]


def test_a_class_token_is_taken_and_another_pooling_replaces_it(saved: Presets) -> None:
    pixels = PIXELS.astype(np.float32)
    tokens = np.asarray(saved["DINOv2"][1]({"images": INPUTS}))
    # One class token, one register, and 4 x 4 patches.
    assert tokens.shape == (2, 18, 16)
    for pooling, expected in (("token", tokens[:, 0]), ("max", tokens.max(axis=1))):
        model, _ = saved.build("DINOv2", pooling=pooling)
        np.testing.assert_allclose(model(pixels), expected, rtol=1e-3, atol=1e-4)
    backbone = saved["CLIP"][1]
    means = np.asarray(backbone.vision_encoder({"images": INPUTS})).mean(axis=1)
    (projection,) = backbone.vision_projection.get_weights()
    model, _ = saved.build("CLIP", pooling="average")
    np.testing.assert_allclose(model(pixels), means @ projection, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match=r"SigLIPVisionEncoder has no average .* that pooling: token could replace"):
        saved.build("SigLIP", pooling="token")


def test_another_size_is_used_if_the_backbone_allows_it(saved: Presets, tmp_path: Path) -> None:
    larger = np.random.default_rng(3).integers(0, 256, (2, 48, 48, 3)).astype(np.float32)
    inputs = larger * np.array(SCALE, np.float32) + np.array(OFFSET, np.float32)
    # Its position embeddings are for 48 x 48 pixels, and interpolated for all other sizes.
    theirs = models.Backbone.from_preset(str(saved["DINOv2"][0]), image_shape=(48, 48, 3))
    opened = save(saved, "DINOv2", tmp_path / "e.keras", size=(48, 48))
    assert opened.size == (48, 48)
    np.testing.assert_allclose(opened.model(larger), np.asarray(theirs({"images": inputs}))[:, 0], rtol=1e-3, atol=1e-4)
    model, _ = saved.build("EfficientNet", size=(48, 40))
    expected = np.asarray(saved["EfficientNet"][1](inputs[:, :40])).mean(axis=(1, 2))
    np.testing.assert_allclose(model(larger[:, :40]), expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match=r"are for images of 32 x 32 pixels and for no others .*take the size out"):
        saved.build("ViT", size=(48, 48))
    with pytest.raises(InputError, match=r"Its own size is 32 x 32 pixels, and 48 x 40 were asked for"):
        saved.build("DINOv2", size=(48, 40))


def test_a_trained_preset_is_opened_unchanged(saved: Presets, tmp_path: Path) -> None:
    """The position embeddings of the configured size are trained."""
    names = [tmp_path / f"{number}.png" for number in range(8)]
    for number, name in enumerate(names):
        Image.fromarray(np.roll(PIXELS[number % 2], number, axis=0)).save(name)
    images = ImageSet([str(name) for name in names], np.arange(8) % 2, [name.name for name in names])
    model, _ = saved.build("DINOv2")
    wanted = made.settings(
        categories_per_batch=2, images_per_category=2, epochs=1, steps_per_epoch=2, learning_rate=0.1
    )
    history = train(model, images, images, wanted, tmp_path)
    assert np.isfinite(history["loss"].iloc[-1])
    # If validation finds the epoch no better, the weights stay as they were.
    embeddings = model.get_layer("dinov2_backbone").embeddings
    embeddings.interpolated_position_embeddings.assign_add(np.full((1, 17, 16), 0.1, np.float32))
    expected = np.asarray(model(PIXELS.astype(np.float32)))
    path = tmp_path / "e.keras"
    networks.save(model, path, encoder="e", source="x", normalise=False, architecture=f"hub:{saved['DINOv2'][0]}")
    np.testing.assert_array_equal(networks.open_encoder(path).model(PIXELS.astype(np.float32)), expected)


def test_random_weights_differ_from_those_of_the_preset(saved: Presets) -> None:
    random, again, own = (saved.build("ViT", source)[0] for source in ("random", "random", "own"))
    assert weights.digest(random) == weights.digest(again) != weights.digest(own)


def test_an_encoder_is_opened_without_its_preset(saved: Presets, tmp_path: Path) -> None:
    folder, _ = saved["ViT"]
    first = save(saved, "ViT", tmp_path / "e.keras").about
    folder.rename(tmp_path / "moved")
    try:
        assert networks.open_encoder(tmp_path / "e.keras").about["fingerprint"] == first["fingerprint"]
        with pytest.raises(InputError, match=rf"The folder {folder} holds no preset of keras-hub, which has a config"):
            _ = REGISTRY[f"hub:{folder}"].SIZE
    finally:
        (tmp_path / "moved").rename(folder)


def changed(saved: Presets, folder: Path, file: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Copy the preset of ViT with a change in one of its files."""
    shutil.copytree(saved["ViT"][0], folder)
    content = json.loads((folder / file).read_text())
    change(content)
    (folder / file).write_text(json.dumps(content))
    return folder


def test_other_preprocessing_gives_another_fingerprint(saved: Presets, tmp_path: Path) -> None:
    folder = changed(saved, tmp_path / "p", "image_converter.json", lambda node: node["config"].update(scale=0.5))
    model, _ = REGISTRY[f"hub:{folder}"].fetch()
    assert model.to_json() != saved.build("ViT")[0].to_json()
    assert weights.digest(model) == weights.digest(saved.build("ViT")[0])


def named(**names: Any) -> Callable[[dict[str, Any]], None]:
    return lambda node: node.update(names)


def below(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda node: node["config"].__setitem__(key, value)


LAMBDA = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "4wEA"}, "registered_name": None}
TOKENIZER = {
    "class_name": "SentencePieceTokenizer",
    "module": "keras_hub.src.tokenizers.sentence_piece_tokenizer",
    "registered_name": "keras_hub>SentencePieceTokenizer",
    "config": {"proto": "/etc/passwd"},
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (below("dtype", LAMBDA), "it has Lambda of keras.layers"),
        (below("dtype", TOKENIZER), "it has keras_hub>SentencePieceTokenizer of keras_hub"),
        # Keras looks up the registered name first.
        (below("dtype", TOKENIZER | {"class_name": "Dense", "module": "keras.layers"}), "it has keras_hub>Sentence"),
        (named(**TOKENIZER), "it has keras_hub>SentencePieceTokenizer of"),
        (named(class_name="Popen", module="subprocess", registered_name="Popen"), "it has Popen of subprocess"),
        (named(module="evil", registered_name="keras_hub>ViTBackbone"), "it has keras_hub>ViTBackbone of evil"),
        (named(registered_name="mine>ViTBackbone"), "it has mine>ViTBackbone of keras_hub"),
        (named(registered_name="Functional", class_name="Functional", module="keras"), "is no backbone of keras-hub"),
    ],
    ids=["lambda", "tokenizer", "two names", "no backbone", "popen", "module", "package", "functional"],
)
def test_a_preset_that_names_foreign_classes_is_refused(
    change: Callable[[dict[str, Any]], Any],
    reason: str,
    saved: Presets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = changed(saved, tmp_path / "p", "config.json", change)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", lambda *_, **__: pytest.fail("it was built"))
    with pytest.raises(InputError, match=rf"The preset {folder} cannot be used \(.*{reason}"):
        REGISTRY[f"hub:{folder}"].fetch()


@pytest.mark.parametrize("name", ["token", "vi_t_backbone"])
def test_an_archive_that_names_foreign_classes_is_refused(name: str, saved: Presets, tmp_path: Path) -> None:
    path = tmp_path / "e.keras"
    save(saved, "ViT", path)

    def change(config: dict[str, Any]) -> None:
        part = next(layer for layer in config["config"]["layers"] if layer["name"] == name)
        part["config"]["dtype"] = TOKENIZER

    rewrite(path, change)
    with pytest.raises(InputError, match="it has keras_hub>SentencePieceTokenizer of keras_hub"):
        networks.open_encoder(path)


def test_a_preset_that_cannot_be_used_is_an_input_error(
    saved: Presets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"correct its name, or fetch the files of no_such_preset by hand \(config"):
        REGISTRY["hub:no_such_preset"].fetch()
    folder = changed(saved, tmp_path / "p", "metadata.json", lambda node: None)
    (folder / "image_converter.json").unlink()
    with pytest.raises(InputError, match=r"`image_converter\.json` doesn't exist .*: save it by keras-hub"):
        REGISTRY[f"hub:{folder}"].fetch()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "keras_hub" else find_spec(name, *rest)
    )
    for use in (REGISTRY["hub:x"].fetch, lambda: REGISTRY["hub:x"].restore(tmp_path)):
        with pytest.raises(InputError, match=r"a preset of keras-hub, which is not installed: run `make extras`, or"):
            use()


KAGGLE = "kaggle://keras/dinov2/keras/dinov2_small/1"


@pytest.mark.parametrize(
    ("preset", "where"),
    [("dinov2_small", KAGGLE), (KAGGLE, KAGGLE), ("hf://google/siglip", "hf://google/siglip")],
    ids=["name", "kaggle", "hf"],
)
@pytest.mark.parametrize("file", ["config.json", "image_converter.json", "model.weights.h5"])
def test_a_network_that_is_missing_is_an_input_error(
    preset: str, where: str, file: str, saved: Presets, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved["ViT"][0]

    def download(requested: str) -> str:
        # Large weights are in several files, beside a model.weights.json.
        if requested.startswith(file.removesuffix(".h5")):
            kinds = {"hf": LocalEntryNotFoundError, "kaggle": requests.exceptions.ConnectionError}
            raise kinds[where.partition(":")[0]]("no\nway to the hub")
        return str(folder / requested)

    monkeypatch.setattr(kagglehub, "model_download", lambda handle, path: download(path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo_id, filename: download(filename))
    with pytest.raises(InputError) as caught:
        REGISTRY[f"hub:{preset}"].fetch()
    files = "config.json, image_converter.json, model.weights.h5, and what else lies there"
    assert str(caught.value) == (
        f"The preset {preset} cannot be used (no way to the hub): correct its name, or fetch the files of {where} by "
        f"hand ({files}) into a folder and name that, hub:FOLDER."
    )


def test_a_preset_of_a_hub_equals_the_preset_of_its_files(saved: Presets, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved["ViT"][0]
    requested = []

    def download(repo_id: str, filename: str) -> str:
        requested.append(repo_id)
        if not (folder / filename).exists():
            raise EntryNotFoundError(filename)
        return str(folder / filename)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    model, where = REGISTRY["hub:hf://somebody/tiny"].fetch()
    assert set(requested) == {"somebody/tiny"} and "preset hf://somebody/tiny, config.json sha256 " in where
    assert weights.digest(model) == weights.digest(saved.build("ViT")[0])
