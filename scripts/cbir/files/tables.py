"""Write JSON, CSV and text files atomically, and read them with errors of one sentence."""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cbir.files.atomic import atomic
from cbir.files.errors import InputError


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline, atomically; NaN raises a ValueError."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write ``table`` as CSV without its index, atomically; lines end with a newline alone."""
    text = table.to_csv(index=False, lineterminator="\n")
    # pandas does not quote a carriage return in a cell, but reads it as the end of a line.
    if "\r" in text:
        text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    write_text(path, text)


def read_json(path: str | Path, keys: Mapping[str, type] | None = None) -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        keys: the required keys of an object, with their types; further keys are allowed. None accepts any value.

    Raises:
        InputError: when the file is missing, unreadable, not UTF-8 or not JSON, or lacks one of the keys.
    """
    require_file(path)
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): allow reading it.") from None
    # ValueError covers invalid UTF-8, invalid JSON, and integers with thousands of digits.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): mend or remove it.") from None
    for key, kind in (keys or {}).items():
        # Not `isinstance`, because `bool` is a subclass of `int`.
        if not isinstance(value, dict) or type(value.get(key)) is not kind:
            raise InputError(f"{path} lacks {key!r}, or holds something else there: remove it and run again.")
    return value


def require_file(path: str | Path) -> None:
    """Require a regular file, because reading a pipe or a device may never end.

    Raises:
        InputError: when the path is missing or not a regular file.
    """
    if not os.path.isfile(path):
        raise InputError(f"{path} {'is not a file' if os.path.exists(path) else 'does not exist'}: check the path.")


def read_csv(path: str | Path, columns: list[str], others_as_text: bool = False) -> pd.DataFrame:
    """Read a CSV file without converting cells to missing values, because "NA" may be the name of a category.

    Args:
        path: the file.
        columns: names of required columns; further columns are kept.
        others_as_text: read all further columns as text.

    Raises:
        InputError: when the file is missing, unreadable or not a CSV, lacks a column, or has a wrong type of number.
    """
    require_file(path)
    try:
        others = set(pd.read_csv(path, nrows=0).columns) - set(columns) if others_as_text else set()
        table = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys({*_TEXT_COLUMNS, *others}, str))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): allow reading it.") from None
    except ValueError as error:
        raise InputError(f"{path} is not a readable CSV ({error}): remove it and run again.") from None
    # pandas uses the first cells as an index if rows are longer than the header.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path} has more cells in a row than columns: remove it and run again.")
    for name in _NUMBER_COLUMNS:
        if name in columns and name in table.columns and len(table) and table[name].dtype.kind not in "iu":
            raise InputError(f"{path} holds something else than whole numbers as {name!r}: remove it and run again.")
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}: remove it and run again.")
    return table


# Categories such as "007" or "1e3" are names, not numbers.
_TEXT_COLUMNS = (
    *(
        "image_id",
        "path",
        "category",
        "sha256",
        "query",
        "predicted",
        "reason",
        "method",
        "group",
        "nearest",
        "suggested",
        "a",
        "b",
    ),
    *("phash", "dhash", "phash_mirrored", "dhash_mirrored"),
)


_NUMBER_COLUMNS = ("label", "width", "height", "bytes")
