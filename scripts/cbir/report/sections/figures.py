"""The report's table of figures: a row for each metric, a column for each method."""

from typing import Any

from cbir.evaluation.cut import named
from cbir.evaluation.measure import all_metrics
from cbir.report.filters import capitalised
from cbir.report.results import Results

TITLE = "Figures"
ORDER = 30
NEEDS_LABELS = True
INPUTS = ()


def gather(results: Results) -> dict[str, Any]:
    """Return all metrics, a row for each metric and a column for each method."""
    k = results.config["evaluation"]["k"]
    rows = []
    for key, metric in all_metrics().items():
        values = [method.summary[key] for method in results.methods]
        best = max(values) if metric.HIGHER_IS_BETTER else min(values)
        rows.append(
            {
                "name": capitalised(named(key, metric, results.methods[0].summary)),
                "meaning": metric.MEANING.format(k=k),
                "more_is_better": metric.HIGHER_IS_BETTER,
                "written": metric.FORMAT,
                "cells": [{"value": value, "best": len(set(values)) > 1 and value == best} for value in values],
            }
        )
    return {"rows": rows + _unseen(results), "ranked": _ranked(results)}


def _ranked(results: Results) -> dict[str, Any] | None:
    """Return how many results were ranked, and by what for each method; None where whole galleries were."""
    found = {method.name: method.summary for method in results.methods if "ranked" in method.summary}
    if not found:
        return None
    first = next(iter(found.values()))
    by = [{"method": name, **summary["ranked_by"]} for name, summary in found.items()]
    names = [named(key, metric, first) for key, metric in all_metrics().items() if key in first["cut"]]
    return {"ranked": first["ranked"], "gallery": first["gallery"], "cut": names, "by": by}


def _unseen(results: Results) -> list[dict[str, Any]]:
    """Return the rows about a gallery that no network was trained on, if the evaluation measured it."""
    found = [method.summary["unseen_gallery"] for method in results.methods if "unseen_gallery" in method.summary]
    if len(found) < len(results.methods):
        return []
    meanings = {
        "anmrr": f"The gallery is {found[0]['gallery']:,} validation images. No network was trained on them; "
        "they only decided which epoch was best.",
        "anmrr_train": "The gallery is as many train images of each category. A network that was trained on them does "
        "better here than in the row above, because it has seen them; for one that was not, the two differ by chance.",
    }
    return [
        {
            "name": f"ANMRR over {'images not trained on' if key == 'anmrr' else 'as many images of the gallery'}",
            "meaning": meaning,
            "more_is_better": False,
            "written": "decimal",
            "cells": [{"value": row[key], "best": False} for row in found],
        }
        for key, meaning in meanings.items()
    ]
