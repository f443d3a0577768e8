"""Read relevance judgements, which say which images are relevant to which query, from a JSON or CSV file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json

RELEVANCE_COLUMNS = ["query", "image_id", "grade"]
"""The columns of a table of judgements, a row for each query and image."""
GRADES = ("relevant", "easy", "hard", "junk")
"""The grades of an image for a query; an image without a grade is not relevant."""


@dataclass(frozen=True)
class Relevance:
    """Relevance judgements.

    Attributes:
        queries: the image_id of each query, sorted.
        gallery: the image_ids that are searched, sorted; None means all images that are not queries.
        table: columns ``RELEVANCE_COLUMNS``, sorted by query and image_id.
    """

    queries: list[str]
    gallery: list[str] | None
    table: pd.DataFrame


def read(path: str | Path) -> Relevance:
    """Read a file of relevance judgements.

    Args:
        path: a JSON file, ``{"queries": {QUERY: {GRADE: [IMAGE, ...], ...}, ...}, "gallery": [IMAGE, ...]}`` where
            ``gallery`` may be missing, or a CSV file with the columns ``RELEVANCE_COLUMNS``. All images are image_ids,
            a GRADE is one of ``GRADES``.

    Raises:
        InputError: when the file is missing, damaged or of another kind, has no query or an unknown grade, or lists an
            image twice for a query; the message names the file.
    """
    if Path(path).suffix.lower() == ".csv":
        cells = read_csv(path, RELEVANCE_COLUMNS)
        rows = list(cells[RELEVANCE_COLUMNS].astype(str).itertuples(index=False, name=None))
        queries, gallery = sorted({query for query, _, _ in rows}), None
    else:
        whole = read_json(path)
        if not isinstance(whole, dict) or not isinstance(whole.get("queries"), dict):
            raise InputError(f"{path} holds no object with the key 'queries': write it as docs/own-images.md shows.")
        if unknown := sorted(set(whole) - {"queries", "gallery"}):
            raise InputError(f"{path} has the unknown key {unknown[0]!r}; known are queries and gallery: correct it.")
        rows = [row for query, grades in whole["queries"].items() for row in _rows(path, query, grades)]
        queries = sorted(whole["queries"])
        gallery = None if whole.get("gallery") is None else sorted(_names(path, "gallery", whole["gallery"]))
    if not queries:
        raise InputError(f"{path} names no query: add one.")
    seen: dict[tuple[str, str], str] = {}
    for query, image_id, grade in rows:
        if grade not in GRADES:
            raise InputError(f"{path}: the query {query!r} has the grade {grade!r}, none of {', '.join(GRADES)}.")
        if (query, image_id) in seen:
            raise InputError(f"{path}: the query {query!r} lists {image_id!r} twice: leave one of the two out.")
        seen[query, image_id] = grade
    return Relevance(queries, gallery, pd.DataFrame(sorted(rows), columns=RELEVANCE_COLUMNS))


def _rows(path: str | Path, query: str, grades: Any) -> list[tuple[str, str, str]]:
    if not isinstance(grades, Mapping):
        raise InputError(f"{path}: the query {query!r} holds no object of lists, such as {{'relevant': [...]}}.")
    return [
        (query, image_id, str(grade))
        for grade, names in grades.items()
        for image_id in _names(path, f"{query!r}, {grade}", names)
    ]


def _names(path: str | Path, where: str, names: Any) -> list[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        shown = json.dumps(names, ensure_ascii=False)[:80]
        raise InputError(f"{path}: {where} is {shown}, but must be a list of image_ids: correct it.")
    return names
