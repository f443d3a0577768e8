"""Compare methods that were evaluated on the same queries, and tell real differences from chance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    paired_permutation_test,
    wilson_interval,
)
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json

LISTED = 5
"""Best and worst categories listed for each method."""
SCOPES = {"queries": "new images of these categories", "categories": "new categories"}
"""What a finding is about, by what counts as an independent draw: the test images, or their categories as wholes."""


@dataclass(frozen=True)
class Evaluated:
    """A method's evaluation, read.

    Attributes:
        method: its name.
        summary: its figures.
        categories: category, f1, support and anmrr, best F1 first.
        queries: image_id, category and the column of each compared metric, sorted by image_id, so that rows of two
            methods match.
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
    per_query = _read_table(queries, ["image_id", "category", "correct"], measured)
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
        if first.summary.get("ranked") != other.summary.get("ranked"):
            raise InputError(f"{names} were evaluated down to different ranks: evaluate both on the same gallery.")


def methods(evaluated: Sequence[Evaluated], *, confidence: float, resamples: int, seed: int) -> pd.DataFrame:
    """Return a row a method, best ANMRR first: the summary's figures and the intervals of the compared metrics.

    Args:
        evaluated: the methods, on the same queries.
        confidence: share of such intervals that hold the true mean.
        resamples: how many times the queries or categories are drawn.
        seed: of the draws.

    Returns:
        The single values of the summaries; behind each compared metric its interval for new images of these categories,
        ``_low`` and ``_high`` (Wilson's where a query is right or wrong, else a percentile bootstrap over the queries),
        and that for new categories, ``_categories_low`` and ``_categories_high`` (a percentile bootstrap over the
        categories).
    """
    rows = [
        {key: value for key, value in item.summary.items() if not isinstance(value, dict | list)} for item in evaluated
    ]
    # A figure that is not defined is null in the summary.
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


