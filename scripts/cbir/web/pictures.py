"""The pictures that pages show: thumbnails, large pictures, and original files."""

import io
from functools import lru_cache

from flask import Response, send_file
from werkzeug.exceptions import NotFound

from cbir.collection import images
from cbir.collection.formats import format_of
from cbir.files.errors import InputError
from cbir.web.current import Held
from cbir.web.library import Image, Library
from cbir.web.outside import SUFFIXES

# Pixels of the longer side; enough for a thumbnail on a high-resolution screen.
_SIDES = {"thumbnails": 384, "pictures": 1600}
# How many thumbnails are cached.
_KEPT = 2048
# The formats that browsers show; a file of another one is downloaded.
_SHOWN = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WebP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
}


class Pictures:
    """Returns pictures by the SHA-256 of their files; thumbnails are cached."""

    def __init__(self) -> None:
        self._thumbnail = lru_cache(_KEPT)(self._of_collection)

    def shrunk(self, held: Held, kind: str, sha256: str) -> Response:
        """Return an image as WebP in the size of its kind, ``thumbnails`` or ``pictures``.

        Raises:
            NotFound: when there is no such image, or its file has changed since the workflow read it.
        """
        image = held.library.picture(sha256)
        try:
            if image is None:
                data = _shrink(held.outside.get(sha256).data, _SIDES[kind], held.library)
            else:
                make = self._thumbnail if kind == "thumbnails" else self._of_collection
                data = make(held.library, image, _SIDES[kind])
        except InputError:
            raise NotFound from None
        # Where images do not state their range, another run may show them brighter or darker.
        return Response(data, mimetype="image/webp", headers=_FOR_EVER if not held.library.files.whites else _CHECKED)

    @staticmethod
    def _of_collection(library: Library, image: Image, side: int) -> bytes:
        return _shrink(library.read(image), side, library)

    def original(self, held: Held, sha256: str) -> Response:
        """Return an image's file unchanged, to be shown or, if browsers cannot, downloaded; errors as in `shrunk`."""
        image = held.library.picture(sha256)
        try:
            data = held.outside.get(sha256).data if image is None else held.library.read(image)
            name = held.outside.get(sha256).name if image is None else image.name
        except InputError:
            raise NotFound from None
        kind = format_of(data)
        if kind not in SUFFIXES:
            raise NotFound
        shown = _SHOWN.get(kind)
        response = send_file(
            io.BytesIO(data),
            mimetype=shown or "application/octet-stream",
            as_attachment=shown is None,
            download_name=name.replace("/", "_").replace("\\", "_"),
        )
        response.headers.update(_FOR_EVER)
        return response


# Pictures may be cached for ever, because their address contains the hash of the file.
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
_CHECKED = {"Cache-Control": "private, no-cache"}


def _shrink(data: bytes, side: int, library: Library) -> bytes:
    image = images.decode(data, whites=library.files.whites)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80)
    return stream.getvalue()
