"""Images from outside the collection, and texts: kept in memory, and encoded in a separate thread.

TensorFlow takes seconds to load. The thread loads it when the first image arrives, and the server keeps answering.
"""

import contextlib
import hashlib
import io
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from cbir.collection import images
from cbir.collection.formats import format_of
from cbir.encoders import loading
from cbir.files.errors import InputError
from cbir.retrieval.outside import OutsideEncoder
from cbir.web.library import Library
from cbir.web.state import Box

log = logging.getLogger("cbir")

MAX_BYTES = 20_000_000
"""The most bytes of an image file."""
FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF or JPEG 2000"
"""The formats that `cbir.collection.images` reads, as text."""
SUFFIXES = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "HEIC": ".heic",
    "AVIF": ".avif",
    "JPEG 2000": ".jp2",
}
# The most images in memory, and their bytes.
_HELD = 32
_HELD_BYTES = 200_000_000
# The most pixels of the longer side of a part of an image; networks use fewer.
_PART = 2048


@dataclass(frozen=True)
class Upload:
    """An uploaded image: the bytes of its file, its file name, and the usual suffix of its format."""

    data: bytes
    name: str
    suffix: str


def _import_keras() -> None:
    """Import Keras and TensorFlow, which is most of the time that the first image from outside takes."""
    # If they are not installed, the search that needs them says so.
    with contextlib.suppress(ImportError), loading.quickly():
        import keras  # noqa: F401


