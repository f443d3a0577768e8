"""Compare methods that were evaluated on the same queries, and test whether their differences may be chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.evaluation.cut import named
from cbir.evaluation.measure import Metrics, compared_metrics, written
from cbir.evaluation.relevance import mean_defined
from cbir.evaluation.significance import (
    Interval,
    bootstrap_interval,
    holm,
    least_p_value,
    mcnemar,
    newcombe_interval,
    paired_permutation_tests,
    wilson_interval,
)
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json

LISTED = 5
"""How many of the best and of the worst categories are listed for each method."""
SCOPES = {"queries": "new images of these categories", "categories": "new categories"}
"""What a finding is about, by the unit that counts as an independent draw: single queries, or whole categories."""


@dataclass(frozen=True)
class Evaluated:
    """A method's evaluation, read from its files.

    Attributes:
        method: its name.
        summary: the content of summary.json.
        categories: category, f1, support and anmrr, best F1 first.
        queries: image_id, category and the column of each compared metric, sorted by image_id, so that the rows of two
            methods match.
    """

    method: str
    summary: Mapping[str, Any]
    categories: pd.DataFrame
    queries: pd.DataFrame


def read(method: str, summary: str, categories: str, queries: str) -> Evaluated:
    """Read a method's evaluation.

    Args:
        method: its name; the summary must be of this method.
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
    per_query = _read_table(queries, ["image_id", "category", "correct"], measured)
    if per_query["correct"].dtype != np.bool_:
        raise InputError(f"{queries} has values other than True and False as correct: remove it and run again.")
    return Evaluated(method, figures, table, per_query.sort_values("image_id", ignore_index=True))


def _read_table(path: str, columns: list[str], figures: list[str]) -> pd.DataFrame:
    table = read_csv(path, columns + figures)
    try:
        # A value that is not defined is an empty cell, which becomes NaN.
        return table.assign(**{name: pd.to_numeric(table[name]) for name in figures})
    except ValueError as error:
        raise InputError(f"{path} has a figure that is not a number ({error}): remove it and run again.") from None


def require_same_queries(evaluated: Sequence[Evaluated]) -> None:
    """Raise an error for methods that were not evaluated on the same queries with the same k.

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
        if first.summary.get("ranked") != other.summary.get("ranked"):
            raise InputError(f"{names} were evaluated down to different ranks: evaluate both on the same gallery.")


def methods(evaluated: Sequence[Evaluated], *, confidence: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return a row for each method, best ANMRR first: its summary and the intervals of the compared metrics.

    Args:
        evaluated: the methods, on the same queries.
        confidence: the share of such intervals that contain the true mean.
        resamples: the number of bootstrap resamples.
        seed: of the resamples.

    Returns:
        The scalar values of the summaries. Each compared metric is followed by its interval for new images of these
        categories, ``_low`` and ``_high`` (Wilson's for a metric that is right or wrong for a query, else a percentile
        bootstrap over the queries), and its interval for new categories, ``_categories_low`` and ``_categories_high``
        (a percentile bootstrap over the categories).
    """
    rows = [
        {key: value for key, value in item.summary.items() if not isinstance(value, dict | list)} for item in evaluated
    ]
    # A value that is not defined is null in the summary; the cast makes it NaN.
    metrics = compared_metrics()
    table = pd.DataFrame(rows).astype(dict.fromkeys(metrics, np.float64))
    for key, metric in metrics.items():
        for scope, end in (("categories", "_categories"), ("queries", "")):
            intervals = [
                _interval(scope, item, None, metric, seed=seed, confidence=confidence, resamples=resamples)
                for item in evaluated
            ]
            place = list(table.columns).index(key) + 1
            table.insert(place, f"{key}{end}_low", [interval.low for interval in intervals])
            table.insert(place + 1, f"{key}{end}_high", [interval.high for interval in intervals])
    return table.sort_values(["anmrr", "accuracy", "method"], ascending=[True, False, True], ignore_index=True)


