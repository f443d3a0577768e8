"""Checks of answered queries and of relevance feedback."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cbir.artifacts.found import Found, alike
from cbir.collection.categories import share, singles
from cbir.collection.columns import SPLITS
from cbir.evaluation import calibration
from cbir.features.store import FeatureStore
from cbir.feedback import records
from cbir.files.errors import InputError
from cbir.files.hdf5 import attributes, dataset, opened
from cbir.files.tables import read_csv
from cbir.results import CALIBRATION, FEATURES, METHOD_CATEGORIES, SPLIT, Results, read_object
from cbir.retrieval import exact
from cbir.retrieval import queries as querying


def query(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the images with the collection, and each distance with the vectors."""
    data = read_object(path)
    found.count = f"{len(data['neighbours'])} neighbours"
    found.source = {"query": data["query"], "category": data["category"], "method": data["method"]}
    found.rows = pd.DataFrame(data["neighbours"])
    if data["method"] != names["method"]:
        raise InputError(
            f"{path} is of the method {data['method']!r}, not {names['method']!r}: remove it and run again."
        )
    gallery = results.store(names["method"], results.gallery)
    shown = [item["image_id"] for item in data["neighbours"]]
    found.require_known(shown, gallery.image_id, path, SPLIT.format(split=results.gallery))
    inside = data["query"] in set(results.images["image_id"])
    vector = _vector(results, names["method"], data["query"], inside)
    measured = exact.euclidean(vector, gallery.features[[gallery.row(image_id) for image_id in shown]])
    stated = [item["distance"] for item in data["neighbours"]]
    again = [
        querying.Neighbour(rank, image_id, int(gallery.label[gallery.row(image_id)]), distance)
        for rank, (image_id, distance) in enumerate(zip(shown, stated, strict=True), 1)
    ]
    category = data["category"] or ""
    if data != querying.as_data(
        *(data["query"], category, names["method"], again, results.categories()),
        *([item["probability"] for item in data["neighbours"]], data["novelty"]),
    ):
        raise InputError(f"{path} has ranks or categories that are not those of its images: remove it and run again.")
    _require_sureness(results, names["method"], path, data, vector, gallery, found)
    fits = np.allclose(stated, measured, rtol=1e-9, atol=1e-9) and bool(np.all(np.diff(measured) >= -1e-9))
    found.require(
        fits,
        f"features/{names['method']} (every distance)",
        f"{path} has other distances than the vectors of "
        f"{results.path(FEATURES, method=names['method'], split=results.gallery)} give",
    )


def _require_sureness(
    results: Results, method: str, path: Path, data: dict[str, Any], vector: np.ndarray, gallery: FeatureStore,
    found: Found,
) -> None:  # fmt: skip
    """Compare the probabilities of the results, and whether the query is new, with the calibration of the method."""
    learned = calibration.read(results, method) or calibration.UNKNOWN
    others = gallery.features[gallery.image_id != data["query"]]
    distances, _ = exact.nearest(vector[None], others, max(learned.neighbours, 1))
    again = learned.novelty(distances[0])
    stated = [item["distance"] for item in data["neighbours"]]
    found.require(
        alike([item["probability"] for item in data["neighbours"]], learned.plain_probabilities(np.array(stated)))
        and alike(data["novelty"], None if again is None else asdict(again)),
        CALIBRATION.format(method=method),
        f"{path} has another probability or novelty than {results.path(CALIBRATION, method=method)} gives",
    )


def _vector(results: Results, method: str, image: str, inside: bool) -> np.ndarray:
    """Return the query's features from the feature store that contains them."""
    for _, names in results.find(FEATURES, method=method):
        if (names["split"] in SPLITS) == inside:
            held = results.store(method, names["split"])
            if image in held.image_id:
                vector: np.ndarray = held.features[held.row(image)]
                return vector
    raise InputError(f"The query {image!r} is in no feature store of the method {method!r}: run again.")


