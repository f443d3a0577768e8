"""Looks at pictures, reports, logs and what the workflow remembers. They say little of what they were made from."""

import re
from importlib import resources
from pathlib import Path

import pandas as pd
import yaml

from cbir.artifacts.found import ROWS, Found
from cbir.artifacts.results import Results, read_object
from cbir.collection.images import MAX_BYTES, ImageError, decode, read_bytes
from cbir.files.errors import InputError
from cbir.workflow import configuration as config

_SCHEMA = resources.files("cbir.workflow") / "config.schema.yaml"


def png(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Decode the whole picture."""
    try:
        data = read_bytes(path)
        image = decode(data)
    except ImageError as error:
        raise InputError(f"{path} is no picture ({error}): remove it and run again.") from None
    found.count = f"{image.width} x {image.height} pixels, {len(data):,} bytes"


def svg(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """See that it is a whole picture. Its XML is not parsed, so that no entity in it is expanded."""
    text = _text(path)
    size = re.search(
        r'<svg[^>]*\bwidth="([\d.]+)pt"[^>]*\bheight="([\d.]+)pt"|<svg[^>]*\bheight="([\d.]+)pt"[^>]*\b'
        r'width="([\d.]+)pt"',
        text,
    )
    if size is None or not text.rstrip().endswith("</svg>"):
        raise InputError(f"{path} is no whole SVG picture: remove it and run again.")
    if re.search(r"<(script|!ENTITY|foreignObject)\b", text):
        raise InputError(f"{path} holds code, which no picture of the workflow does: remove it and run again.")
    width, height = (size[1], size[2]) if size[1] else (size[4], size[3])
    found.count = f"{float(width):.0f} x {float(height):.0f} points, {len(text):,} characters"


def report(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the figures of every method."""
    html(results, path, names, found)
    text = _text(path)
    for side in sorted(results.root.glob("index/*.json")):
        digest = str(read_object(side).get("features_sha256"))
        found.require(
            digest in text,
            f"index/{side.name} (features_sha256)",
            f"{path} was made from other features than {side} names",
            "run again",
        )


def configuration(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Check it as the workflow does, and compare its methods with those that were evaluated."""
    settings = config.check(read_object(path), yaml.safe_load(_SCHEMA.read_text(encoding="utf-8")))
    found.fits.append(_SCHEMA.name)
    found.count = f"{len(settings['encoders'])} encoders, {len(settings['methods'])} methods"
    found.source = {key: config.canonical(value) for key, value in settings.items()}
    absent = next((name for name in settings["methods"] if not results.path(f"evaluation/{name}").is_dir()), None)
    found.require(
        absent is None, "evaluation", f"{path} has the method {absent!r}, which is not evaluated", "run again"
    )


def html(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """See that it is a whole HTML file."""
    text = _text(path)
    if "<html" not in text[:2000] or not text.rstrip().endswith("</html>"):
        raise InputError(f"{path} is no whole HTML file: remove it and run again.")
    title = re.search("<title>([^<]*)</title>", text)
    found.count = f"{len(text):,} characters, {text.count('<img')} pictures, {text.count('<table')} tables"
    found.source = {"title": title[1].strip()} if title else {}


def log(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Show the last lines."""
    lines = _text(path).splitlines()
    found.count = f"{len(lines):,} lines"
    found.rows = pd.DataFrame({"last lines": lines[-ROWS:]})


def benchmark(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Show time (seconds) and memory (megabytes)."""
    try:
        table = pd.read_csv(path, sep="\t")[["s", "h:m:s", "max_rss", "cpu_time"]]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no table of time and memory ({error}): remove it and run again.") from None
    found.count = f"{len(table)} jobs"
    found.rows = table


def memory(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count; a run takes from it what is still true and forgets the rest."""
    remembered = read_object(path)
    entries = remembered.get("files", remembered.get("images"))
    if not isinstance(entries, dict):
        raise InputError(f"{path} is not what the workflow remembers: remove it and run again.")
    found.count = f"{len(entries):,} entries"


def _text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is missing, no file or larger than {MAX_BYTES:,} bytes: remove it and run again.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as text ({error}): remove it and run again.") from None
