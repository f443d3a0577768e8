"""The report's table of figures: a row for each metric, a column for each method."""

from typing import Any

from cbir.evaluation.measure import all_metrics
from cbir.report.results import Results

TITLE = "Figures"
ORDER = 30
INPUTS = ()


def gather(results: Results) -> dict[str, Any]:
    """The metrics, a row a metric and a column a method."""
    k = results.config["evaluation"]["k"]
    rows = []
    for key, metric in all_metrics().items():
        values = [method.summary[key] for method in results.methods]
        best = max(values) if metric.HIGHER_IS_BETTER else min(values)
        name = metric.NAME.format(k=k)
        rows.append(
            {
                "name": name[0].upper() + name[1:],
                "meaning": metric.MEANING.format(k=k),
                "more_is_better": metric.HIGHER_IS_BETTER,
                "written": metric.FORMAT,
                "cells": [{"value": value, "best": len(set(values)) > 1 and value == best} for value in values],
            }
        )
    return {"rows": rows}
