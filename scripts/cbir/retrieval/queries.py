"""Find the nearest gallery images of a query, and choose example queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection.categories import names_of, share
from cbir.features.store import FeatureStore
from cbir.files.hashes import sha256_json
from cbir.retrieval.index import Index


@dataclass(frozen=True)
class Neighbour:
    """A result: rank from 1, image and distance (Euclidean, in the feature space)."""

    rank: int
    image_id: str
    label: int
    distance: float


def nearest(
    index: Index, gallery: FeatureStore, vector: np.ndarray, k: int, exclude: str | None = None
) -> list[Neighbour]:
    """Return the k nearest gallery images of a vector.

    Args:
        index: the gallery's index.
        gallery: the gallery, for the image_ids and labels of its rows.
        vector: (d,), the query.
        k: how many; of a smaller gallery all images are returned.
        exclude: an image_id to leave out: the query's own, if it is in the gallery.

    Returns:
        The results, nearest first; ties by gallery row, as in the evaluation.
    """
    count = min(k + (exclude is not None), index.rows)
    (distances,), (rows,) = index.search(vector[None], count)
    # Sorted as pairs, so that ties go by gallery row.
    pairs = sorted(zip(distances, rows, strict=True))
    found = [(distance, row) for distance, row in pairs if gallery.image_id[row] != exclude]
    return [
        Neighbour(rank, str(gallery.image_id[row]), int(gallery.label[row]), float(distance))
        for rank, (distance, row) in enumerate(found[:k], start=1)
    ]


def choose(kind: str, categories: pd.DataFrame, queries: pd.DataFrame) -> str:
    """Choose an example query from an evaluation.

    Args:
        kind: ``best``, the query with the best NMRR of the category with the highest F1; ``middling``, the median query
            of the median category; ``worst``, the query with the worst NMRR of the category with the lowest F1.
        categories: the evaluation's categories.csv, best F1 first.
        queries: the evaluation's queries.csv.

    Returns:
        An image_id.
    """
    share = {"best": 0.0, "middling": 0.5, "worst": 1.0}[kind]
    category = categories["category"].iloc[round(share * (len(categories) - 1))]
    ranked = queries[queries["category"] == category].sort_values(["nmrr", "image_id"])
    return str(ranked["image_id"].iloc[round(share * (len(ranked) - 1))])


def draw(image_ids: NDArray[np.object_], digests: NDArray[np.object_], seed: int, place: int) -> str:
    """Draw an example query from a gallery: the images are ordered by a hash of seed and content, and one is taken.

    Args:
        image_ids: (n,) text.
        digests: (n,) text, the SHA-256 of each image's content.
        seed: of the order.
        place: the position in that order, from 0; after the last image it starts again.

    Returns:
        An image_id.
    """
    order = sorted(range(len(digests)), key=lambda row: sha256_json([seed, str(digests[row])]))
    return str(image_ids[order[place % len(order)]])


def as_data(
    image_id: str,
    category: str,
    method: str,
    found: list[Neighbour],
    categories: list[str],
    probabilities: Sequence[float | None] | None = None,
    novelty: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a query and its results as plain data; ``right`` is null when the query's category is not known.

    Args:
        image_id: the query's.
        category: its category; empty if it is not known.
        method: the method whose features were searched.
        found: the results.
        categories: the name of each label.
        probabilities: for each result, the probability that it is of the query's category; None where it is not known.
        novelty: the query's novelty as plain data, see `cbir.evaluation.calibration`; None where it is not known.
    """
    names = [str(name) or None for name in names_of(np.array([item.label for item in found], np.int64), categories)]
    return {
        "query": image_id,
        "category": category or None,
        "method": method,
        "k": len(found),
        "novelty": None if novelty is None else dict(novelty),
        "neighbours": [
            {
                "rank": item.rank,
                "image_id": item.image_id,
                "category": name,
                "distance": item.distance,
                "probability": probability,
                "right": share(name or "", category) if category else None,
            }
            for item, name, probability in zip(found, names, probabilities or [None] * len(found), strict=True)
        ],
    }
