"""Images from outside the collection: held in memory, turned into features by a thread of its own.

TensorFlow takes seconds to load. The thread loads it when the first image comes, while the page goes on answering.
"""

import hashlib
import io
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from cbir.collection import images
from cbir.encoders.runtimes import made_by
from cbir.files.errors import InputError
from cbir.files.tables import read_json
from cbir.web.library import Library

log = logging.getLogger("cbir")

# From the bytes of an image file to its features (d,).
_Encode = Callable[[bytes], NDArray[np.float32]]

MAX_BYTES = 20_000_000
_HELD = 16

# The configuration's own default. A network run at the shape of the workflow gives its features bit by bit on most
# machines; a batch of another size differs in the last bits.
_BATCH = 2


@dataclass(frozen=True)
class Upload:
    """A dropped image: its bytes as they came, its name where it came from, and its format's usual suffix."""

    data: bytes
    name: str
    suffix: str


class OutsideImages:
    """The images dropped so far, the newest few of them, and their features."""

    def __init__(self, library: Library) -> None:
        """Make an empty collection; nothing is loaded yet."""
        self._library = library
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._vectors: OrderedDict[tuple[str, str], Future[NDArray[np.float32]]] = OrderedDict()
        # These two are the thread's own.
        self._networks: dict[str, _Encode] = {}
        self._encoded: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()
        # One image is decoded at a time: a few large ones at once could exhaust the memory.
        self._decoding = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "encoder")
        self.stage = ""
        """What the thread is at."""

    def add(self, data: bytes, name: str) -> str:
        """Take an image in.

        Args:
            data: the bytes of the file.
            name: what its owner calls it.

        Returns:
            The SHA-256 of its bytes, by which it is known from now on.

        Raises:
            InputError: when it is no image that the encoders can read.
        """
        if not data:
            raise InputError("The file is empty: choose another one.")
        try:
            with self._decoding:
                images.inspect(data)
        except images.ImageError as error:
            raise InputError(
                f"The file {name!r} cannot be used: {error}; choose a JPEG, PNG, WebP, GIF, BMP or TIFF file."
            ) from None
        with Pillow.open(io.BytesIO(data), formats=images.FORMATS) as header:
            suffix = f".{header.format.lower()}" if header.format else ""
        digest = hashlib.sha256(data).hexdigest()
        with self._lock:
            self._uploads[digest] = Upload(data, name, suffix)
            self._uploads.move_to_end(digest)
            while len(self._uploads) > _HELD:
                self._uploads.popitem(last=False)
        return digest

    def get(self, digest: str) -> Upload:
        """Return an image.

        Raises:
            InputError: when it is not held, because the server was started again or many others came after it.
        """
        with self._lock:
            if digest not in self._uploads:
                raise InputError("The dropped image is no longer held: drop it again.")
            return self._uploads[digest]

    def vector(self, method: str, digest: str, patience: float = 0.5) -> NDArray[np.float32] | None:
        """Return an image's features, or None while they are being made.

        Args:
            method: whose features.
            digest: the image's SHA-256.
            patience: seconds to wait for them.

        Raises:
            InputError: when they cannot be made; the next call tries again.
        """
        key = (method, digest)
        upload = self.get(digest)
        with self._lock:
            future = self._vectors.get(key)
            if future is None:
                future = self._vectors[key] = self._worker.submit(self._features, method, digest, upload.data)
                while len(self._vectors) > 8 * _HELD:
                    self._vectors.popitem(last=False)
        try:
            return future.result(patience)
        except TimeoutError:
            return None
        except InputError:
            self._forget(key)
            raise
        except Exception:
            self._forget(key)
            log.exception("The image could not be encoded; this is a fault of the program:")
            raise InputError("The image could not be encoded: the server's terminal tells why.") from None

    def _forget(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._vectors.pop(key, None)

    def _features(self, method: str, digest: str, data: bytes) -> NDArray[np.float32]:
        """Return the features (d,) as the workflow makes them: by an encoder, or from those of the method's parts."""
        if method not in self._library.methods:
            raise InputError(f"The features of the method {method!r} are missing: run the workflow again.")
        about = self._library.methods[method].about
        if "encoder" in about:
            return self._encode(str(about["encoder"]), str(about["encoder_fingerprint"]), digest, data)
        from cbir.features import transforms

        path = self._library.results / "transforms" / f"{method}.h5"
        steps, made_from = transforms.read(path)
        if made_from.get("fingerprint") != about.get("transform_fingerprint"):
            raise InputError(f"The transform {path} is not the one that made the features: run the workflow again.")
        parts = [self._features(part, digest, data)[None] for part in json.loads(made_from["parts"])]
        return transforms.transform(steps, parts)[0]

    def _encode(self, encoder: str, fingerprint: str, digest: str, data: bytes) -> NDArray[np.float32]:
        key = (encoder, digest)
        if key not in self._encoded:
            encode = self._network(encoder, fingerprint)
            self.stage = "The image is being encoded."
            self._encoded[key] = encode(data)
            while len(self._encoded) > 8 * _HELD:
                self._encoded.popitem(last=False)
        return self._encoded[key]

    def _network(self, encoder: str, fingerprint: str) -> _Encode:
        if encoder not in self._networks:
            self.stage = f"The network {encoder} is loading; this takes some seconds, once."
            path = self._library.results / "encoders" / f"{encoder}.keras"
            self._networks[encoder] = _open(path, fingerprint)
        return self._networks[encoder]


def _open(path: Path, fingerprint: str) -> _Encode:
    runtime = made_by(read_json(path.with_suffix(".json")).get("fingerprint"), fingerprint)
    if runtime is None:
        raise InputError(f"The network {path} is not the one that made the features: run the workflow again.")
    # Here, not above: it imports TensorFlow.
    from cbir.encoders import inference, networks

    encoder = networks.open_encoder(path)
    embed = inference.embedder(encoder.model, _BATCH, encoder.about["normalise"], runtime)
    return lambda data: embed(np.asarray(images.decode(data, encoder.size))[None])[0]
