"""Checks of evaluations and comparisons."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cbir.artifacts.found import Found, alike
from cbir.collection.categories import Relevant, share, singles
from cbir.collection.columns import SPLITS
from cbir.evaluation import calibration, comparison
from cbir.evaluation.cut import named
from cbir.evaluation.evaluate import lowest_in
from cbir.evaluation.folds import across
from cbir.evaluation.measure import all_metrics, compared_metrics, is_of_rankings, overall
from cbir.evaluation.ranks import FORM
from cbir.evaluation.relevance import mean_defined
from cbir.evaluation.unseen import unseen_gallery
from cbir.files import memory
from cbir.files.errors import InputError
from cbir.files.tables import read_csv
from cbir.results import (
    FEATURES,
    METHOD_CATEGORIES,
    METHOD_QUERIES,
    METHODS,
    PAIR_TESTS,
    RELEVANCE,
    SPLIT,
    SUMMARY,
    Results,
    read_object,
)
from cbir.retrieval.exact import euclidean


def summary(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the features, and the metrics with the tables beside it."""
    method, figures = names["method"], read_object(path)
    found.count = f"{figures['queries']:,} queries, {figures['gallery']:,} images in the gallery, k = {figures['k']}"
    found.source = {key: value for key, value in figures.items() if key != "features_sha256"}
    found.source |= {f"features of {split}": digest for split, digest in figures["features_sha256"].items()}
    _require_method(figures, path, method, found)
    for split, digest in figures["features_sha256"].items():
        fits = results.store(method, split).about["features_sha256"] == digest
        found.require(
            fits,
            f"{FEATURES.format(method=method, split=split)} (features_sha256)",
            f"{path} was computed from other vectors than {results.path(FEATURES, method=method, split=split)} holds",
        )
    compared = compared_metrics()
    table = _numbers(
        results.table(METHOD_QUERIES, ["correct", *(metric.COLUMN for metric in compared.values())], method=method)
    )
    found.require(
        len(table) == figures["queries"],
        "queries.csv",
        f"{path} and queries.csv beside it are of different numbers of queries",
    )
    _, counts = results.confusion(method)
    for key, metric in all_metrics().items():
        value = _number(figures[key])
        if metric.COLUMN is not None:
            _require_equal(value, _mean(table[metric.COLUMN]), key, path, "queries.csv", found)
        elif not is_of_rankings(metric):
            _require_equal(value, overall(metric, None, counts), key, path, "confusion.csv", found)
        else:
            # No other file has its values for each query, so only its range is checked.
            least, most = metric.RANGE
            found.require(math.isnan(value) or least <= value <= most, "itself", f"{path} says {key} {value:.6g}")
    if "val" in figures["features_sha256"]:
        train, val, test = (results.store(method, split) for split in SPLITS)
        relevant = Relevant(results.categories())
        unseen = unseen_gallery(train, val, test, relevant=relevant)
        found.require(
            alike(figures["unseen_gallery"], unseen),
            f"{FEATURES.format(method=method, split='val')} (unseen_gallery)",
            f"{path} has another unseen_gallery than the vectors of its splits give",
        )


