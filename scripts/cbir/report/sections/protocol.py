"""The split protocol: which images are queries and gallery, and the figures of its folds and setups."""

from typing import Any

from cbir.collection.protocols import REGISTRY as PROTOCOLS
from cbir.evaluation.cut import named
from cbir.evaluation.measure import all_metrics
from cbir.report.filters import capitalised
from cbir.report.results import Results

TITLE = "Protocol"
ORDER = 35
INPUTS = ()


def gather(results: Results) -> dict[str, Any] | None:
    """Return the protocol's explanation, folds and setups; None for the usual protocols, whose gallery is train."""
    name = results.config["split"]["protocol"]
    words = getattr(PROTOCOLS[name], "EXPLANATION", None)
    if words is None:
        return None
    return {"name": name, "words": words, "folds": _folds(results), "setups": _setups(results)}


def _folds(results: Results) -> dict[str, Any] | None:
    found = [method.summary["folds"] for method in results.methods if "folds" in method.summary]
    if not found:
        return None
    rows = [
        {
            "name": capitalised(named(key, metric, results.methods[0].summary)),
            "written": metric.FORMAT,
            "cells": [of_method[key] for of_method in found],
        }
        for key, metric in all_metrics().items()
    ]
    return {"folds": found[0]["folds"], "confidence": found[0]["confidence"], "rows": rows}


def _setups(results: Results) -> dict[str, Any] | None:
    found = [method.summary["setups"] for method in results.methods if "setups" in method.summary]
    if not found:
        return None
    area = named("map_trapezoid", all_metrics()["map_trapezoid"], results.methods[0].summary)
    names = {"map_trapezoid": area, "mp_at_1": "mP@1", "mp_at_5": "mP@5", "mp_at_10": "mP@10"}
    rows = [
        {"setup": setup, "name": name, "cells": [of_method[setup][key] for of_method in found]}
        for setup in found[0]
        for key, name in names.items()
    ]
    return {"chosen": results.config["split"]["setup"], "rows": rows}
