"""Precision, recall, F1 and ANMRR of each category."""

from typing import Any

from cbir.report.results import Results, records

TITLE = "Categories"
ORDER = 60
INPUTS = ("evaluation/{method}/categories.csv",)


def gather(results: Results) -> dict[str, Any]:
    """Each method's categories, best F1 first."""
    figures = ["precision", "recall", "f1", "support", "anmrr"]
    found = {}
    for method in results.methods:
        table = results.table(f"evaluation/{method.name}/categories.csv", ["category", *figures], figures)
        found[method.name] = records(table.sort_values("f1", ascending=False, kind="stable"))
    return found