def _require_method(figures: dict[str, Any], path: Path, method: str, found: Found) -> None:
    if figures["method"] != method:
        raise InputError(f"{path} is of the method {figures['method']!r}, not {method!r}: remove it and run again.")


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its columns of metrics as numbers, empty cells as NaN."""
    measured = {metric.COLUMN for metric in compared_metrics().values()} - {"correct"}
    return table.assign(
        **{
            name: pd.to_numeric(table[name])
            for name in table.columns
            if name in {"f1", "precision", "recall", "anmrr", "delta", "f1_a", "f1_b", *measured}
        }
    )


def _mean(values: pd.Series) -> float:
    return mean_defined(values.to_numpy(np.float64))


def _require_equal(value: Any, expected: float, what: str, path: Path, where: str, found: Found) -> None:
    """Require two values to be equal up to rounding; two undefined ones count as equal."""
    value = math.nan if value is None else float(value)
    same = math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(value) and math.isnan(expected))
    found.require(same, f"{where}", f"{path} says {what} {value:.6g}, which is {expected:.6g} by {where}")


def _categories(results: Results, method: str) -> pd.DataFrame:
    return _numbers(
        results.table(METHOD_CATEGORIES, ["category", "precision", "recall", "f1", "support", "anmrr"], method=method)
    )


def categories(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the queries, category by category."""
    table = _categories(results, names["method"])
    found.count = f"{len(table)} categories, {table['support'].sum():,} queries"
    found.rows = table
    found.require_known(table["category"], singles(results.categories()), path, "categories.json")
    found.require(table["f1"].is_monotonic_decreasing, "its order", f"{path} is not sorted by F1")
    queries = _numbers(results.table(METHOD_QUERIES, ["category", "predicted", "nmrr"], method=names["method"]))
    for row in table.itertuples(index=False):
        own = queries[queries["category"] == row.category]
        _require_equal(row.support, len(own), f"support of {row.category!r}", path, "queries.csv", found)
        _require_equal(row.anmrr, _mean(own["nmrr"]), f"ANMRR of {row.category!r}", path, "queries.csv", found)
        hits = (own["predicted"] == row.category).sum()
        recall = hits / max(len(own), 1)
        _require_equal(row.recall, recall, f"recall of {row.category!r}", path, "queries.csv", found)


