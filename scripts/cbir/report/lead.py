"""The beginning of the report: the methods side by side, and links to what to look at next."""

from collections.abc import Sequence
from typing import Any

from cbir.collection.categories import singles
from cbir.evaluation.cut import named
from cbir.evaluation.measure import compared_metrics
from cbir.report.filters import capitalised, listed
from cbir.report.results import Results
from cbir.results import METHOD_CATEGORIES, METHODS, NEAR_DUPLICATES, PAIR, REJECTED, SUSPECTS

INPUTS = ("comparison/{comparison}", PAIR, METHOD_CATEGORIES, NEAR_DUPLICATES, REJECTED, SUSPECTS)
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
        "untested": [one.name for one in results.methods[1:] if against and one.name not in against],
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
    """Return, for each method that was compared with the first one, a text on which differences are real."""
    first = results.methods[0].name
    said = {}
    for pair in results.names["pair"]:
        found = results.json(PAIR, pair=pair)
        other = found["b"] if found["a"] == first else found["a"]
        if first in (found["a"], found["b"]):
            said[other] = _verdicts(found, first, other, results.methods[0].summary)
    return said


def _verdicts(found: dict[str, Any], first: str, other: str, summary: dict[str, Any]) -> str:
    metrics = {key: metric for key, metric in compared_metrics().items() if found.get(key, {}).get("verdict")}
    names = {key: named(key, metric, summary) for key, metric in metrics.items()}
    real = [key for key in metrics if found[key]["verdict"] == "real"]
    better = {key: (found[key]["difference"] > 0) == metrics[key].HIGHER_IS_BETTER for key in real}
    won = {
        first: [names[key] for key in real if better[key] == (found["a"] == first)],
        other: [names[key] for key in real if better[key] == (found["a"] == other)],
    }
    parts = [f"{name} is better in {listed(keys)}" for name, keys in won.items() if keys]
    for verdict, words in (("chance", "may be chance"), ("too few", "too few queries to tell")):
        keys = [names[key] for key in metrics if found[key]["verdict"] == verdict]
        if keys:
            parts.append(f"{listed(keys)}: {words}")
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
