"""The category with the lowest F1 of each method."""

from typing import Any

import numpy as np

from cbir.collection.categories import share
from cbir.report.results import Results
from cbir.results import CONFUSION, METHOD_CATEGORIES, WORST

TITLE = "The category with the lowest F1"
ORDER = 80
NEEDS_LABELS = True
INPUTS = (WORST, CONFUSION, METHOD_CATEGORIES)


def gather(results: Results) -> dict[str, Any]:
    """Return each method's category with the lowest F1: some of its test images, their results, its confusions."""
    return {method.name: _worst(results, method.name) for method in results.methods}


def _worst(results: Results, method: str) -> dict[str, Any]:
    found = results.json(WORST, method=method)
    names, counts = results.confusion(method)
    table = results.table(METHOD_CATEGORIES, ["category", "f1"], ["f1"], method=method)
    as_low = sorted(table.loc[(table["f1"] <= found["f1"]) & (table["category"] != found["category"]), "category"])
    place = names.index(found["category"])
    column = counts[:, place].copy()
    column[place] = 0
    taken = [{"category": names[row], "count": int(column[row])} for row in np.flatnonzero(column)]
    return {
        **{key: found[key] for key in ("category", "precision", "recall", "f1", "retrieved", "anmrr_at_retrieved")},
        "as_low": as_low,
        "categories": len(table),
        "support": int(counts[place].sum()),
        "taken_for": found["taken_for"],
        "lowest_in": found["lowest_in"],
        "resamples": found["resamples"],
        "taken_for_it": sorted(taken, key=lambda item: (-item["count"], item["category"])),
        "searched": results.gallery,
        "rows": [
            {
                "query": results.card(item["image_id"]),
                "nmrr_at_k": item["nmrr_at_k"],
                "results": [_answer(results, image_id, found["category"]) for image_id in item["retrieved"]],
            }
            for item in found["images"]
        ],
    }


def _answer(results: Results, image_id: str, category: str) -> dict[str, Any]:
    card = results.card(image_id)
    return {**card, "right": share(card["category"], category)}
