"""The findings of `make inspect` about one artifact, and how they are printed."""

import math
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cbir.files.errors import InputError
from cbir.files.printable import printable

WIDTH = 100
"""The most characters of a line."""
ROWS = 5
"""How many rows of a table are shown."""
# The most characters of a cell.
_CELL = 34


@dataclass
class Found:
    """The findings about an artifact, up to the first check that fails.

    Attributes:
        count: its size, such as ``92 images, 1280 values each``.
        source: what it was made from, a line for each key.
        rows: a table whose first rows are shown.
        fits: what it was compared with and fits.
    """

    count: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    rows: pd.DataFrame | None = None
    fits: list[str] = field(default_factory=list)

    def require(self, fits: bool | np.bool_, what: str, problem: str, remedy: str = "remove it and run again") -> None:
        """Record that the artifact fits ``what``, or raise an error.

        Raises:
            InputError: unless ``fits``, with the sentence ``problem: remedy.``
        """
        if not fits:
            raise InputError(f"{problem}: {remedy}.")
        self.fits.append(what)

    def require_known(self, names: Collection[Any], known: Collection[Any], path: Any, where: str) -> None:
        """Require that every one of ``names`` is among ``known``, the images or categories of the file ``where``."""
        unknown = min(set(map(str, names)) - set(map(str, known)), default=None)
        self.require(unknown is None, where, f"{path} names {unknown!r}, which is not in {where}")


def alike(value: Any, other: Any) -> bool:
    """Return whether plain data are equal, numbers up to rounding."""
    if isinstance(other, list):
        return isinstance(value, list) and len(value) == len(other) and all(map(alike, value, other))
    if isinstance(other, dict):
        return (
            isinstance(value, dict) and value.keys() == other.keys() and all(alike(value[k], other[k]) for k in other)
        )
    if isinstance(other, float) and isinstance(value, int | float):
        return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(value == other)


def describe(what: str, found: Found) -> str:
    """Return the text about an artifact: its kind, size, sources and first rows, in lines of at most ``WIDTH``."""
    facts = {"what": what, "how many": found.count, **found.source}
    width = max(map(len, facts))
    lines = [_wrapped(name, _plain(value), width) for name, value in facts.items() if value != ""]
    if found.rows is not None and len(found.rows):
        lines += ["", *table(found.rows)]
    return "\n".join(lines)


def belongs(found: Found, reason: str) -> str:
    """Return the text that says what an artifact fits, or the ``reason`` why it does not fit."""
    fits = ", ".join(dict.fromkeys(found.fits))
    unchecked = "there is nothing to compare it with"
    return _wrapped("belongs", f"NO: {reason}" if reason else f"yes, it fits {fits}" if fits else unchecked)


def table(rows: pd.DataFrame) -> list[str]:
    """Return the first rows as aligned lines within ``WIDTH``; columns that do not fit are left out and counted."""
    shown = rows.head(ROWS)
    most = _CELL if rows.shape[1] > 1 else WIDTH - 2
    columns = [
        [_cell(str(name), most), *(_cell(_plain(value), most) for value in shown.iloc[:, place])]
        for place, name in enumerate(rows.columns)
    ]
    numbers = [pd.api.types.is_numeric_dtype(kind) and kind != np.bool_ for kind in rows.dtypes]
    widths = [max(map(len, column)) for column in columns]
    kept, used = 0, 2
    # Leaves room for the number of omitted columns.
    while kept < len(columns) and used + widths[kept] + 2 <= WIDTH - 20:
        used += widths[kept] + 2
        kept += 1
    kept = max(kept, 1)
    lines = []
    for line in range(len(shown) + 1):
        cells = [
            column[line].rjust(width) if number else column[line].ljust(width)
            for column, width, number in zip(columns[:kept], widths, numbers, strict=False)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    if kept < len(columns):
        lines[0] += f"  and {len(columns) - kept} more columns"
    if len(rows) > len(shown):
        lines.append(f"  ... {len(rows) - len(shown):,} more rows")
    return lines


def pairs(values: Mapping[str, Any]) -> pd.DataFrame:
    """Return plain data as a table of keys and values; lists and objects are shown by their length."""
    return pd.DataFrame([{"key": str(key), "value": _plain(value)} for key, value in values.items()])


def _plain(value: Any) -> str:
    if isinstance(value, dict | list):
        return f"{len(value)} entries"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else printable(str(value))


def _cell(text: str, most: int) -> str:
    """Shorten text in the middle, because names and hashes differ most at their ends."""
    line = printable(text)
    return line if len(line) <= most else f"{line[: most // 2]}...{line[len(line) - most // 2 + 3 :]}"


def _wrapped(name: str, text: str, width: int = 0) -> str:
    start = f"{printable(name)[:_CELL]:<{min(width, _CELL)}}  "
    return textwrap.fill(printable(text), WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
