"""Compare methods that were evaluated on the same queries, and tell real differences from chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.evaluation.measure import Metrics, compared_metrics, written
from cbir.evaluation.significance import bootstrap_interval, mcnemar, paired_permutation_test
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json

LISTED = 5
"""Best and worst categories listed for each method."""


@dataclass(frozen=True)
class Evaluated:
    """A method's evaluation, read.

    Attributes:
        method: its name.
        summary: its figures.
        categories: category, f1, support and anmrr, best F1 first.
        queries: image_id and the column of each compared metric, sorted by image_id, so that rows of two methods match.
    """

    method: str
    summary: Mapping[str, Any]
    categories: pd.DataFrame
    queries: pd.DataFrame


def read(method: str, summary: str, categories: str, queries: str) -> Evaluated:
    """Read what `cbir.evaluation.evaluate` wrote of a method.

    Args:
        method: its name, which the summary must confirm.
        summary: path of summary.json.
        categories: path of categories.csv.
        queries: path of queries.csv.

    Raises:
        InputError: when a file is missing or damaged, or the summary is another method's.
    """
    figures = read_json(summary)
    needed = ["method", "k", *compared_metrics()]
    missing = [key for key in needed if not isinstance(figures, dict) or key not in figures]
    if missing:
        raise InputError(f"{summary} lacks {missing[0]!r}: remove it and run again.")
    if figures["method"] != method:
        raise InputError(f"{summary} is of the method {figures['method']!r}, not {method!r}: remove it and run again.")
    table = _read_table(categories, ["category", "support"], ["f1", "anmrr"])
    measured = [metric.COLUMN for metric in compared_metrics().values() if metric.COLUMN != "correct"]
    per_query = _read_table(queries, ["image_id", "correct"], measured)
    if per_query["correct"].dtype != np.bool_:
        raise InputError(f"{queries} has something else than True and False as correct: remove it and run again.")
    return Evaluated(method, figures, table, per_query.sort_values("image_id", ignore_index=True))


def _read_table(path: str, columns: list[str], figures: list[str]) -> pd.DataFrame:
    table = read_csv(path, columns + figures)
    try:
        # A figure that is not defined is an empty cell, which turns into NaN.
        return table.assign(**{name: pd.to_numeric(table[name]) for name in figures})
    except ValueError as error:
        raise InputError(f"{path} has a figure that is no number ({error}): remove it and run again.") from None


def require_same_queries(evaluated: Sequence[Evaluated]) -> None:
    """Refuse methods that were not evaluated on the same queries with the same k.

    Raises:
        InputError: naming two methods and what differs.
    """
    first = evaluated[0]
    for other in evaluated[1:]:
        names = f"The methods {first.method!r} and {other.method!r}"
        for what, ours, theirs in (
            ("queries", first.queries["image_id"], other.queries["image_id"]),
            ("categories", first.categories["category"], other.categories["category"]),
        ):
            if sorted(ours) != sorted(theirs):
                apart = set(ours) ^ set(theirs)
                example = f"{min(apart)!r} is in one of them only" if apart else "one of them has repetitions"
                raise InputError(f"{names} have different {what} ({example}): evaluate both on the same split.")
        k = first.summary["k"], other.summary["k"]
        if k[0] != k[1]:
            raise InputError(f"{names} were evaluated with k = {k[0]} and k = {k[1]}: evaluate both with the same k.")


def methods(evaluated: Sequence[Evaluated], *, confidence: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return a row a method, best ANMRR first: the summary's figures and the intervals of the compared metrics.

    Args:
        evaluated: the methods, on the same queries.
        confidence: share of resampled means between ``low`` and ``high``.
        resamples: how many times the queries are drawn.
        seed: of the draws.

    Returns:
        The single values of the summaries; behind each compared metric its ``_low`` and ``_high`` (percentile
        bootstrap over the queries).
    """
    rows = [
        {key: value for key, value in item.summary.items() if not isinstance(value, dict | list)} for item in evaluated
    ]
    # A figure that is not defined is null in the summary.
    metrics = compared_metrics()
    table = pd.DataFrame(rows).astype(dict.fromkeys(metrics, np.float64))
    for key, metric in metrics.items():
        intervals = [
            bootstrap_interval(_values(item, metric), seed=seed, confidence=confidence, resamples=resamples)
            for item in evaluated
        ]
        place = list(table.columns).index(key) + 1
        table.insert(place, f"{key}_low", [interval.low for interval in intervals])
        table.insert(place + 1, f"{key}_high", [interval.high for interval in intervals])
    return table.sort_values(["anmrr", "accuracy", "method"], ascending=[True, False, True], ignore_index=True)


def categories(evaluated: Sequence[Evaluated]) -> pd.DataFrame:
    """Return category, support and a column ``f1_{method}`` for each method, best mean F1 first.

    Args:
        evaluated: the methods, on the same queries, in the order of the columns.
    """
    tables = [item.categories.set_index("category") for item in evaluated]
    f1 = pd.DataFrame({f"f1_{item.method}": table["f1"] for item, table in zip(evaluated, tables, strict=True)})
    # Stable, so that categories with the same mean stand in the order of their names.
    order = f1.sort_index().mean(axis=1).sort_values(ascending=False, kind="stable").index
    f1.insert(0, "support", tables[0]["support"])
    return f1.loc[order].reset_index()