def rounds(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the gallery's features and images."""
    data = read_object(path)
    asked = data["refinement"]
    found.count = f"{len(data['rounds']) - 1} judged rounds, {asked['k']} results each"
    found.source = {
        "query": data["query"],
        "category": data["category"],
        "method": asked["method"],
        "strategy": "{strategy}, alpha {alpha}, beta {beta}, gamma {gamma}".format(**asked),
        "features_sha256": data["features_sha256"],
    }
    found.rows = pd.DataFrame(
        [
            {
                "round": item["round"],
                "precision_at_k": item["precision_at_k"],
                "judged relevant": item["judged_relevant"],
                "irrelevant": item["judged_irrelevant"],
                "first result": item["results"][0]["image_id"],
            }
            for item in data["rounds"]
        ]
    )
    gallery = _require_gallery(results, asked["method"], data["features_sha256"], path, found)
    shown = {item["image_id"] for round in data["rounds"] for item in round["results"]}
    found.require_known(shown, gallery.image_id, path, SPLIT.format(split=results.gallery))
    _require_rounds(data, dict(zip(gallery.image_id, gallery.label, strict=True)), results.categories(), path)


def _require_rounds(data: dict[str, Any], labels: dict[str, int], categories: list[str], path: Path) -> None:
    """Recompute everything that follows from the images and flags of each round, and compare it with the record."""
    category = data["category"]
    judged: dict[str, str] = {}
    for number, round in enumerate(data["rounds"]):
        shown = [item["image_id"] for item in round["results"]]
        right = [None if category is None else share(categories[labels[image_id]], category) for image_id in shown]
        again = {
            "round": number,
            "precision_at_k": None if category is None else sum(map(bool, right)) / data["refinement"]["k"],
            "judged_relevant": list(judged.values()).count("relevant"),
            "judged_irrelevant": list(judged.values()).count("irrelevant"),
            "results": [
                item | {"position": position, "of_category": right[position], "judged": judged.get(item["image_id"])}
                for position, item in enumerate(round["results"])
            ],
        }
        judged |= records.flags(round)
        numbers = [item[key] for item in round["results"] for key in ("distance", "score")]
        if (residual := round["residual_precision_at_k"]) is not None or category is not None:
            numbers.append(residual)
        if round != round | again or not np.isfinite(numbers).all() or not judged.keys() <= labels.keys():
            raise InputError(
                f"{path} has a round {number} that does not follow from its images and flags: remove it and run again."
            )


def _require_gallery(results: Results, method: str, digest: Any, path: Path, found: Found) -> FeatureStore:
    gallery = results.store(method, results.gallery)
    found.require(
        gallery.about["features_sha256"] == digest,
        f"{FEATURES.format(method=method, split=results.gallery)} (features_sha256)",
        f"{path} was made with other vectors than {results.path(FEATURES, method=method, split=results.gallery)} holds",
    )
    return gallery


def round_table(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with rounds.json beside it, row by row."""
    table = read_csv(path, ["round", "position", "image_id", "distance", "score"])
    found.count = f"{table['round'].nunique()} rounds, {len(table):,} rows"
    found.rows = table
    record = records.table(read_object(path.with_name("rounds.json")))
    same = len(table) == len(record) and list(table["image_id"]) == list(record["image_id"])
    same = same and np.allclose(table["distance"], record["distance"], rtol=1e-12, atol=0)
    found.require(same, "rounds.json", f"{path} has other results than rounds.json beside it")


_ABOUT = ("method", "query", "features_sha256")


def vectors(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with rounds.json beside it, and with the gallery."""
    try:
        with opened(path) as file:
            held = dataset(file, "vectors", np.float64, 2)[:]
            about = {name: str(value) for name, value in attributes(file, _ABOUT).items()}
    # h5py raises many types of exception on damaged files.
    except Exception as error:
        raise InputError(f"{path} is damaged ({error}): remove it and run again.") from error
    found.count = f"{held.shape[0]} vectors of {held.shape[1]} values"
    found.source = about
    first = pd.DataFrame(held[:, :3], columns=[f"value {place}" for place in range(min(3, held.shape[1]))])
    first.insert(0, "round", range(len(first)))
    found.rows = first
    gallery = _require_gallery(results, about["method"], about["features_sha256"], path, found)
    record = read_object(path.with_name("rounds.json"))
    found.require(
        held.shape == (len(record["rounds"]), gallery.features.shape[1]) and record["query"] == about["query"],
        "rounds.json",
        f"{path} is of another query or other rounds than rounds.json beside it",
    )


def gain(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the categories with the collection, and the numbers of queries with the evaluation."""
    columns = ["strategy", "scope", "category", "round", "queries", "common_queries", "precision_at_k"]
    table = read_csv(path, columns)
    found.count = f"{table['strategy'].nunique()} strategies, {table['round'].max()} rounds, {len(table):,} rows"
    found.rows = table
    found.require(
        (table["common_queries"] <= table["queries"]).all(), "itself", f"{path} has more common queries than queries"
    )
    of_category = table[table["scope"] == "category"]
    found.require_known(of_category["category"], singles(results.categories()), path, "categories.json")
    support = results.table(METHOD_CATEGORIES, ["category", "support"], method=names["simulated"])
    queries = dict(zip(support["category"], support["support"], strict=True))
    # At most as many are drawn of each category as of all test images.
    most = table.loc[table["scope"] == "sample", "queries"].max()
    same = all(min(queries.get(row.category, 0), most) == row.queries for row in of_category.itertuples(index=False))
    found.require(
        same,
        METHOD_CATEGORIES.format(method=names["simulated"]),
        f"{path} has other numbers of queries than the evaluation of the method",
    )
