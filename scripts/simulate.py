"""Simulate a user who judges results by their category, and measure the gain of each round."""

import json
import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection.categories import read_categories
from cbir.features import store
from cbir.features.store import FeatureStore
from cbir.feedback import records
from cbir.feedback.refinement import Refinement
from cbir.feedback.rounds import Search, refine
from cbir.feedback.simulation import choose, judge_by_category, measure
from cbir.feedback.strategies import Weights
from cbir.files.tables import read_csv, write_csv, write_json
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    method, settings = job.wildcards.method, json.loads(job.params.settings)
    weights = Weights(*(settings[name] for name in ("alpha", "beta", "gamma")))
    names = read_categories(job.input.categories)
    searched, test = store.read(job.input.gallery, method), store.read(job.input.asking, method)
    few = searched
    if len(searched.features) > settings["images"]:
        few = searched.rows(np.flatnonzero(choose(list(searched.sha256), settings["images"], settings["seed"])))
        log.info("of %d images a sample of %d is searched", len(searched.features), len(few.features))
    gallery = records.gallery(few, names)
    # If queries are in the gallery, a query is not a result of itself.
    own = int(job.input.gallery == job.input.asking)
    categories = np.array([names[label] for label in test.label])
    # Sorted by F1, the best first.
    evaluated = list(read_csv(job.input.evaluated, ["category", "f1"])["category"])
    worst = evaluated[: -settings["worst_categories"] - 1 : -1]
    # A query with several categories counts for one of them.
    counted = read_csv(job.input.queries, ["image_id", "category"]).set_index("image_id")["category"]
    counted_as = counted.loc[[str(name) for name in test.image_id]].to_numpy(str)
    scopes = {("category", category): _drawn(test, counted_as == category, settings) for category in worst}
    scopes["worst", ""] = np.logical_or.reduce(list(scopes.values()))
    scopes["sample", ""] = _drawn(test, np.ones(len(test.label), np.bool_), settings)
    asked = np.flatnonzero(np.logical_or.reduce(list(scopes.values())))
    # A smaller gallery gives all its images.
    k = min(settings["k"], len(few.features) - own)
    right = {category: np.count_nonzero(gallery.of_category(category)) for category in map(str, np.unique(categories))}
    # A query that is itself in the gallery is not one of its right images.
    gtm = max(
        right[str(category)] - (str(name) in gallery.row_of)
        for name, category in zip(test.image_id, categories, strict=True)
    )
    gains = {}
    for strategy in settings["strategies"]:
        log.info("%s: %d queries, %d rounds", strategy, len(asked), settings["rounds"])
        searches = [
            Search(gallery, test.features[row], k, strategy, weights, str(test.image_id[row]), str(categories[row]))
            for row in asked
        ]
        gains[strategy] = measure(searches, settings["rounds"], gtm)
    common = np.logical_and.reduce([gain.something_left for gain in gains.values()])
    tables = []
    for strategy, gain in gains.items():
        for (scope, category), chosen in scopes.items():
            table = gain.select(chosen[asked]).mean(common[chosen[asked]])
            table.insert(0, "category", category)
            table.insert(0, "scope", scope)
            table.insert(0, "strategy", strategy)
            tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    write_csv(job.output.gain, table)

    # The example: the image with the median rank of its category, because the best one would look too good.
    queries = read_csv(job.input.queries, ["image_id", "category", "nmrr"])
    ranked = queries[queries["category"] == worst[0]].sort_values(["nmrr", "image_id"])
    row = test.row(ranked["image_id"].iloc[len(ranked) // 2])
    query = str(test.image_id[row])
    whole = records.gallery(searched, names)
    search = Search(whole, test.features[row], k, "rocchio", weights, query, worst[0])
    judged = (judge_by_category(search.start()),)
    refinement = Refinement(query, method, k, "rocchio", weights, judged, "The example")
    results = refine(whole, refinement, test.features[row], query, worst[0])
    record = records.record(refinement, query, worst[0], searched, results)
    write_json(job.output.example, record)


def _drawn(test: FeatureStore, some: NDArray[np.bool_], settings: dict[str, Any]) -> NDArray[np.bool_]:
    """Draw at most ``queries`` of some test images, bool (n,)."""
    drawn, rows = np.zeros(len(some), np.bool_), np.flatnonzero(some)
    drawn[rows[choose(list(test.sha256[rows]), settings["queries"], settings["seed"])]] = True
    return drawn


if __name__ == "__main__":
    run(work, snakemake)