def best_worst(evaluated: Sequence[Evaluated]) -> pd.DataFrame:
    """Return the categories with the best and the worst F1 of each method.

    Args:
        evaluated: the methods, in the order of the rows.

    Returns:
        method, place ("best" or "worst"), rank (1 is the very best or the very worst), category, f1, support, anmrr.
        With fewer than twice ``LISTED`` categories some stand in both places.
    """
    parts = []
    for item in evaluated:
        for place, table in (("best", item.categories), ("worst", item.categories[::-1])):
            part = table[["category", "f1", "support", "anmrr"]].head(LISTED)
            parts.append(part.assign(method=item.method, place=place, rank=range(1, len(part) + 1)))
    return pd.concat(parts, ignore_index=True)[["method", "place", "rank", "category", "f1", "support", "anmrr"]]


def f1_deltas(a: Evaluated, b: Evaluated) -> pd.DataFrame:
    """Return category, f1_a, f1_b, delta = f1_a - f1_b and support, largest delta first."""
    ours, theirs = (item.categories.set_index("category") for item in (a, b))
    table = pd.DataFrame({"f1_a": ours["f1"], "f1_b": theirs["f1"]})
    table["delta"] = table["f1_a"] - table["f1_b"]
    table["support"] = ours["support"]
    return table.sort_values(["delta", "category"], ascending=[False, True]).reset_index()


def compare(a: Evaluated, b: Evaluated, *, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
    """Compare two methods over the same queries: how large each difference is, how sure, and whether it is real.

    A difference is real when equally good methods would show one as large in at most 1 - confidence of all cases, by
    McNemar's test where a query is right or wrong (accuracy) and a paired permutation test for the other compared
    metrics. Queries count as independent draws; another split or another training is not part of the uncertainty, and
    the tests are not corrected for being several.

    Args:
        a: one method.
        b: the other, on the same queries.
        confidence: of intervals and tests, such as 0.95.
        resamples: of the bootstrap and of the permutation test.
        seed: of both.

    Returns:
        Plain data without NaN: ``a``, ``b``, ``queries`` and the settings; for each compared metric its values
        ``a`` and ``b``, ``difference`` = a - b with its bootstrap interval ``low`` to ``high``, ``test``, ``p_value``
        and ``real`` (None where the metric is not defined), for accuracy also ``only_a`` and ``only_b``, the queries
        that one method alone got right; ``words``, the findings in one to three sentences.
    """
    found: dict[str, Any] = {"a": a.method, "b": b.method, "queries": len(a.queries)}
    found |= {"confidence": confidence, "resamples": resamples, "seed": seed}
    metrics = compared_metrics()
    for key, metric in metrics.items():
        ours, theirs = _values(a, metric), _values(b, metric)
        interval = bootstrap_interval(ours - theirs, seed=seed, confidence=confidence, resamples=resamples)
        row: dict[str, Any] = {
            "a": a.summary[key],
            "b": b.summary[key],
            "difference": interval.mean,
            "low": interval.low,
            "high": interval.high,
        }
        if a.queries[metric.COLUMN].dtype == np.bool_:
            test = mcnemar(a.queries[metric.COLUMN].to_numpy(), b.queries[metric.COLUMN].to_numpy())
            row |= {"test": "McNemar", "only_a": test.only_a, "only_b": test.only_b, "p_value": test.p_value}
        else:
            p_value = paired_permutation_test(ours, theirs, seed=seed, resamples=resamples).p_value
            row |= {"test": "paired permutation", "p_value": p_value}
        # Rounded, because 1 - 0.95 is a little more than 0.05 and 1 - 0.9 a little less than 0.1.
        row["real"] = None if math.isnan(row["p_value"]) else row["p_value"] <= round(1 - confidence, 12)
        found[key] = {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()
        }
    return found | {"words": _words(found, metrics, a.summary["k"])}


def _words(found: Mapping[str, Any], metrics: Metrics, k: int) -> str:
    """Say which of the differences that `compare` found are real, and which may be chance."""
    better: dict[str, list[str]] = {}
    chance, undefined = [], []
    for key, metric in metrics.items():
        row, name = found[key], metric.NAME.format(k=k)
        if row["real"] is None:
            undefined.append(name)
            continue
        values = {found["a"]: written(metric, row["a"]), found["b"]: written(metric, row["b"])}
        probability = "p < 0.0001" if row["p_value"] < 0.0001 else f"p = {row['p_value']:.3g}"
        if not row["real"]:
            pair = ", ".join(f"{method} {value}" for method, value in values.items())
            chance.append(f"{name} ({pair}, {probability})")
            continue
        ordered = ("a", "b") if (row["difference"] > 0) == metric.HIGHER_IS_BETTER else ("b", "a")
        winner, loser = (found[side] for side in ordered)
        better.setdefault(winner, []).append(f"{name} ({values[winner]} against {values[loser]}, {probability})")
    sentences = []
    if better:
        claims = " and ".join(f"{winner} is better in {_listed(items)}" for winner, items in better.items())
        sentences.append(f"Real at {100 * found['confidence']:g} % confidence: {claims}.")
    if chance:
        noun = "difference" if len(chance) == 1 else "differences"
        sentences.append(f"The {noun} in {_listed(chance)} may be chance.")
    if undefined:
        sentences.append(
            f"No query has what {_listed(undefined)} would need: images of its category among the train images."
        )
    return " ".join(sentences)


def _values(item: Evaluated, metric: ModuleType) -> NDArray[np.float64]:
    return item.queries[metric.COLUMN].to_numpy(np.float64)


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
