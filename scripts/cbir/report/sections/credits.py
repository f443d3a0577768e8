"""Authors and licences of the images, where the source states them."""

from typing import Any

from cbir.report.results import Results
from cbir.results import CREDITS

TITLE = "Credits"
ORDER = 130
FOLDED = True
INPUTS = (CREDITS,)
MAX_FILES = 5
"""The most files that a row of the credits names."""


def gather(results: Results) -> dict[str, Any] | None:
    """Return the authors and licences of the images; images with the same credit share a row."""
    if not results.names["source"]:
        return None
    [source] = results.names["source"]
    table = results.table(CREDITS, ["file", "author", "licence", "source"], source=source).astype(str)
    columns = [name for name in table.columns if name != "file"]
    rows = [
        {"files": list(group["file"].head(MAX_FILES)), "more": max(0, len(group) - MAX_FILES), "cells": list(key)}
        for key, group in table.groupby(columns, sort=False)
    ]
    return {
        "columns": columns,
        "rows": rows,
        "licences": table["licence"].value_counts().sort_index().sort_values(ascending=False, kind="stable").to_dict(),
        "count": len(table),
        "file": str(results.path(CREDITS, source=source)),
    }
