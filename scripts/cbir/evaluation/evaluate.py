"""Evaluate a method: test images as queries against the gallery of train images."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cbir.evaluation import measure
from cbir.evaluation.classification import confusion, precision_recall_f1
from cbir.evaluation.lowest import LEAST_SHARE, RESAMPLES, lowest_f1_shares
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.evaluation.unseen import unseen_gallery
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.progress import Progress
from cbir.retrieval import exact
from cbir.retrieval.index import Index
from cbir.retrieval.voting import majority_vote

log = logging.getLogger("cbir")

# The index is compared with the exact search for at most so many queries, and for so many gallery images in total.
# Comparing all queries would take longer than the whole evaluation.
_CHECKED_QUERIES = 100
_CHECKED_IMAGES = 1_000_000


@dataclass(frozen=True)
class Evaluation:
    """The tables of an evaluation; see `evaluate`."""

    summary: dict[str, Any]
    categories: pd.DataFrame
    queries: pd.DataFrame
    neighbours: pd.DataFrame
    confusion: pd.DataFrame
    worst: dict[str, Any]


def evaluate(
    gallery: FeatureStore,
    queries: FeatureStore,
    categories: list[str],
    index: Index | None,
    *,
    k: int,
    neighbours: int,
    worst_images: int,
    worst_retrieved: int,
    seed: int,
    block_bytes: int = exact.BLOCK_BYTES,
    val: FeatureStore | None = None,
) -> Evaluation:
    """Rank the gallery for every query and measure the rankings and the k-nearest-neighbour classification.

    Args:
        gallery: the method's train features.
        queries: its test features.
        categories: the name of each label.
        index: the gallery's, which must agree with the exact search on a sample of the queries; None for an approximate
            one, which may miss some of the nearest. The rankings are exact either way.
        k: neighbours that vote, and results that the metrics "at k" look at.
        neighbours: how many neighbours of each query are listed.
        worst_images: test images of the worst category looked at closely (the seed chooses which).
        worst_retrieved: results retrieved for each of them.
        seed: for that choice, and for the resamples that tell which categories may have the lowest F1.
        block_bytes: memory for a block of rankings.
        val: the method's validation features, to which the queries are compared as to a gallery not trained on; None
            leaves that out.

    Returns:
        ``summary``, with every metric by its key, and with ``val`` ``unseen_gallery`` (see
        `cbir.evaluation.unseen.unseen_gallery`); ``categories``, best F1 first; ``queries``, one row each;
        ``neighbours``, rank from 1; ``confusion``, rows true, columns predicted; ``worst``, the category with the
        lowest F1.

    Raises:
        InputError: when the gallery is empty, there is no query, a label has no category, or the index disagrees.
    """
    if not len(gallery.features) or not len(queries.features):
        raise InputError("There are no train or no test images to evaluate: change the split.")
    labels = np.concatenate([gallery.label, queries.label])
    if labels.min() < 0 or labels.max() >= len(categories):
        raise InputError(
            "The feature stores have labels that are no category's: remove results/features and run again."
        )
    listed = min(max(neighbours, k, worst_retrieved), len(gallery.features))
    per_query = pd.DataFrame({"image_id": queries.image_id, "category": [categories[label] for label in queries.label]})
    gtm = int(max(np.count_nonzero(gallery.label == label) for label in np.unique(queries.label)))
    found = np.empty((len(queries.features), listed))
    places = np.empty((len(queries.features), listed), np.int64)
    metrics = measure.all_metrics()
    values = {key: np.empty(len(queries.features)) for key, metric in metrics.items() if measure.is_of_rankings(metric)}
    progress = Progress("queries ranked", len(queries.features))
    for rows, order in exact.rankings(queries.features, gallery.features, block_bytes):
        relevance = gallery.label[order] == queries.label[rows, None]
        for key, of_queries in values.items():
            of_queries[rows] = measure.per_query(metrics[key], relevance, k=k, gtm=gtm)
        places[rows] = order[:, :listed]
        for row in range(rows.start, rows.stop):
            found[row] = exact.euclidean(queries.features[row], gallery.features[places[row]])
        progress.advance(len(order))
    if index is not None:
        _require_agreement(index, queries, found, seed)

    predicted = majority_vote(gallery.label[places[:, :k]])
    correct = predicted == queries.label
    per_query["predicted"] = [categories[label] for label in predicted]
    per_query["correct"] = correct
    for key, of_queries in values.items():
        if metrics[key].COLUMN is not None:
            per_query[metrics[key].COLUMN] = of_queries
    counts = confusion(queries.label, predicted, len(categories))
    table = _categories(categories, counts, queries.label, values["anmrr"])
    worst_category = str(table["category"].iloc[-1])
    summary: dict[str, Any] = {
        "method": gallery.about.get("method"),
        "k": k,
        "queries": len(correct),
        **{key: measure.overall(metric, values.get(key), counts) for key, metric in metrics.items()},
        "worst_category": worst_category,
        "gallery": len(gallery.features),
        "features_sha256": {
            "train": gallery.about.get("features_sha256"),
            "test": queries.about.get("features_sha256"),
        },
    }
    if val is not None:
        summary["unseen_gallery"] = unseen_gallery(gallery, val, queries, block_bytes)
        summary["features_sha256"]["val"] = val.about.get("features_sha256")
    return Evaluation(
        summary=summary,
        categories=table,
        queries=per_query,
        neighbours=_neighbours(gallery, queries, found, places, neighbours),
        confusion=_confusion(categories, counts),
        worst=_worst(
            worst_category, table, per_query, gallery, queries, places, categories, worst_images, worst_retrieved, seed
        )
        | {"resamples": RESAMPLES, "seed": seed, "lowest_in": lowest_in(counts, categories, seed)},
    )


def lowest_in(counts: np.ndarray, categories: list[str], seed: int) -> list[dict[str, Any]]:
    """Return the categories that have the lowest F1 in `LEAST_SHARE` of `RESAMPLES` and more, the most often one first.

    Args:
        counts: int64 (categories, categories), rows true, columns predicted.
        categories: their names.
        seed: of the resamples.

    Returns:
        For each ``category`` and the ``share`` of resamples.
    """
    shares = lowest_f1_shares(counts, seed=seed)
    found = [(float(share), name) for share, name in zip(shares, categories, strict=True) if share >= LEAST_SHARE]
    return [{"category": name, "share": share} for share, name in sorted(found, key=lambda item: (-item[0], item[1]))]


def _require_agreement(index: Index, queries: FeatureStore, found: np.ndarray, seed: int) -> None:
    count = min(_CHECKED_QUERIES, len(found), max(1, _CHECKED_IMAGES // index.rows))
    rows = np.random.default_rng(seed).choice(len(found), count, replace=False)
    distances, _ = index.search(queries.features[rows], found.shape[1])
    if not np.allclose(distances, found[rows], rtol=1e-9, atol=1e-9):
        raise InputError(
            f"The {index.label} gives other neighbours than the exact search: remove results/index and run again."
        )
    log.info("%s and exact search agree on the %d nearest of %d queries", index.label, found.shape[1], count)


def _categories(categories: list[str], counts: np.ndarray, truth: np.ndarray, nmrr: np.ndarray) -> pd.DataFrame:
    labels = np.unique(truth)
    precision, recall, f1 = (values[labels] for values in precision_recall_f1(counts))
    table = pd.DataFrame(
        {
            "category": [categories[label] for label in labels],
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": counts.sum(axis=1)[labels],
            "anmrr": [mean_defined(nmrr[truth == label]) for label in labels],
        }
    )
    return table.sort_values(["f1", "anmrr", "category"], ascending=[False, True, True], ignore_index=True)


def _confusion(categories: list[str], counts: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(counts, columns=categories)
    # A category may itself be called "category".
    table.insert(0, "category", categories, allow_duplicates=True)
    return table


def _neighbours(
    gallery: FeatureStore, queries: FeatureStore, found: np.ndarray, places: np.ndarray, count: int
) -> pd.DataFrame:
    count = min(count, found.shape[1])
    return pd.DataFrame(
        {
            "query": np.repeat(queries.image_id, count),
            "rank": np.tile(np.arange(1, count + 1), len(found)),
            "image_id": gallery.image_id[places[:, :count].ravel()],
            "distance": found[:, :count].ravel(),
        }
    )


def _worst(
    category: str,
    table: pd.DataFrame,
    per_query: pd.DataFrame,
    gallery: FeatureStore,
    queries: FeatureStore,
    places: np.ndarray,
    categories: list[str],
    images: int,
    retrieved: int,
    seed: int,
) -> dict[str, Any]:
    """Look into one category as the study did: some of its test images, a few results each, what it is taken for."""
    rows = np.flatnonzero(per_query["category"] == category)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, min(images, len(rows)), replace=False))
    relevance = gallery.label[places[chosen, :retrieved]] == queries.label[chosen, None]
    values = REGISTRY["nmrr-at-k"].per_query(relevance, k=retrieved)
    wrong = per_query.loc[rows[per_query["predicted"].iloc[rows] != category], "predicted"].value_counts()
    strangers = pd.Series(
        [categories[label] for label in gallery.label[places[chosen, :retrieved]][~relevance]]
    ).value_counts()
    figures = table[table["category"] == category].iloc[0]
    return {
        "category": category,
        "precision": float(figures["precision"]),
        "recall": float(figures["recall"]),
        "f1": float(figures["f1"]),
        "retrieved": retrieved,
        "anmrr_at_retrieved": float(values.mean()),
        "images": [
            {
                "image_id": str(queries.image_id[row]),
                "nmrr_at_k": float(value),
                "retrieved": [str(gallery.image_id[place]) for place in places[row, :retrieved]],
            }
            for row, value in zip(chosen, values, strict=True)
        ],
        "taken_for": _counted(wrong),
        "retrieved_instead": _counted(strangers),
    }


def _counted(counts: pd.Series) -> list[dict[str, Any]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"category": str(name), "count": int(count)} for name, count in ordered]
