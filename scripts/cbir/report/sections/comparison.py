"""The comparison of all methods, with published figures if the configuration has some, and of pairs of methods."""

from typing import Any

import pandas as pd

from cbir.evaluation.cut import named
from cbir.evaluation.measure import compared_metrics
from cbir.report.filters import capitalised
from cbir.report.results import Results, records
from cbir.results import (
    BEST_WORST,
    COMPARED_CATEGORIES_PICTURE,
    METHODS,
    METHODS_PICTURE,
    PAIR,
    PAIR_PICTURE,
    PAIR_TESTS,
)

TITLE = "Comparison"
ORDER = 40
INPUTS = ("comparison/{comparison}", PAIR, PAIR_PICTURE)


def gather(results: Results) -> dict[str, Any] | None:
    """Return the metrics of all methods, the figures of ``report.study``, and the differences between pairs."""
    if not results.names["comparison"]:
        return None
    metrics = compared_metrics()
    ends = ("", "_low", "_high", "_categories_low", "_categories_high")
    numbers = [f"{key}{end}" for key in metrics for end in ends]
    table = results.table(METHODS, ["method", *numbers], numbers)
    best_worst = results.table(BEST_WORST, ["method", "place", "rank", "category", "f1"])
    study = results.config["report"]["study"]
    rows = [{**row, "study": study.get(row["method"])} for row in records(table[["method", *numbers]])]
    # Methods of the study that this run does not have.
    rows += [
        {"method": name, **dict.fromkeys(numbers), "study": study[name]}
        for name in study
        if name not in set(table["method"])
    ]
    return {
        "metrics": [
            {"key": key, "name": capitalised(named(key, metric, results.methods[0].summary)), "written": metric.FORMAT}
            for key, metric in metrics.items()
        ],
        "rows": rows,
        "study": bool(study),
        "confidence": results.config["comparison"]["confidence"],
        "methods_picture": results.vector(METHODS_PICTURE),
        "categories_picture": results.vector(COMPARED_CATEGORIES_PICTURE),
        "tests": _tests(results),
        "places": [
            place for method, rows in best_worst.groupby("method", sort=False) for place in _places(str(method), rows)
        ],
        "pairs": [
            {**results.json(PAIR, pair=pair), "picture": results.vector(PAIR_PICTURE, pair=pair)}
            for pair in results.names["pair"]
        ],
    }


def _tests(results: Results) -> list[dict[str, Any]]:
    """Return the pairs of methods a and b, each with the difference of each metric and its verdicts by scope."""
    numbers = ["difference", "p_corrected"]
    columns = ["a", "b", "scope", "metric", "verdict", "p_corrected_at_most", *numbers]
    table = results.table(PAIR_TESTS, columns, numbers)
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    for row in records(table):
        of_pair = pairs.setdefault((row["a"], row["b"]), {"a": row["a"], "b": row["b"]})
        of_pair.setdefault(row["metric"], {"difference": row["difference"]})[row["scope"]] = row
    return list(pairs.values())


def _places(method: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a method's best and worst categories; if some would be in both lists, all categories in one list."""
    by_place = {place: records(part) for place, part in rows.groupby("place", sort=False)}
    if rows["category"].duplicated().any():
        ordered = {row["category"]: row for row in [*by_place["best"], *reversed(by_place["worst"])]}
        by_place = {"all, best first": list(ordered.values())}
    return [{"method": method, "place": place, "categories": found} for place, found in by_place.items()]
