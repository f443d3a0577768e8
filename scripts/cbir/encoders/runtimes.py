"""The runtimes of networks: TensorFlow or OpenVINO, each in one of two precisions. This module imports neither."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbir.files.hashes import sha256_json

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From images (n, height, width, 3) uint8 to feature vectors (n, d) float32."""


class Runtime(NamedTuple):
    """A library that runs networks, ``tensorflow`` or ``openvino``, and the precision it computes in.

    ``tensorflow`` stands for whatever backend Keras has. Its precision ``tf32`` lets a GPU round the factors of
    products to TensorFloat-32, which has 10 bits of significand instead of float32's 23; a processor computes in
    float32.
    """

    name: str = "tensorflow"
    precision: str = "float32"

    def __str__(self) -> str:
        """Return how folders and parameters call it: ``tensorflow-float32``."""
        return "-".join(self)

    @classmethod
    def parse(cls, text: str) -> "Runtime":
        """Return the runtime that is called so."""
        return cls(*text.split("-"))


TENSORFLOW = Runtime()
RUNTIMES = (TENSORFLOW, Runtime(precision="tf32"), Runtime("openvino"), Runtime("openvino", "bfloat16"))


def fingerprint(encoder: str, runtime: Runtime) -> str:
    """Return what tells an encoder's features apart from others: its fingerprint, and what runs it.

    Runtimes differ in the last digits or in precision, so their rows are never mixed.

    Args:
        encoder: the fingerprint in the encoder's side file.
        runtime: what runs it.
    """
    return encoder if runtime == TENSORFLOW else sha256_json([encoder, *runtime])


def made_by(encoder: str, features: str) -> Runtime | None:
    """Return the runtime by which an encoder made features of this `fingerprint`; None if it did not make them."""
    return next((runtime for runtime in RUNTIMES if fingerprint(encoder, runtime) == features), None)