def compare(
    a: Evaluated,
    b: Evaluated,
    *,
    others: Sequence[tuple[Evaluated, Evaluated]] = (),
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Compare two methods over the same queries: how large each difference is, how sure, and whether it is real.

    A difference is real when equally good methods would show one as large in at most 1 - confidence of all cases. That
    is asked twice, of new images of these categories and of new categories (`SCOPES`), because queries of one category
    resemble each other. For new images each query is a draw: McNemar's test where a query is right or wrong (accuracy)
    and a paired permutation test for the other compared metrics. For new categories the permutation test exchanges the
    methods in whole categories. In each scope all tests of all pairs are corrected together, by Holm's method. Another
    split or another training is not part of the uncertainty.

    Args:
        a: one method.
        b: the other, on the same queries.
        others: the other pairs that are shown beside this one; their tests count in the correction.
        confidence: of intervals and tests, such as 0.95.
        resamples: of the bootstrap and of the permutation test.
        seed: of both.

    Returns:
        Plain data without NaN: ``a``, ``b``, the numbers of ``queries`` and ``categories``, the settings, ``others``,
        and ``tests``, how many were corrected together in each scope; for each compared metric its values ``a`` and
        ``b``, ``difference`` = a - b, for accuracy also ``only_a`` and ``only_b``, the queries that one method alone
        got right, and the finding for new images:

        * ``low`` to ``high``, the interval of the difference: Newcombe's for accuracy, else a bootstrap;
        * ``test`` and ``units``, how many queries (or categories) had a difference to test;
        * ``p_value``, and ``p_corrected`` by Holm's method; where only the resamples keep them from being smaller,
          ``p_at_most`` and ``p_corrected_at_most`` are True;
        * ``least``, the smallest ``p_corrected`` that so many units could give, the other tests being as they are;
        * ``verdict``: "real", "chance" (it may be), "too few" (not even ``least`` is real), None if not defined.

        ``categories`` of a metric holds the same finding for new categories. ``words`` says it all in sentences.
    """
    found: dict[str, Any] = {"a": a.method, "b": b.method, "queries": len(a.queries)}
    found |= {"categories": int(a.queries["category"].nunique())}
    found |= {"confidence": confidence, "resamples": resamples, "seed": seed}
    found |= {"others": [[one.method, other.method] for one, other in others]}
    metrics = compared_metrics()
    for key, metric in metrics.items():
        values = (item.queries[metric.COLUMN].to_numpy() for item in (a, b))
        found[key] = {"a": a.summary[key], "b": b.summary[key]}
        found[key]["difference"] = _none(mean_defined(_values(a, metric) - _values(b, metric)))
        if _is_counted(a, metric):
            counts = mcnemar(*values)
            found[key] |= {"only_a": counts.only_a, "only_b": counts.only_b}
    for scope in SCOPES:
        family = [
            _test(scope, *pair, metric, seed=seed, resamples=resamples)
            for pair in ((a, b), *others)
            for metric in metrics.values()
        ]
        p_values, at_most, least = (
            np.array([getattr(test, name) for test in family], float) for name in ("p_value", "at_most", "least")
        )
        corrected = holm(p_values)
        # Whether it would be smaller if those that resampling keeps up were.
        corrected_at_most = corrected > holm(np.where(at_most == 1, 0, p_values))
        found["tests"] = int(np.count_nonzero(~np.isnan(p_values)))
        for place, (key, metric) in enumerate(metrics.items()):
            interval = _interval(scope, a, b, metric, seed=seed, confidence=confidence, resamples=resamples)
            # What this test would give at best, beside the others as they are.
            possible = holm(np.where(np.arange(len(family)) == place, least, p_values))[place]
            row = {
                "low": _none(interval.low),
                "high": _none(interval.high),
                "test": family[place].test,
                "units": family[place].units,
                "p_value": _none(p_values[place]),
                "p_at_most": family[place].at_most,
                "p_corrected": _none(corrected[place]),
                "p_corrected_at_most": bool(corrected_at_most[place]),
                "least": _none(possible),
                "verdict": _verdict(corrected[place], possible, confidence),
            }
            found[key] |= row if scope == "queries" else {scope: row}
    return found | {"words": _words(found, metrics, a.summary)}


@dataclass(frozen=True)
class _Test:
    test: str
    units: int
    p_value: float
    at_most: bool
    least: float


def _test(scope: str, a: Evaluated, b: Evaluated, metric: ModuleType, *, seed: int, resamples: int) -> _Test:
    ours, theirs = _values(a, metric), _values(b, metric)
    if scope == "queries" and _is_counted(a, metric):
        p_value = mcnemar(ours == 1, theirs == 1).p_value if len(ours) else np.nan
        return _Test("McNemar", len(ours), p_value, False, least_p_value(len(ours)))
    groups = None if scope == "queries" else a.queries["category"].to_numpy(str)
    found = paired_permutation_test(ours, theirs, seed=seed, resamples=resamples, groups=groups)
    name = "paired permutation" if groups is None else "paired permutation of categories"
    return _Test(name, found.units, found.p_value, found.at_most, least_p_value(found.units, resamples))


def _interval(
    scope: str, a: Evaluated, b: Evaluated | None, metric: ModuleType, *, seed: int, confidence: float, resamples: int
) -> Interval:
    """Return the interval of a method's mean, or of the difference of two."""
    values = _values(a, metric) - (0 if b is None else _values(b, metric))
    groups = None if scope == "queries" else a.queries["category"].to_numpy(str)
    # Of values that are all 0 or all 1 a bootstrap is empty, as if they could not be otherwise. Bounded values spread
    # no more than outcomes of the same mean, so the interval of these is no shorter than theirs.
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
    # New categories are no surer than new images of the known ones; NaN, of a single category, stays.
    return Interval(drawn.mean, float(np.minimum(drawn.low, closed.low)), float(np.maximum(drawn.high, closed.high)))


def _is_counted(item: Evaluated, metric: ModuleType) -> bool:
    """Tell whether a query is right or wrong in a metric."""
    return bool(item.queries[metric.COLUMN].dtype == np.bool_)


def _verdict(p_value: float, least: float, confidence: float) -> str | None:
    if math.isnan(p_value):
        return None
    # Rounded, because 1 - 0.95 is a little more than 0.05 and 1 - 0.9 a little less than 0.1.
    level = round(1 - confidence, 12)
    if p_value <= level:
        return "real"
    return "too few" if least > level else "chance"


def _none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _words(found: Mapping[str, Any], metrics: Metrics, summary: Mapping[str, Any]) -> str:
    """Say which of the differences that `compare` found are real, which may be chance, and where data are too few."""
    names = {key: named(key, metric, summary) for key, metric in metrics.items()}
    undefined = [name for key, name in names.items() if found[key]["verdict"] is None]
    defined = {key: metric for key, metric in metrics.items() if found[key]["verdict"] is not None}
    sentences = [
        f"For {SCOPES[scope]}: {'; '.join(_findings(scope, found, defined, names))}." for scope in SCOPES if defined
    ]
    if found["tests"] > 1:
        sentences.append(f"The p-values for each are corrected for {found['tests']} tests (Holm).")
    if undefined:
        sentences.append(f"No query has what {_listed(undefined)} would need: images of its category in the gallery.")
    return " ".join(sentences)


def _findings(scope: str, found: Mapping[str, Any], metrics: Metrics, names: Mapping[str, str]) -> list[str]:
    better: dict[str, list[str]] = {}
    chance: list[str] = []
    few: dict[str, list[str]] = {}
    for key, metric in metrics.items():
        row = found[key] if scope == "queries" else found[key][scope]
        values = {found[side]: written(metric, found[key][side]) for side in ("a", "b")}
        probability = _probability(row, found["confidence"])
        # The values are said once, of new images.
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
    """Say what is too few: the queries or categories, or the resamples if there are enough of these."""
    units = row["units"]
    if found["tests"] * least_p_value(units) <= round(1 - found["confidence"], 12):
        return f"{found['resamples']:,} resamples are"
    if scope == "queries":
        return f"{units} {'query is' if units == 1 else 'queries are'}"
    return f"{units} {'category is' if units == 1 else 'categories are'}"


def _probability(row: Mapping[str, Any], confidence: float) -> str:
    """Return the corrected p-value in words; also that of the test alone, where the correction made the difference."""

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