class OutsideImages:
    """The last uploaded images and their features."""

    def __init__(self, library: Library, before: "OutsideImages | None" = None) -> None:
        """Start with the images of ``before``, if given. No network is loaded yet."""
        self._encoder = OutsideEncoder(library.files, {name: held.about for name, held in library.methods.items()})
        self._whites = library.files.whites
        self._uploads: OrderedDict[str, Upload] = OrderedDict(before._uploads if before else {})
        self._vectors: OrderedDict[tuple[str, str], Future[NDArray[np.float32]]] = OrderedDict()
        self._parts: OrderedDict[tuple[str, Box], str] = OrderedDict()
        self._lock = threading.Lock()
        # One image is decoded at a time, because several large ones at once could exhaust the memory.
        self._decoding = threading.Lock()
        # A single thread, because the encoder is not thread-safe.
        self._worker = ThreadPoolExecutor(1, "encoder", initializer=_import_keras)

    @property
    def stage(self) -> str:
        """A sentence about the current step of the encoder."""
        return self._encoder.stage

    def without_texts(self, method: str) -> str:
        """Return why a method cannot be searched for texts, as a sentence; empty if it can."""
        return self._encoder.without_texts(method)

    def is_for_texts(self, method: str) -> bool:
        """Tell whether a method is an encoder for images and texts, even if `without_texts` has a reason."""
        return self._encoder.is_for_texts(method)

    def add(self, data: bytes, name: str) -> str:
        """Add an image.

        Args:
            data: the bytes of the file.
            name: the name of the file.

        Returns:
            The SHA-256 of its bytes, by which the other methods find it.

        Raises:
            InputError: when it is not an image that can be read.
        """
        if not data:
            raise InputError("The file is empty: choose another one.")
        try:
            with self._decoding:
                images.inspect(data)
        except images.ImageError as error:
            raise InputError(f"The file {name!r} cannot be used: {error}; choose a {FORMATS} file.") from None
        return self._hold(data, name)

    def _hold(self, data: bytes, name: str) -> str:
        digest = hashlib.sha256(data).hexdigest()
        with self._lock:
            self._uploads[digest] = Upload(data, name, SUFFIXES.get(format_of(data), ""))
            self._uploads.move_to_end(digest)
            while len(self._uploads) > _HELD or sum(len(held.data) for held in self._uploads.values()) > _HELD_BYTES:
                self._uploads.popitem(last=False)
        return digest

    def read(self, address: str, folders: Sequence[Path]) -> tuple[bytes, str]:
        """Read an image file of this machine by a path that the user typed.

        Args:
            address: its path, relative to the first folder, or its URL ``file:///...``.
            folders: the folders that it must be in when symbolic links are resolved; no other file is read.

        Returns:
            Its bytes and its name.

        Raises:
            InputError: when it is in no such folder, cannot be read, or is too large.
        """
        if address.casefold().startswith("file:"):
            parts = urlsplit(address)
            address = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
        try:
            path = Path(os.path.realpath(folders[0] / address)) if address else Path()
        # The path has a NUL or is too long.
        except (OSError, ValueError):
            path = Path()
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
            where = " nor in ".join(map(str, dict.fromkeys(folders)))
            raise InputError(f"The path {address[:200]!r} is not in {where}: put the image there, or drop it here.")
        try:
            if path.is_file() and path.stat().st_size > MAX_BYTES:
                raise InputError(f"{path} is larger than {MAX_BYTES // 10**6} MB: choose a smaller one.")
            return images.read_bytes(path), path.name
        except (images.ImageError, OSError) as error:
            raise InputError(f"{path} cannot be read ({error}): check the path.") from None

    def part(self, data: bytes, name: str, box: Box) -> str:
        """Add a part of an image as a new PNG image.

        Args:
            data: the bytes of the whole image.
            name: the name of its file.
            box: the part.

        Returns:
            The SHA-256 of the new image's bytes, by which the other methods find it.

        Raises:
            InputError: when the whole image cannot be decoded.
        """
        key = hashlib.sha256(data).hexdigest(), box
        with self._lock:
            digest = self._parts.get(key, "")
            if digest in self._uploads:
                return digest
        with self._decoding:
            whole = images.decode(data, whites=self._whites)
            left, top, width, height = box
            right, bottom = left + width, top + height
            across, down = whole.size
            part = whole.crop(
                (
                    min(left * across // 1000, across - 1),
                    min(top * down // 1000, down - 1),
                    max(right * across // 1000, left * across // 1000 + 1),
                    max(bottom * down // 1000, top * down // 1000 + 1),
                )
            )
            part.thumbnail((_PART, _PART))
            stream = io.BytesIO()
            part.save(stream, "PNG")
        digest = self._hold(stream.getvalue(), f"part of {name}")
        with self._lock:
            self._parts[key] = digest
            while len(self._parts) > 8 * _HELD:
                self._parts.popitem(last=False)
        return digest

    def get(self, digest: str) -> Upload:
        """Return an image.

        Raises:
            InputError: when it is no longer in memory, because the server was restarted or many others followed.
        """
        with self._lock:
            if digest not in self._uploads:
                raise InputError("The uploaded image is no longer in memory: drop it again.")
            return self._uploads[digest]

    def vector(self, method: str, digest: str, patience: float = 0.5) -> NDArray[np.float32] | None:
        """Return an image's features, float32 (d,), or None while it is being encoded.

        Args:
            method: the method whose features are returned.
            digest: the image's SHA-256.
            patience: seconds to wait for the encoder.

        Raises:
            InputError: when the image cannot be encoded; the next call tries again.
        """
        upload = self.get(digest)
        return self._made((method, digest), partial(self._encoder.features, method, upload.data), patience)

    def text_vector(self, method: str, text: str, patience: float = 0.5) -> NDArray[np.float32] | None:
        """Return a text's features, or None while they are being made.

        Args:
            method: whose features.
            text: what to look for.
            patience: seconds to wait for them.

        Raises:
            InputError: when they cannot be made; the next call tries again.
        """
        if reason := self.without_texts(method):
            raise InputError(reason)
        # No digest begins so.
        return self._made((method, f"text {text}"), partial(self._encoder.text_features, method, text), patience)

    def _made(
        self, key: tuple[str, str], make: Callable[[], NDArray[np.float32]], patience: float
    ) -> NDArray[np.float32] | None:
        with self._lock:
            future = self._vectors.get(key)
            if future is None:
                future = self._vectors[key] = self._worker.submit(make)
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
            log.exception("The query could not be encoded; this is a fault of the program:")
            raise InputError("The query could not be encoded: the terminal of the server shows the reason.") from None

    def _forget(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._vectors.pop(key, None)
