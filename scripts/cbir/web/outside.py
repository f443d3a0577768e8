"""Images from outside the collection: held in memory, turned into features by a thread of its own.

TensorFlow takes seconds to load. The thread loads it when the first image comes, while the server goes on answering.
"""

import hashlib
import io
import logging
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from cbir.collection import images
from cbir.files.errors import InputError
from cbir.retrieval.outside import OutsideEncoder
from cbir.web.library import Library

log = logging.getLogger("cbir")

MAX_BYTES = 20_000_000
_HELD = 16


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
        self._encoder = OutsideEncoder(library.files, {name: held.about for name, held in library.methods.items()})
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._vectors: OrderedDict[tuple[str, str], Future[NDArray[np.float32]]] = OrderedDict()
        self._lock = threading.Lock()
        # One image is decoded at a time: a few large ones at once could exhaust the memory.
        self._decoding = threading.Lock()
        # Its one thread is the only one that uses the encoder.
        self._worker = ThreadPoolExecutor(1, "encoder")

    @property
    def stage(self) -> str:
        """What the thread is doing, as a sentence."""
        return self._encoder.stage

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
                future = self._vectors[key] = self._worker.submit(self._encoder.features, method, upload.data)
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
