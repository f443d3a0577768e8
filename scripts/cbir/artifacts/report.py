"""Checks of pictures and reports, which contain little information on what they were made from."""

import re
from pathlib import Path

from cbir.artifacts.found import Found
from cbir.collection.images import MAX_BYTES, ImageError, decode, read_bytes
from cbir.files.errors import InputError
from cbir.results import INDEX_ABOUT, Results, read_object


def png(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Decode the whole picture."""
    try:
        data = read_bytes(path)
        image = decode(data)
    except ImageError as error:
        raise InputError(f"{path} is not a picture ({error}): remove it and run again.") from None
    found.count = f"{image.width} x {image.height} pixels, {len(data):,} bytes"


def svg(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Check that it is a complete picture. Its XML is not parsed, so that no entity in it is expanded."""
    text = read_whole(path)
    size = re.search(
        r'<svg[^>]*\bwidth="([\d.]+)pt"[^>]*\bheight="([\d.]+)pt"|<svg[^>]*\bheight="([\d.]+)pt"[^>]*\b'
        r'width="([\d.]+)pt"',
        text,
    )
    if size is None or not text.rstrip().endswith("</svg>"):
        raise InputError(f"{path} is not a complete SVG picture: remove it and run again.")
    if re.search(r"<(script|!ENTITY|foreignObject)\b", text):
        raise InputError(f"{path} contains code, which no picture of the workflow does: remove it and run again.")
    width, height = (size[1], size[2]) if size[1] else (size[4], size[3])
    found.count = f"{float(width):.0f} x {float(height):.0f} points, {len(text):,} characters"


def report(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the features of every method, whose hashes it contains."""
    html(results, path, names, found)
    text = read_whole(path)
    for side, _ in results.find(INDEX_ABOUT):
        digest = str(read_object(side).get("features_sha256"))
        found.require(
            digest in text,
            f"index/{side.name} (features_sha256)",
            f"{path} was made from other features than {side} names",
            "run again",
        )


def html(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Check that it is a complete HTML file."""
    text = read_whole(path)
    if "<html" not in text[:2000] or not text.rstrip().endswith("</html>"):
        raise InputError(f"{path} is not a complete HTML file: remove it and run again.")
    title = re.search("<title>([^<]*)</title>", text)
    found.count = f"{len(text):,} characters, {text.count('<img')} pictures, {text.count('<table')} tables"
    found.source = {"title": title[1].strip()} if title else {}


def read_whole(path: Path) -> str:
    """Return the text of a file.

    Raises:
        InputError: when it is missing, too large or not text.
    """
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is missing, not a file or larger than {MAX_BYTES:,} bytes: remove it and run again.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as text ({error}): remove it and run again.") from None