def categories(evaluated: Sequence[Evaluated]) -> pd.DataFrame:
    """Return a table of category, support and a column ``f1_{method}`` for each method, best mean F1 first.

    Args:
        evaluated: the methods, on the same queries, in the order of the columns.
    """
    tables = [item.categories.set_index("category") for item in evaluated]
    f1 = pd.DataFrame({f"f1_{item.method}": table["f1"] for item, table in zip(evaluated, tables, strict=True)})
    # The sort is stable, so categories with the same mean stay in alphabetical order.
    order = f1.sort_index().mean(axis=1).sort_values(ascending=False, kind="stable").index
    f1.insert(0, "support", tables[0]["support"])
    return f1.loc[order].reset_index()


def best_worst(evaluated: Sequence[Evaluated]) -> pd.DataFrame:
    """Return the categories with the best and the worst F1 of each method.

    Args:
        evaluated: the methods, in the order of the rows.

    Returns:
        Columns method, place ("best" or "worst"), rank (1 is the best or the worst of all), category, f1, support and
        anmrr. With fewer than twice ``LISTED`` categories, some are in both lists.
    """
    parts = []
    for item in evaluated:
        for place, table in (("best", item.categories), ("worst", item.categories[::-1])):
            part = table[["category", "f1", "support", "anmrr"]].head(LISTED)
            parts.append(part.assign(method=item.method, place=place, rank=range(1, len(part) + 1)))
    return pd.concat(parts, ignore_index=True)[["method", "place", "rank", "category", "f1", "support", "anmrr"]]


def f1_deltas(a: Evaluated, b: Evaluated) -> pd.DataFrame:
    """Return a table of category, f1_a, f1_b, delta = f1_a - f1_b and support, largest delta first."""
    ours, theirs = (item.categories.set_index("category") for item in (a, b))
    table = pd.DataFrame({"f1_a": ours["f1"], "f1_b": theirs["f1"]})
    table["delta"] = table["f1_a"] - table["f1_b"]
    table["support"] = ours["support"]
    return table.sort_values(["delta", "category"], ascending=[False, True]).reset_index()


def pair_tests(evaluated: Sequence[Evaluated], *, confidence: float, resamples: int, seed: int) -> pd.DataFrame:
    """Test whether the differences between any two methods over the same queries are real.

    A difference is called real if its corrected p-value is at most 1 - confidence. Because queries of one category
    resemble each other, each metric is tested twice: for new images of these categories and for new categories
    (`SCOPES`). For new images each query is an independent draw: McNemar's test where a query is right or wrong
    (accuracy), and a paired permutation test for the other compared metrics. For new categories the permutation test
    exchanges the two methods in whole categories. In each scope all tests of all pairs are corrected together by Holm's
    method, so a pair may be looked at because of its figures, such as that of the best method on these queries. The
    variation between splits and between trainings is not covered.

    Args:
        evaluated: the methods, on the same queries.
        confidence: of the tests, such as 0.95.
        resamples: the number of resamples of the permutation test.
        seed: of the resamples.

    Returns:
        A row for each pair, scope and compared metric, with the columns:

        * ``a``, ``b``, the names of the methods, ``scope`` and ``metric``, keys of `SCOPES` and of the summaries;
        * ``difference``, the mean of a - b over the queries with a defined difference;
        * ``test``, and ``units``, the number of queries (or categories) with a defined difference;
        * ``p_value``, and ``p_corrected`` by Holm's method; ``p_at_most`` and ``p_corrected_at_most`` are True where
          more resamples could make them smaller;
        * ``least``, the smallest ``p_corrected`` possible with so many units and the other tests unchanged;
        * ``verdict``: "real"; "chance", the difference may be chance; "too few", ``least`` is above 1 - confidence;
          "" if the metric is not defined.

        What is not defined is NaN.
    """
    parts = [_test_scope(scope, evaluated, confidence, resamples, seed) for scope in SCOPES]
    return pd.concat(parts, ignore_index=True)


