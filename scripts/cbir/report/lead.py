"""The beginning of the report: the methods side by side, and links to what to look at next."""

from collections.abc import Sequence
from typing import Any

from cbir.collection.categories import singles
from cbir.evaluation.cut import named
from cbir.evaluation.measure import compared_metrics
from cbir.report.filters import capitalised, listed
from cbir.report.results import Results, records
from cbir.results import METHOD_CATEGORIES, METHODS, NEAR_DUPLICATES, PAIR_TESTS, REJECTED, SUSPECTS

INPUTS = ("comparison/{comparison}", METHOD_CATEGORIES, NEAR_DUPLICATES, REJECTED, SUSPECTS)
"""The files that this part reads; see `cbir.report.sections`."""


def gather(results: Results) -> dict[str, Any]:
    """Return the metrics of the methods, lowest ANMRR first, and links to what to look at next, as plain data.

    If images have no categories, ``metrics`` is empty.

    Raises:
        InputError: when a file is missing or damaged.
    """
    if not results.labelled:
        return {"images": len(results.images), "metrics": []}
    best = results.methods[0].summary
    k = results.config["evaluation"]["k"]
    intervals, against = _intervals(results), _against(results)
    metrics = []
    for key, metric in compared_metrics().items():
        values = [one.summary[key] for one in results.methods]
        metrics.append(
            {
                "key": key,
                "name": capitalised(named(key, metric, best)),
                "written": metric.FORMAT,
                # If all methods have the same value, none is marked as the best.
                "best": (max if metric.HIGHER_IS_BETTER else min)(values) if len(set(values)) > 1 else None,
            }
        )
    accurate = max(one.summary["accuracy"] for one in results.methods)
    return {
        "images": len(results.images),
        "categories": len(singles(results.images["category"])),
        "k": k,
        "queries": best["queries"],
        "gallery": best["gallery"],
        "searched": results.gallery,
        "first": [one.name for one in results.methods if one.summary["anmrr"] == best["anmrr"]],
        "most_accurate": [one.name for one in results.methods if one.summary["accuracy"] == accurate],
        "metrics": metrics,
        "confidence": results.config["comparison"]["confidence"],
        "intervals": intervals,
        "against": against,
        "next": _next(results),
    }


def _intervals(results: Results) -> dict[str, dict[str, list[float]]]:
    """Return the confidence interval [low, high] for new images of the same categories, by method and metric."""
    if not results.names["comparison"]:
        return {}
    columns = [f"{key}_{end}" for key in compared_metrics() for end in ("low", "high")]
    table = results.table(METHODS, ["method", *columns], columns)
    return {
        str(row["method"]): {key: [float(row[f"{key}_low"]), float(row[f"{key}_high"])] for key in compared_metrics()}
        for _, row in table.iterrows()
    }


def _against(results: Results) -> dict[str, str]:
    """Return, for each further method, a text on which of its differences to the first one are real."""
    if not results.names["comparison"]:
        return {}
    columns = ["a", "b", "scope", "metric", "difference", "verdict"]
    first, *others = (one.name for one in results.methods)
    tests: dict[str, dict[str, Any]] = {}
    for row in records(results.table(PAIR_TESTS, columns, ["difference"])):
        if row["scope"] == "queries" and first in (row["a"], row["b"]):
            # How much higher the value of the other method is.
            other, higher = (row["b"], -row["difference"]) if row["a"] == first else (row["a"], row["difference"])
            tests.setdefault(other, {})[row["metric"]] = {"difference": higher, "verdict": row["verdict"]}
    return {other: _verdicts(tests.get(other, {}), results.methods[0].summary) for other in others}


def _verdicts(tests: dict[str, Any], summary: dict[str, Any]) -> str:
    found: dict[str, list[str]] = {"better in": [], "worse in": [], "may be chance": [], "too few queries to tell": []}
    for key, metric in compared_metrics().items():
        verdict = tests[key]["verdict"] if key in tests else ""
        if verdict == "real":
            better = (tests[key]["difference"] > 0) == metric.HIGHER_IS_BETTER
            found["better in" if better else "worse in"].append(named(key, metric, summary))
        elif verdict:
            words = "may be chance" if verdict == "chance" else "too few queries to tell"
            found[words].append(named(key, metric, summary))
    parts = [f"{words} {listed(found[words])}" for words in ("better in", "worse in") if found[words]]
    parts += [f"{listed(found[words])}: {words}" for words in list(found)[2:] if found[words]]
    return "; ".join(parts)


def _next(results: Results) -> list[dict[str, str]]:
    """Return links to what to look at next: each a text and the anchor of a section."""
    best = results.methods[0].name
    found = []
    table = results.table(METHOD_CATEGORIES, ["category", "f1"], ["f1"], method=best)
    least = table["f1"].min()
    weakest = list(table.loc[table["f1"] == least, "category"])
    if 0 < len(weakest) < len(table):
        found.append({"to": "worst", "text": f"{_most(weakest)}: the lowest F1 with {best}, {least:.3f}"})
    doubtful = len(results.table(SUSPECTS, ["image_id"]))
    if doubtful:
        found.append({"to": "quality", "text": f"{doubtful:,} doubtful {'label' if doubtful == 1 else 'labels'}"})
    groups = results.table(NEAR_DUPLICATES, ["group"])["group"].nunique()
    if groups:
        text = f"{groups:,} {'group' if groups == 1 else 'groups'} of near-duplicates"
        found.append({"to": "quality", "text": text})
    rejected = len(results.table(REJECTED, ["path"]))
    if rejected:
        found.append({"to": "collection", "text": f"{rejected:,} rejected {'file' if rejected == 1 else 'files'}"})
    return found


def _most(names: Sequence[str], most: int = 3) -> str:
    head, more = names[:most], len(names) - most
    return listed(head) if more <= 0 else f"{', '.join(head)} and {more} more"
