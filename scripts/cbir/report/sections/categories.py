"""Precision, recall, F1 and ANMRR of each category."""

from typing import Any

import numpy as np

from cbir.report.results import Results, records
from cbir.results import CONFUSION, METHOD_CATEGORIES

TITLE = "Categories"
ORDER = 60
NEEDS_LABELS = True
INPUTS = (METHOD_CATEGORIES, CONFUSION)


def gather(results: Results) -> dict[str, Any]:
    """Return each method's categories, best F1 first, each with a link to its errors."""
    figures = ["precision", "recall", "f1", "support", "anmrr"]
    found = {}
    for method in results.methods:
        table = results.table(METHOD_CATEGORIES, ["category", *figures], figures, method=method.name)
        names, counts = results.confusion(method.name)
        missed = dict(zip(names, counts.sum(axis=1) - np.diag(counts), strict=True))
        table = table.sort_values("f1", ascending=False, kind="stable")
        found[method.name] = [
            {**row, "anchor": results.anchor(method.name, row["category"]) if missed.get(row["category"]) else None}
            for row in records(table)
        ]
    return found