def read_tests(path: str) -> pd.DataFrame:
    """Read the table that `pair_tests` returns.

    Raises:
        InputError: when the file is missing or damaged.
    """
    figures = ["difference", "p_value", "p_corrected", "least"]
    flags = ["p_at_most", "p_corrected_at_most"]
    table = _read_table(path, ["a", "b", "scope", "metric", "test", "units", "verdict", *flags], figures)
    if any(table[flag].dtype != np.bool_ for flag in flags if len(table)):
        raise InputError(f"{path} has a flag that is neither True nor False: remove it and run again.")
    return table


def compare(
    a: Evaluated, b: Evaluated, tests: pd.DataFrame, *, confidence: float, resamples: int, seed: int
) -> dict[str, Any]:
    """Compare two methods over the same queries: each difference with its interval and its tests of significance.

    Args:
        a: one method.
        b: the other, on the same queries.
        tests: of all pairs of methods, see `pair_tests`.
        confidence: of intervals and tests, such as 0.95.
        resamples: the number of resamples of the bootstrap and of the tests.
        seed: of both.

    Returns:
        Plain data without NaN: ``a``, ``b``, the numbers of ``queries`` and ``categories``, the settings, and
        ``tests``, how many were corrected together in each scope. For each compared metric: its values ``a`` and ``b``,
        ``difference`` = a - b, for accuracy also ``only_a`` and ``only_b``, the numbers of queries that only one method
        got right, and the finding for new images: ``low`` to ``high``, the interval of the difference (Newcombe's for
        accuracy, else a bootstrap), and the columns of ``tests`` from ``test`` on; a ``verdict`` is None if the metric
        is not defined. ``categories`` of a metric holds the same finding for new categories. ``words`` states
        everything in sentences.

    Raises:
        InputError: when ``tests`` lacks the pair.
    """
    found: dict[str, Any] = {"a": a.method, "b": b.method, "queries": len(a.queries)}
    found |= {"categories": int(a.queries["category"].nunique())}
    found |= {"confidence": confidence, "resamples": resamples, "seed": seed}
    found |= {"tests": int(tests[tests["scope"] == next(iter(SCOPES))]["p_value"].notna().sum())}
    of_pair = tests[[{one, other} == {a.method, b.method} for one, other in zip(tests["a"], tests["b"], strict=True)]]
    by_test = {(row["scope"], row["metric"]): row for row in of_pair.to_dict("records")}
    metrics = compared_metrics()
    for key, metric in metrics.items():
        values = (item.queries[metric.COLUMN].to_numpy() for item in (a, b))
        found[key] = {"a": a.summary[key], "b": b.summary[key]}
        found[key]["difference"] = _none(mean_defined(_values(a, metric) - _values(b, metric)))
        if _is_counted(a, metric):
            counts = mcnemar(*values)
            found[key] |= {"only_a": counts.only_a, "only_b": counts.only_b}
    for scope in SCOPES:
        for key, metric in metrics.items():
            if (scope, key) not in by_test:
                raise InputError(f"The tests lack {a.method} and {b.method}: remove results/comparison and run again.")
            test = by_test[scope, key]
            interval = _interval(scope, a, b, metric, seed=seed, confidence=confidence, resamples=resamples)
            row = {
                "low": _none(interval.low),
                "high": _none(interval.high),
                "test": test["test"],
                "units": int(test["units"]),
                "p_value": _none(test["p_value"]),
                "p_at_most": bool(test["p_at_most"]),
                "p_corrected": _none(test["p_corrected"]),
                "p_corrected_at_most": bool(test["p_corrected_at_most"]),
                "least": _none(test["least"]),
                "verdict": test["verdict"] or None,
            }
            found[key] |= row if scope == "queries" else {scope: row}
    return found | {"words": _words(found, metrics, a.summary)}


