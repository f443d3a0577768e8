"""All misclassified queries with their nearest images, grouped by true and predicted category."""

from typing import Any

import pandas as pd

from cbir.report.results import Results
from cbir.results import METHOD_QUERIES, NEIGHBOURS

TITLE = "Errors"
ORDER = 75
NEEDS_LABELS = True
INPUTS = (METHOD_QUERIES, NEIGHBOURS)
MOST = 10_000
"""The most misclassified queries shown, of all methods together."""
SHOWN_NEIGHBOURS = 5
"""Nearest images shown of each query; if more of them vote, all that vote."""


def gather(results: Results) -> dict[str, Any] | None:
    """Return each method's misclassified queries, grouped by true and predicted category; None if there are none."""
    most = MOST // len(results.methods)
    wrong = {method.name: _wrong(results, method.name) for method in results.methods}
    if all(table.empty for table in wrong.values()):
        return None
    # Queries ask for their thumbnails before neighbours do, so that they have one even if there are too many pictures.
    for table in wrong.values():
        for image_id in table["image_id"].head(most):
            results.tile(image_id, large=True)
    found = {method: _method(results, method, table, most) for method, table in wrong.items()}
    every = pd.concat(wrong.values())
    return {
        "methods": found,
        "neighbours": max(part["neighbours"] for part in found.values()),
        "k": results.config["evaluation"]["k"],
        "categories": sorted(set(every["category"])),
        "taken_for": sorted(set(every["predicted"])),
    }


def _shown(results: Results) -> int:
    return max(SHOWN_NEIGHBOURS, results.config["evaluation"]["k"])


def _wrong(results: Results, method: str) -> pd.DataFrame:
    table = results.table(METHOD_QUERIES, ["image_id", "category", "predicted", "nmrr"], ["nmrr"], method=method)
    table = table[table["predicted"] != table["category"]]
    count = table.groupby(["category", "predicted"])["image_id"].transform("size")
    order = {"category": table["category"], "count": -count, "predicted": table["predicted"], "nmrr": -table["nmrr"]}
    return table.loc[pd.DataFrame(order).sort_values([*order], kind="stable").index]


def _method(results: Results, method: str, wrong: pd.DataFrame, most: int) -> dict[str, Any]:
    shown = set(wrong["image_id"].head(most))
    columns = ["query", "rank", "image_id", "distance"]
    nearest = results.table(NEIGHBOURS, columns, ["rank", "distance"], method=method)
    nearest = nearest[(nearest["rank"] <= _shown(results)) & nearest["query"].isin(shown)]
    by_query = nearest.sort_values("rank", kind="stable").groupby("query", sort=False)
    neighbours = {str(query): rows for query, rows in by_query}
    categories = []
    for category, of_category in wrong.groupby("category", sort=False):
        groups = [
            {
                "anchor": results.anchor(method, str(category), str(predicted)),
                "taken_for": str(predicted),
                "count": len(rows),
                "rows": [
                    {
                        "query": results.tile(image_id, large=True),
                        "nmrr": nmrr,
                        "neighbours": [_neighbour(results, *row, str(category)) for row in _rows(neighbours, image_id)],
                    }
                    for image_id, nmrr in zip(rows["image_id"], rows["nmrr"], strict=True)
                    if image_id in shown
                ],
            }
            for predicted, rows in of_category.groupby("predicted", sort=False)
        ]
        categories.append(
            {"anchor": results.anchor(method, str(category)), "category": str(category), "groups": groups}
        )
    return {
        "errors": len(wrong),
        "shown": len(shown),
        "neighbours": max(map(len, neighbours.values()), default=0),
        "categories": categories,
    }


def _rows(neighbours: dict[str, pd.DataFrame], query: str) -> list[tuple[str, float]]:
    nearest = neighbours[query]
    return list(zip(nearest["image_id"], nearest["distance"], strict=True))


def _neighbour(results: Results, image_id: str, distance: float, category: str) -> dict[str, Any]:
    tile = results.tile(image_id, distance=distance)
    return {**tile, "right": tile["category"] == category}
