"""Images from outside the collection: held in memory, turned into features by a thread of its own.

TensorFlow takes seconds to load. The thread loads it when the first image comes, while the server goes on answering.
"""

import hashlib
import io
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from cbir.collection import images
from cbir.collection.formats import format_of
from cbir.files.errors import InputError
from cbir.retrieval.outside import OutsideEncoder
from cbir.web.library import Library
from cbir.web.state import Box

log = logging.getLogger("cbir")

MAX_BYTES = 20_000_000
FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF or JPEG 2000"
"""What `cbir.collection.images` reads, in words."""
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
_HELD = 32
_HELD_BYTES = 200_000_000
# Pixels of the longer side of a part of an image; networks take fewer.
_PART = 2048


@dataclass(frozen=True)
class Upload:
    """A dropped image: its bytes as they came, its name where it came from, and its format's usual suffix."""

    data: bytes
    name: str
    suffix: str


class OutsideImages:
    """The images dropped so far, the newest few of them, and their features."""

    def __init__(self, library: Library, before: "OutsideImages | None" = None) -> None:
        """Hold the images that ``before`` holds, none without it; nothing is loaded yet."""
        self._encoder = OutsideEncoder(library.files, {name: held.about for name, held in library.methods.items()})
        self._whites = library.files.whites
        self._uploads: OrderedDict[str, Upload] = OrderedDict(before._uploads if before else {})
        self._vectors: OrderedDict[tuple[str, str], Future[NDArray[np.float32]]] = OrderedDict()
        self._parts: OrderedDict[tuple[str, Box], str] = OrderedDict()
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
        """Read an image file of this machine, which a person named.

        Args:
            address: its path, or its URL, ``file:///...``; a relative one begins in the first folder.
            folders: those that it may lie in, symbolic links followed; no other file is looked at.

        Returns:
            Its bytes and its name.

        Raises:
            InputError: when it lies elsewhere, cannot be read, or is too large.
        """
        if address.casefold().startswith("file:"):
            parts = urlsplit(address)
            address = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
        try:
            path = Path(os.path.realpath(folders[0] / address)) if address else Path()
        # A NUL, or a name too long.
        except (OSError, ValueError):
            path = Path()
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
            where = " nor in ".join(map(str, dict.fromkeys(folders)))
            raise InputError(f"The path {address[:200]!r} lies not in {where}: put the image there, or drop it here.")
        try:
            if path.is_file() and path.stat().st_size > MAX_BYTES:
                raise InputError(f"{path} is larger than {MAX_BYTES // 10**6} MB: choose a smaller one.")
            return images.read_bytes(path), path.name
        except (images.ImageError, OSError) as error:
            raise InputError(f"{path} cannot be read ({error}): check the path.") from None

    def part(self, data: bytes, name: str, box: Box) -> str:
        """Take a part of an image in, as a PNG image of its own.

        Args:
            data: the bytes of the whole image.
            name: what its owner calls it.
            box: the part.

        Returns:
            The SHA-256 of the part's bytes, by which it is known from now on.

        Raises:
            InputError: when the whole cannot be decoded.
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