def _test_scope(
    scope: str, evaluated: Sequence[Evaluated], confidence: float, resamples: int, seed: int
) -> pd.DataFrame:
    """Return the rows of `pair_tests` for one scope."""
    groups = None if scope == "queries" else evaluated[0].queries["category"].to_numpy(str)
    name = "paired permutation" if groups is None else "paired permutation of categories"
    cases = [(a, b, *item) for a, b in combinations(evaluated, 2) for item in compared_metrics().items()]
    differences = np.stack([_values(a, metric) - _values(b, metric) for a, b, _, metric in cases], axis=1)
    permuted = paired_permutation_tests(differences, seed=seed, resamples=resamples, groups=groups)
    rows = []
    for (a, b, key, metric), found in zip(cases, permuted, strict=True):
        row = {"a": a.method, "b": b.method, "scope": scope, "metric": key, "difference": found.difference}
        row |= {"test": name, "units": found.units, "p_value": found.p_value, "p_at_most": found.at_most}
        row["least"] = least_p_value(found.units, resamples)
        if groups is None and _is_counted(a, metric) and found.units:
            p_value = mcnemar(*(item.queries[metric.COLUMN].to_numpy() for item in (a, b))).p_value
            row |= {"test": "McNemar", "p_value": p_value, "p_at_most": False, "least": least_p_value(found.units)}
        rows.append(row)
    p_values, limits, at_most = (np.array([row[key] for row in rows]) for key in ("p_value", "least", "p_at_most"))
    corrected = holm(p_values)
    # Whether it could be smaller with more resamples: if every p-value at the resamples' limit were 0.
    corrected_at_most = corrected > holm(np.where(at_most, 0, p_values))
    for place, row in enumerate(rows):
        # The smallest corrected p-value that this test can reach, with the others unchanged.
        possible = holm(np.where(np.arange(len(rows)) == place, limits, p_values))[place]
        row |= {"p_corrected": corrected[place], "p_corrected_at_most": bool(corrected_at_most[place])}
        row |= {"least": possible, "verdict": _verdict(corrected[place], possible, confidence)}
    return pd.DataFrame(rows)


def _interval(
    scope: str, a: Evaluated, b: Evaluated | None, metric: ModuleType, *, seed: int, confidence: float, resamples: int
) -> Interval:
    """Return the interval of a method's mean or, if ``b`` is given, of the difference of two means."""
    values = _values(a, metric) - (0 if b is None else _values(b, metric))
    groups = None if scope == "queries" else a.queries["category"].to_numpy(str)
    # If all values are 0 or all are 1, a bootstrap interval has length 0, as if nothing were uncertain. Then the
    # interval of right-or-wrong outcomes is used: values between 0 and 1 vary no more than outcomes of the same mean.
    closed = None
    of_methods = [_values(item, metric)[~np.isnan(values)] for item in (a, b) if item is not None]
    if _is_counted(a, metric) or all(len(own) and (own == own[0]).all() and own[0] in (0, 1) for own in of_methods):
        right = [own == 1 for own in of_methods]
        closed = (wilson_interval if b is None else newcombe_interval)(*right, confidence=confidence)
        if groups is None:
            return closed
    drawn = bootstrap_interval(values, seed=seed, confidence=confidence, resamples=resamples, groups=groups)
    if closed is None:
        return drawn
    # The interval for new categories must contain that for new images. The NaN of a single category stays NaN.
    return Interval(drawn.mean, float(np.minimum(drawn.low, closed.low)), float(np.maximum(drawn.high, closed.high)))


def _is_counted(item: Evaluated, metric: ModuleType) -> bool:
    """Return whether a metric is right or wrong for a query, as accuracy is."""
    return bool(item.queries[metric.COLUMN].dtype == np.bool_)


def _verdict(p_value: float, least: float, confidence: float) -> str:
    if math.isnan(p_value):
        return ""
    # Rounded, because in floating point 1 - 0.95 is above 0.05 and 1 - 0.9 below 0.1.
    level = round(1 - confidence, 12)
    if p_value <= level:
        return "real"
    return "too few" if least > level else "chance"


