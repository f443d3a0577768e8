"""HTML pages that stand alone: templates, names that can do no harm, and pictures inside the page."""

import base64
import hashlib
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from cbir.collection.images import ImageError, thumbnail
from cbir.files.tables import require_file

MISSING = "–"
"""Stands where there is no figure."""


def render(folder: str | Path, template: str, **values: Any) -> str:
    """Render a template to a page.

    Values are escaped, and their control and bidirectional characters shown as escapes (see `visible`). The template
    gets ``page_css`` and ``page_js``, the text of ``page.css`` and ``page.js`` beside it, and ``script_hash``, which a
    Content-Security-Policy can name so that no other script runs.

    Args:
        folder: the templates.
        template: the page's own.
        values: what the template names.

    Raises:
        jinja2.UndefinedError: when the template names a value that is not there.
    """
    folder = Path(folder)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        decimal=decimal,
        amount=amount,
        duration=duration,
        plural=plural,
        listed=listed,
        is_link=is_link,
    )
    script = (folder / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        page_css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        page_js=Markup(script),
        script_hash=f"sha256-{digest}",
        **values,
    )


def visible(text: str) -> str:
    r"""Return text with what cannot be printed as escapes: a newline as ``\n``, a bidirectional override as ``\u202e``.

    A file name could otherwise turn the text around it, or hide its end.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "replace").decode()
        for character in text
    )


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


def _absent(value: float | None) -> bool:
    return value is None or math.isnan(value)


def percent(value: float | None) -> str:
    """Return a share as a percentage: 0.8938 gives ``89.4 %``."""
    return MISSING if _absent(value) else f"{100 * value:.1f} %"  # type: ignore[operator]


def decimal(value: float | None) -> str:
    """Return a figure with three decimals."""
    return MISSING if _absent(value) else f"{value:.3f}"


def amount(value: float | None) -> str:
    """Return a whole number with its thousands apart: 1939 gives ``1,939``."""
    return MISSING if _absent(value) else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Return seconds as a person reads them: ``0.8 s``, ``42 s``, ``4 min 0 s``, ``1 h 2 min``."""
    if _absent(seconds):
        return MISSING
    assert seconds is not None
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, singular: str, several: str = "") -> str:
    """Return a count with its noun: ``1 image``, ``2 images``; ``several`` names an irregular plural."""
    return f"{count:,} {singular if count == 1 else several or singular + 's'}"


def listed(parts: Iterable[str]) -> str:
    """Return parts as a list in words: ``a``, ``a and b``, ``a, b and c``."""
    *head, last = list(parts) or [""]
    return f"{', '.join(head)} and {last}" if head else last


def is_link(text: str) -> bool:
    """Return whether text is a web address; nothing else may become a link."""
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text
