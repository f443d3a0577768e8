"""Precision, recall, F1 and ANMRR of each category."""

from typing import Any

from cbir.report.results import Results, records
from cbir.results import METHOD_CATEGORIES

TITLE = "Categories"
ORDER = 60
INPUTS = (METHOD_CATEGORIES,)


def gather(results: Results) -> dict[str, Any] | None:
    """Each method's categories, best F1 first."""
    if not results.labelled:
        return None
    figures = ["precision", "recall", "f1", "support", "anmrr"]
    found = {}
    for method in results.methods:
        table = results.table(METHOD_CATEGORIES, ["category", *figures], figures, method=method.name)
        found[method.name] = records(table.sort_values("f1", ascending=False, kind="stable"))
    return found
