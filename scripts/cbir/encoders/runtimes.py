"""The runtimes of networks: TensorFlow or OpenVINO, each in one of two precisions. This module imports neither."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbir.files.hashes import sha256_json

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""A function from images (n, height, width, 3) uint8 to feature vectors (n, d) float32."""


class Runtime(NamedTuple):
    """A library that runs networks, ``tensorflow`` or ``openvino``, and the precision it computes in.

    ``tensorflow`` means the backend of Keras, whichever it is. With the precision ``tf32`` a GPU rounds the factors of
    products to TensorFloat-32, which has 10 bits of significand instead of the 23 of float32; a CPU computes in
    float32.
    """

    name: str = "tensorflow"
    precision: str = "float32"

    def __str__(self) -> str:
        """Return its name in paths and parameters, such as ``tensorflow-float32``."""
        return "-".join(self)

    @classmethod
    def parse(cls, text: str) -> "Runtime":
        """Return the runtime with a name of this form."""
        return cls(*text.split("-"))


TENSORFLOW = Runtime()
RUNTIMES = (TENSORFLOW, Runtime(precision="tf32"), Runtime("openvino"), Runtime("openvino", "bfloat16"))


def fingerprint(encoder: str, runtime: Runtime) -> str:
    """Return the fingerprint of the features that an encoder gives with a runtime.

    Features of different runtimes differ by rounding errors at least, so they are never mixed.

    Args:
        encoder: the fingerprint in the encoder's side file.
        runtime: the library that runs the encoder, and its precision.
    """
    return encoder if runtime == TENSORFLOW else sha256_json([encoder, *runtime])


def made_by(encoder: str, features: str) -> Runtime | None:
    """Return the runtime with which an encoder made features of the fingerprint ``features``; None if it did not."""
    return next((runtime for runtime in RUNTIMES if fingerprint(encoder, runtime) == features), None)
