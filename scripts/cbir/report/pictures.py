"""Encode pictures as ``data:`` URIs, to embed them in an HTML file."""

import base64
import io
from pathlib import Path
from typing import Literal

from cbir.collection.depths import Whites
from cbir.collection.images import ImageError, decode, read_bytes, thumbnail
from cbir.files.tables import require_file

Kind = Literal["JPEG", "WEBP"]


def picture(
    path: str | Path,
    side: int,
    size: tuple[int, int] | None = None,
    kind: Kind = "WEBP",
    whites: Whites | None = None,
) -> str:
    """Return an image file as a ``data:`` URI, shrunk to fit a square of ``side`` pixels; "" when it cannot be read.

    Args:
        path: the file.
        side: the most pixels of the longer side.
        size: (width, height) of the image in pixels, if known; then a large JPEG is decoded at a smaller scale.
        kind: the format: JPEG is ten times faster to write than WebP, and a third larger.
        whites: see `cbir.collection.images.decode`.
    """
    try:
        if size is not None and max(size) > side:
            width, height = (max(1, round(pixels * side / max(size))) for pixels in size)
            image = decode(read_bytes(path), (width, height), whites=whites)
        else:
            image = thumbnail(path, side, whites)
    except ImageError:
        return ""
    stream = io.BytesIO()
    image.save(stream, kind, quality=75)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def vector(path: str | Path) -> str:
    """Return an SVG file as a ``data:`` URI. A browser runs no scripts in an SVG image and loads nothing for it.

    Raises:
        InputError: when it is missing or not a regular file.
    """
    require_file(path)
    return f"data:image/svg+xml;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