def _none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _words(found: Mapping[str, Any], metrics: Metrics, summary: Mapping[str, Any]) -> str:
    """State in sentences which differences are real, which may be chance, and where there are too few data to tell."""
    names = {key: named(key, metric, summary) for key, metric in metrics.items()}
    undefined = [name for key, name in names.items() if found[key]["verdict"] is None]
    defined = {key: metric for key, metric in metrics.items() if found[key]["verdict"] is not None}
    sentences = [
        f"For {SCOPES[scope]}: {'; '.join(_findings(scope, found, defined, names))}." for scope in SCOPES if defined
    ]
    if found["tests"] > 1:
        sentences.append(f"The p-values for each are corrected for {found['tests']} tests (Holm).")
    if undefined:
        sentences.append(
            f"{_listed(undefined)} cannot be computed: no query has images of its category in the gallery."
        )
    return " ".join(sentences)


def _findings(scope: str, found: Mapping[str, Any], metrics: Metrics, names: Mapping[str, str]) -> list[str]:
    better: dict[str, list[str]] = {}
    chance: list[str] = []
    few: dict[str, list[str]] = {}
    for key, metric in metrics.items():
        row = found[key] if scope == "queries" else found[key][scope]
        values = {found[side]: written(metric, found[key][side]) for side in ("a", "b")}
        probability = _probability(row, found["confidence"])
        # The values are the same in both scopes, so they are stated once, for new images.
        pair = ", ".join([*(f"{name} {value}" for name, value in values.items() if scope == "queries"), probability])
        if row["verdict"] == "real":
            ordered = ("a", "b") if (found[key]["difference"] > 0) == metric.HIGHER_IS_BETTER else ("b", "a")
            winner, loser = (found[side] for side in ordered)
            against = f"{values[winner]} against {values[loser]}, " if scope == "queries" else ""
            better.setdefault(winner, []).append(f"{names[key]} ({against}{probability})")
        elif row["verdict"] == "chance":
            chance.append(f"{names[key]} ({pair})")
        else:
            few.setdefault(_lack(scope, row, found), []).append(f"{names[key]} ({pair})")
    parts = []
    if better:
        claims = " and ".join(f"{winner} is better in {_listed(items)}" for winner, items in better.items())
        parts.append(f"real at {100 * found['confidence']:g} % confidence, {claims}")
    if chance:
        parts.append(f"{_differences(chance)} may be chance")
    for lack, items in few.items():
        parts.append(f"{lack} too few to tell whether {_differences(items)} {'is' if len(items) == 1 else 'are'} real")
    return parts


def _lack(scope: str, row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Return what there is too little of: queries or categories or, if these suffice, resamples."""
    units = row["units"]
    if found["tests"] * least_p_value(units) <= round(1 - found["confidence"], 12):
        return f"{found['resamples']:,} resamples are"
    if scope == "queries":
        return f"{units} {'query is' if units == 1 else 'queries are'}"
    return f"{units} {'category is' if units == 1 else 'categories are'}"


def _probability(row: Mapping[str, Any], confidence: float) -> str:
    """Return the corrected p-value as text, and the uncorrected one if only the correction makes it insignificant."""

    def said(value: float, at_most: bool) -> str:
        if value < 0.0001 and not at_most:
            return "< 0.0001"
        return f"{'≤' if at_most else '='} {value:.3g}"

    words = f"p {said(row['p_corrected'], row['p_corrected_at_most'])}"
    if row["verdict"] == "chance" and row["p_value"] <= round(1 - confidence, 12):
        words += f", {said(row['p_value'], row['p_at_most']).removeprefix('= ')} before correction"
    return words


def _differences(items: Sequence[str]) -> str:
    return f"the {'difference' if len(items) == 1 else 'differences'} in {_listed(items)}"


def _values(item: Evaluated, metric: ModuleType) -> NDArray[np.float64]:
    return item.queries[metric.COLUMN].to_numpy(np.float64)


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
