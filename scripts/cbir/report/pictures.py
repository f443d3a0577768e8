"""Pictures inside an HTML file, as ``data:`` URIs."""

import base64
import io
from pathlib import Path

from cbir.collection.images import ImageError, thumbnail
from cbir.files.tables import require_file


def picture(path: str | Path, side: int) -> str:
    """Return an image file as a ``data:`` URI, shrunk to fit a square of ``side`` pixels; "" when it cannot be read."""
    try:
        image = thumbnail(path, side)
    except ImageError:
        return ""
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=75)
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


def vector(path: str | Path) -> str:
    """Return an SVG file as a ``data:`` URI. As an image, it runs no script and loads nothing.

    Raises:
        InputError: when it is missing or no regular file.
    """
    require_file(path)
    return f"data:image/svg+xml;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"
