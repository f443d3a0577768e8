"""A user's corrections of a collection, in a CSV file: images with a wrong category, and images to exclude.

They are applied when the collection is read. No image file is moved or changed.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cbir.collection.categories import SEPARATOR
from cbir.files.errors import InputError
from cbir.files.tables import write_csv

COLUMNS = ["image_id", "verdict", "category"]
RIGHT, MOVE, EXCLUDE = "right", "move", "exclude"
EXCLUDED = "excluded by the corrections"
"""The reason in ``rejected.csv`` for an image that a correction excludes."""
NOTE = "category corrected: its folder or list says "
"""The beginning of the note about an image whose category a correction changed."""
DEFAULT = "corrections/{source}.csv"

Corrections = dict[str, dict[str, str]]
"""``verdict`` and ``category`` by image_id; for a rejected file this is its path relative to the collection.

The verdict ``right`` records that a person checked the image and changes nothing, ``move`` gives the image another
category, and ``exclude`` removes it from the collection.
"""

_LARGEST = 50_000_000
_LONGEST = 200


def category_problem(name: str) -> str:
    """Return why a text cannot name a category, or several with ``SEPARATOR`` between them; empty if it can."""
    if not name:
        return "the category is empty"
    for part in name.split(SEPARATOR):
        if not part or part != part.strip() or "/" in part or part.startswith(".") or not part.isprintable():
            return f"{name[:50]!r} cannot name a category, which is no path and has no dot or space in front"
    return "" if len(name) <= _LONGEST else f"the category {name[:50]!r}... is longer than {_LONGEST} characters"


def read(path: str | Path) -> Corrections:
    """Read a file of corrections: UTF-8, columns ``image_id``, ``verdict`` and ``category``; others are ignored.

    Returns:
        The corrections, sorted by image_id; none if the file does not exist.

    Raises:
        InputError: when the file cannot be read, or a row is not a valid correction; the message names its line.
    """
    path = Path(path)
    if not path.exists():
        return {}
    if not path.is_file() or path.stat().st_size > _LARGEST:
        raise InputError(f"The corrections {path} are no file, or a very large one: correct collection.corrections.")
    found: Corrections = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise InputError(f"{path} lacks the column {missing[0]!r}: add it.")
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{where}: the row has another number of cells than the header: mend it.")
                image_id, correction = _correction({str(name): str(row[name]) for name in COLUMNS}, where)
                if image_id in found:
                    raise InputError(f"{where}: {image_id!r} is there twice: remove one of the rows.")
                found[image_id] = correction
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file in UTF-8 ({error}): mend it.") from None
    return dict(sorted(found.items()))


def _correction(row: dict[str, str], where: str) -> tuple[str, dict[str, str]]:
    image_id, verdict, category = row["image_id"], row["verdict"], row["category"]
    if not image_id:
        raise InputError(f"{where}: the image_id is empty: write it, or remove the row.")
    if verdict not in (RIGHT, MOVE, EXCLUDE):
        raise InputError(f"{where}: the verdict {verdict!r} is not one of {RIGHT}, {MOVE} and {EXCLUDE}: correct it.")
    if verdict == MOVE and (problem := category_problem(category)):
        raise InputError(f"{where}: {problem}: write where {image_id!r} is to be moved.")
    return image_id, {"verdict": verdict, "category": category if verdict == MOVE else ""}


def effective(corrections: Mapping[str, Mapping[str, str]]) -> Corrections:
    """Return the corrections that change something."""
    return {name: dict(row) for name, row in corrections.items() if row["verdict"] != RIGHT}


def write(path: str | Path, corrections: Mapping[str, Mapping[str, str]]) -> None:
    """Write a file that `read` reads, sorted by image_id, atomically."""
    rows = [[image_id, row["verdict"], row["category"]] for image_id, row in sorted(corrections.items())]
    write_csv(path, pd.DataFrame(rows, columns=COLUMNS))


def apply(
    corrections: Mapping[str, Mapping[str, str]], known: dict[str, Any], reasons: dict[str, str]
) -> dict[str, str]:
    """Apply corrections to the files of a collection.

    Args:
        corrections: see `Corrections`.
        known: ``category`` and further values of each file by image_id; changed in place.
        reasons: why the path of each file keeps it out of the collection, empty if it may belong; changed in place.

    Returns:
        A note for each image whose category was changed.
    """
    notes = {}
    for name, correction in corrections.items():
        if name not in known:
            continue
        if correction["verdict"] == EXCLUDE:
            reasons[name] = reasons[name] or EXCLUDED
        elif correction["verdict"] == MOVE and correction["category"] != known[name]["category"]:
            if not known[name]["category"]:
                # A file outside all category folders belongs to the collection once a correction gives it a category.
                reasons[name] = ""
            notes[name] = f"{NOTE}{known[name]['category'] or 'none'}"
            known[name]["category"] = correction["category"]
    return notes
