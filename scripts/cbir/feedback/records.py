"""Turn the rounds of a refinement into plain data and tables, and write its query vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from cbir.collection.categories import names_of
from cbir.features.store import FeatureStore
from cbir.feedback.refinement import Refinement, Round, as_json
from cbir.feedback.rounds import Gallery, RoundResult
from cbir.files.atomic import HDF5_OVERHEAD, atomic
from cbir.files.hdf5 import write_attributes
from cbir.retrieval.index import Index

SHOWN_RESULTS = 10
"""How many results of a round pictures show; a refinement may have a thousand."""
SHOWN_ROUNDS = 11
"""How many rankings pictures show, including that of the plain query."""

_RESIDUAL = ("residual_precision_at_k", "residual_precision_at_k_plain", "residual_anmrr", "residual_anmrr_plain")
GAIN_COLUMNS = [
    *("strategy", "scope", "category", "round", "queries", "judged", "precision_at_k", "residual_queries"),
    *(*_RESIDUAL, "common_queries", *(f"common_{name}" for name in _RESIDUAL)),
]
"""Columns of the table of the simulated user's gain, see `cbir.feedback.simulation.Gain.mean`."""


def gallery(store: FeatureStore, categories: Sequence[str], index: Index | None = None) -> Gallery:
    """Return a method's train features as the gallery of a search; ``categories`` holds the name of each label."""
    return Gallery(store.features, [str(name) for name in store.image_id], names_of(store.label, categories), index)


def record(
    refinement: Refinement, query: str, category: str | None, gallery: FeatureStore, results: Sequence[RoundResult]
) -> dict[str, Any]:
    """Return a refinement and its rounds as plain data.

    Args:
        refinement: the refinement.
        query: the query's image_id, or the path of its file.
        category: the query's category; None if it is not known.
        gallery: the train features that were searched.
        results: round 0, then the result of each judged round.

    Returns:
        ``refinement`` as in its file, with all defaults filled in; ``query``; ``category``; ``features_sha256`` of the
        gallery; and ``rounds``: what ``RoundResult.as_json`` returns for each, with ``flagged``, the image_ids that
        were then judged ``relevant`` and ``irrelevant``; those of the last round are empty.
    """
    judgements = [*refinement.rounds, Round()]
    return {
        "refinement": as_json(refinement),
        "query": query,
        "category": category,
        "features_sha256": gallery.about["features_sha256"],
        "rounds": [
            {
                **result.as_json(),
                "flagged": {
                    "relevant": _image_ids(result, judged.relevant),
                    "irrelevant": _image_ids(result, judged.irrelevant),
                },
            }
            for result, judged in zip(results, judgements, strict=True)
        ],
    }


def _image_ids(result: RoundResult, items: Sequence[str | int]) -> list[str]:
    return [result.image_ids[item] if isinstance(item, int) else item for item in items]


def flags(round: dict[str, Any]) -> dict[str, str]:
    """Return the judgements of a round of a ``record``: ``relevant`` or ``irrelevant`` by image_id."""
    return {image_id: verdict for verdict, image_ids in round["flagged"].items() for image_id in image_ids}


def table(record: dict[str, Any]) -> pd.DataFrame:
    """Return a table with a row for each result of each round of a ``record``.

    Columns: round, precision_at_k and residual_precision_at_k of the round, then position (from 0), image_id, distance,
    score, of_category, judged (before this ranking) and flag (the judgement of it). Unknown values are empty.
    """
    rows = []
    for round in record["rounds"]:
        given = flags(round)
        figures = {key: round[key] for key in ("round", "precision_at_k", "residual_precision_at_k")}
        rows += [{**figures, **item, "flag": given.get(item["image_id"])} for item in round["results"]]
    return pd.DataFrame(rows)


def write_vectors(results: Sequence[RoundResult], record: dict[str, Any], path: str | Path) -> None:
    """Write the query vector of every round: ``vectors`` (rounds, d) float64 in an HDF5 file, round 0 first."""
    vectors = np.array([result.vector for result in results])
    with atomic(path, vectors.nbytes + HDF5_OVERHEAD) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("vectors", data=vectors)
        about = {key: record[key] for key in ("query", "features_sha256")}
        write_attributes(file, {"method": record["refinement"]["method"], **about})