def queries(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the test images, in their order."""
    measured = [metric.COLUMN for metric in compared_metrics().values()]
    table = _numbers(read_csv(path, ["image_id", "category", "predicted", "correct", *measured]))
    found.count = f"{len(table):,} queries, {table['correct'].sum():,} of them right"
    found.rows = table
    found.require_known(table["predicted"], singles(results.categories()), path, "categories.json")
    test = results.split("test")
    found.require(
        list(table["image_id"]) == list(test["image_id"])
        and all(map(share, table["category"].astype(str), test["category"])),
        SPLIT.format(split="test"),
        f"{path} does not hold the images of {results.path(SPLIT, split='test')} in their order",
    )
    found.require(
        list(table["correct"]) == list(table["category"] == table["predicted"]),
        "itself",
        f"{path} has a prediction as correct that is wrong, or as wrong that is correct",
    )


def neighbours(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the images with the splits, and each distance with the vectors."""
    table = read_csv(path, ["query", "rank", "image_id", "distance"])
    found.count = f"{table['query'].nunique():,} queries, {table['rank'].max()} neighbours each at most"
    found.rows = table
    searched = results.gallery
    found.require_known(table["query"], results.split("test")["image_id"], path, SPLIT.format(split="test"))
    found.require_known(table["image_id"], results.split(searched)["image_id"], path, SPLIT.format(split=searched))
    found.require((table["query"] != table["image_id"]).all(), "itself", f"{path} has a query that finds itself")
    test, gallery = (results.store(names["method"], split) for split in ("test", searched))
    places = {image_id: row for row, image_id in enumerate(gallery.image_id)}
    for query, group in table.groupby("query", sort=False):
        rows = [places[image_id] for image_id in group["image_id"]]
        exact = euclidean(test.features[test.row(str(query))], gallery.features[rows])
        ordered = list(group["rank"]) == list(range(1, len(group) + 1)) and bool(np.all(np.diff(exact) >= -1e-9))
        if not ordered or not np.allclose(group["distance"], exact, rtol=1e-9, atol=1e-9):
            raise InputError(
                f"{path} has other ranks or distances for {query!r} than the vectors of "
                f"{results.path(FEATURES, method=names['method'], split=searched)} give: remove it and run again."
            )
    found.fits.append(f"features/{names['method']} (every distance)")


def ranks(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count the ranks. The next evaluation uses those that are still valid, or none of a damaged file."""
    _, arrays = memory.read(path, FORM)
    found.count = f"{len(arrays['ranks']):,} ranks of {len(arrays['queries']):,} queries"


def confusion(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare every count with the queries."""
    table = read_csv(path, ["category"])
    counts = table.iloc[:, 1:]
    found.count = f"{len(table)} categories, {int(counts.to_numpy().sum()):,} queries"
    found.rows = table
    order = singles(results.categories())
    # A category may itself be called "category"; pandas then numbers the second one.
    found.require(
        list(table.iloc[:, 0]) == order and counts.shape[1] == len(order),
        "categories.json",
        f"{path} has other categories than categories.json",
    )
    queries = results.table(METHOD_QUERIES, ["category", "predicted"], method=names["method"])
    place = {name: number for number, name in enumerate(order)}
    expected = np.zeros(counts.shape, np.int64)
    np.add.at(expected, (queries["category"].map(place).to_numpy(), queries["predicted"].map(place).to_numpy()), 1)
    found.require(
        np.array_equal(expected, counts.to_numpy()),
        "queries.csv",
        f"{path} has other counts than queries.csv beside it",
    )


def calibrated(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Calibrate again from the features of the splits, and compare."""
    data = read_object(path)
    calibration.from_data(data, str(path))
    found.count = f"{data['probability']['val_queries']:,} val queries, {data['results']} results of each"
    found.rows = pd.DataFrame(data["probability"].get("reliability", {}).get("bins", []))
    found.source = {f"features of {split}": digest for split, digest in data["features_sha256"].items()}
    _require_method(data, path, names["method"], found)
    train, val, test = (results.store(names["method"], split) for split in SPLITS)
    again = calibration.calibrate(train, val, test, relevant=Relevant(results.categories()))
    found.require(
        alike(data, again),
        f"features/{names['method']} (every figure)",
        f"{path} has other values than the vectors of its splits give",
    )


def worst(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the categories and the splits."""
    data = read_object(path)
    found.count = f"{len(data['images'])} images of {data['category']!r}, {data['retrieved']} results each"
    found.rows = pd.DataFrame(
        [
            {"image_id": item["image_id"], "nmrr_at_k": item["nmrr_at_k"], "nearest": item["retrieved"][0]}
            for item in data["images"]
        ]
    )
    last = _categories(results, names["method"]).iloc[-1]
    found.require(
        data["category"] == last["category"],
        "categories.csv",
        f"{path} is about {data['category']!r}, but {last['category']!r} has the lowest F1",
    )
    for figure in ("precision", "recall", "f1"):
        _require_equal(_number(data[figure]), last[figure], figure, path, "categories.csv", found)
    mean = float(np.mean([_number(item["nmrr_at_k"]) for item in data["images"]]))
    _require_equal(_number(data["anmrr_at_retrieved"]), mean, "anmrr_at_retrieved", path, "its images", found)
    queries = results.table(METHOD_QUERIES, ["category", "predicted"], method=names["method"])
    wrong = queries[(queries["category"] == data["category"]) & (queries["predicted"] != data["category"])]
    counts = dict(wrong["predicted"].value_counts())
    found.require(
        {item["category"]: item["count"] for item in data["taken_for"]} == counts,
        "queries.csv",
        f"{path} counts other predictions than queries.csv beside it",
    )
    _, confusion = results.confusion(names["method"])
    again = lowest_in(confusion, singles(results.categories()), data["seed"])
    found.require(
        alike(data["lowest_in"], again), "confusion.csv", f"{path} names other categories that may have the lowest F1"
    )
    found.require_known(
        [item["image_id"] for item in data["images"]],
        results.split("test")["image_id"],
        path,
        SPLIT.format(split="test"),
    )
    shown = [image_id for item in data["images"] for image_id in item["retrieved"]]
    most = min(data["retrieved"], len(results.split(results.gallery)))
    lengths = {len(item["retrieved"]) for item in data["images"]}
    # Rankings are shorter where images are left out of them.
    shorter = results.gallery == "test" or results.path(RELEVANCE).is_file()
    found.require(
        lengths == {most} or (shorter and len(lengths) == 1 and 0 < min(lengths) < most),
        "itself",
        f"{path} does not list {data['retrieved']!r} results of each image",
    )
    found.require_known(shown, results.split(results.gallery)["image_id"], path, SPLIT.format(split=results.gallery))


def methods(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare each method's metrics with its summary."""
    table = read_csv(path, ["method", *compared_metrics()])
    found.count = f"{len(table)} methods"
    found.rows = table
    for row in table.to_dict("records"):
        name = SUMMARY.format(method=row["method"])
        figures = results.json(name)
        for key, value in row.items():
            if key in figures and isinstance(figures[key], int | float | None):
                _require_equal(value if value != "" else None, _number(figures[key]), str(key), path, name, found)


def cmc(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the value at k with the summary."""
    table = read_csv(path, ["rank", "cmc"])
    found.count = f"{len(table)} ranks"
    found.rows = table
    values = pd.to_numeric(table["cmc"]).to_numpy(np.float64)
    defined = values[~np.isnan(values)]
    found.require(
        list(table["rank"]) == list(range(1, len(table) + 1))
        and bool(np.all(np.diff(defined) >= 0) and np.all((defined >= 0) & (defined <= 1))),
        "itself",
        f"{path} does not rise from rank 1 on, or leaves 0 to 1",
    )
    figures = results.json(SUMMARY, method=names["method"])
    if 0 < figures["k"] <= len(values):
        name = SUMMARY.format(method=names["method"])
        _require_equal(_number(figures["hit_at_k"]), values[figures["k"] - 1], "hit_at_k", path, name, found)


def folds(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare each fold with the queries, and the means and intervals of the summary with the folds."""
    table = read_csv(path, ["fold", "queries"])
    found.count = f"{len(table)} folds, {table['queries'].sum():,} queries"
    found.rows = table
    test = results.table(SPLIT, ["image_id", "fold"], split="test")
    columns = {key: metric.COLUMN for key, metric in compared_metrics().items()}
    queries = _numbers(
        results.table(METHOD_QUERIES, ["image_id", "correct", *columns.values()], method=names["method"])
    )
    of = dict(zip(test["image_id"], test["fold"], strict=True))
    for row in table.to_dict("records"):
        own = queries[queries["image_id"].map(of) == row["fold"]]
        _require_equal(row["queries"], len(own), f"queries of fold {row['fold']}", path, "splits/test.csv", found)
        for key, column in columns.items():
            _require_equal(row[key], _mean(own[column]), f"{key} of fold {row['fold']}", path, "queries.csv", found)
    means = results.json(SUMMARY, method=names["method"])["folds"]
    found.require(
        alike(means, across(table, means["confidence"])),
        SUMMARY.format(method=names["method"]),
        f"summary.json beside {path} has other means or intervals than its folds give",
    )


def _number(value: float | None) -> float:
    """Return a number of a JSON file, None as NaN; a text raises TypeError."""
    return math.nan if value is None else value + 0.0


def method_categories(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare each F1 with the method's own table."""
    table = read_csv(path, ["category", "support"])
    found.count = f"{len(table)} categories, {table.shape[1] - 2} methods"
    found.rows = table
    for column in table.columns[2:]:
        _require_f1(results, table["category"], table[column], column.removeprefix("f1_"), path, found)


def _require_f1(results: Results, names: pd.Series, values: pd.Series, method: str, path: Path, found: Found) -> None:
    own = _categories(results, method).set_index("category")["f1"]
    where = METHOD_CATEGORIES.format(method=method)
    found.require_known(names, own.index, path, where)
    for name, value in zip(names, values, strict=True):
        _require_equal(value, float(own[name]), f"F1 of {name!r}", path, where, found)


def best_worst(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare each F1 with the method's own table."""
    table = read_csv(path, ["method", "place", "rank", "category", "f1"])
    found.count = f"{table['method'].nunique()} methods, {len(table)} rows"
    found.rows = table
    for method, group in table.groupby("method"):
        _require_f1(results, group["category"], group["f1"], str(method), path, found)


def pair_table(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare each F1 with the methods' own tables, and each difference with the two F1."""
    table = _numbers(read_csv(path, ["category", "f1_a", "f1_b", "delta"]))
    a, b = _methods(names)
    better, worse = (table["delta"] > 0).sum(), (table["delta"] < 0).sum()
    found.count = f"{len(table)} categories; {better} better with {a}, {worse} with {b}"
    found.rows = table
    for side, method in (("f1_a", a), ("f1_b", b)):
        _require_f1(results, table["category"], table[side], method, path, found)
    found.require(
        np.allclose(table["f1_a"] - table["f1_b"], table["delta"], rtol=0, atol=1e-12),
        "itself",
        f"{path} has a delta that is not f1_a - f1_b",
    )
    found.require(table["delta"].is_monotonic_decreasing, "its order", f"{path} is not sorted by delta")


MAX_RESAMPLES = 1_000_000
"""As in the configuration's schema."""


def _methods(names: dict[str, str]) -> tuple[str, str]:
    """Return the two methods of a pair."""
    a, _, b = names["pair"].rpartition("_vs_")
    return a, b


def pair(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare each method's metrics with its summary, run the tests again, and compare their findings."""
    data = read_object(path)
    found.count = f"{data['queries']:,} queries in {data['categories']:,} categories, {data['tests']:,} tests"
    found.source = {"settings": f"{100 * data['confidence']:g} % confidence, {data['resamples']:,} resamples, seed "
                    f"{data['seed']}", "in words": data["words"]}  # fmt: skip
    a, b = _methods(names)
    figures = results.json(SUMMARY, method=a)
    found.rows = pd.DataFrame(
        [
            {
                "figure": named(key, metric, figures),
                a: row["a"],
                b: row["b"],
                "p": row["p_corrected"],
                "new images": row["verdict"],
                "p ": row["categories"]["p_corrected"],
                "new categories": row["categories"]["verdict"],
            }
            for key, metric in compared_metrics().items()
            for row in (data[key],)
        ]
    )
    for side, method in (("a", a), ("b", b)):
        if data[side] != method:
            raise InputError(f"{path} is of the method {data[side]!r}, not {method!r}: remove it and run again.")
        name = SUMMARY.format(method=method)
        for key in compared_metrics():
            value, expected = _number(data[key][side]), _number(results.json(name)[key])
            _require_equal(value, expected, f"{key} of {data[side]}", path, name, found)
    found.require(data["resamples"] <= MAX_RESAMPLES, "itself", f"{path} says {data['resamples']!r} resamples")
    settings = {name: data[name] for name in ("confidence", "resamples", "seed")}
    tests = comparison.read_tests(str(results.path(PAIR_TESTS)))
    again = comparison.compare(_evaluated(results, a), _evaluated(results, b), tests, **settings)
    for key in ("queries", "categories", "tests", *compared_metrics(), "words"):
        found.require(
            alike(data[key], again[key]),
            f"queries.csv of both methods and {PAIR_TESTS}",
            f"{path} has another value of {key} than the comparison of these methods gives",
        )


def pair_tests(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Run the tests of all pairs again, and compare the findings."""
    table = comparison.read_tests(str(path))
    found.count = f"{len(table)} tests"
    found.rows = table
    # In the order of the methods in the table of the figures.
    methods = [str(method) for method in read_csv(results.path(METHODS), ["method"])["method"]]
    known = [of["method"] for _, of in results.find(SUMMARY)]
    found.require_known(methods, known, results.path(METHODS), "evaluation")
    evaluated = [_evaluated(results, method) for method in methods]
    comparison.require_same_queries(evaluated)
    settings = {name: results.setting("comparison", name) for name in ("confidence", "resamples", "seed")}
    found.require(settings["resamples"] <= MAX_RESAMPLES, "itself", f"{path} says {settings['resamples']!r} resamples")
    again = comparison.pair_tests(evaluated, **settings)
    # NaN marks what is not defined.
    columns = [frame.astype(object).where(frame.notna(), None).to_dict("list") for frame in (table, again)]
    found.require(
        alike(*columns),
        "queries.csv of all methods",
        f"{path} has other findings than the tests of these methods give",
    )


def _evaluated(results: Results, method: str) -> comparison.Evaluated:
    files = (SUMMARY, METHOD_CATEGORIES, METHOD_QUERIES)
    return comparison.read(method, *(str(results.path(file, method=method)) for file in files))
