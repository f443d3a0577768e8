"""How much an approximate index misses, and how long a search takes."""

import logging
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.retrieval import exact
from cbir.retrieval.index import Index

log = logging.getLogger("cbir")

MOST_QUERIES = 1000
"""Test images that are searched with, at most."""


def recall(distances: NDArray[np.float64], exactly: NDArray[np.float64], k: int) -> float:
    """Return recall@k: the mean share of the k nearest that were found.

    A row that is as far away as the k-th nearest counts as found, since either of the two may stand there.

    Args:
        distances: (q, k or more) of the results, nearest first.
        exactly: (q, k or more) of the exact search.
        k: results that are looked at.
    """
    return float((distances[:, :k] <= exactly[:, k - 1 : k]).mean())


def measure(
    index: Index, side: dict[str, Any], queries: FeatureStore, k: int, least: float, seed: int
) -> dict[str, Any]:
    """Find the lowest search parameter that misses little enough, and measure recall and time with it.

    Args:
        index: of an approximate kind.
        side: its side file.
        queries: the method's test features; of more than `MOST_QUERIES`, the seed chooses.
        k: results that the evaluation looks at.
        least: recall@1, @10 and @k must each reach it.
        seed: for the choice of the queries.

    Returns:
        ``recall_at_1``, ``recall_at_10`` and ``recall_at_k``; ``effort``, the value of the search parameter
        ``parameter``; ``met``, whether the recall is reached, and otherwise the highest value is taken; ``tried``;
        ``bytes`` on disk; ``times``: ``median_ms`` and ``p95_ms`` of a query, which alone differ between equal runs.

    Raises:
        InputError: when there is no query.
    """
    if not len(queries.features):
        raise InputError("There are no test images to measure the index with: change the split.")
    count = min(MOST_QUERIES, len(queries.features))
    chosen = queries.features[np.sort(np.random.default_rng(seed).permutation(len(queries.features))[:count])]
    most = min(max(10, k), index.rows)
    exactly, _ = exact.nearest(chosen, index.features, most)
    tried: list[dict[str, Any]] = []
    for effort in index.efforts():
        found, _ = index.with_effort(effort).search(chosen, most)
        recalls = {name: recall(found, exactly, min(at, most)) for name, at in (("1", 1), ("10", 10), ("k", k))}
        tried.append({"effort": effort, **{f"recall_at_{name}": value for name, value in recalls.items()}})
        if min(recalls.values()) >= least:
            break
    best = tried[-1]
    figures = {name: value for name, value in best.items() if name.startswith("recall")}
    met = min(figures.values()) >= least
    if not met:
        log.warning(
            "the recall is %.3f, below index.recall %.3f, with the highest %s, %d: take another kind of index, or more "
            "memory for it",
            *(min(figures.values()), least, side.get("parameter"), best["effort"]),
        )
    return {
        "method": side.get("method"),
        "kind": index.kind,
        "factory": side.get("factory"),
        "rows": index.rows,
        "dimension": index.dimension,
        "queries": count,
        "k": k,
        **figures,
        "least_recall": least,
        "met": met,
        "parameter": side.get("parameter"),
        "effort": best["effort"],
        "tried": tried,
        "seed": seed,
        "features_sha256": {"gallery": side.get("features_sha256"), "queries": queries.about.get("features_sha256")},
        "index_sha256": side.get("file_sha256"),
        "times": _times(index.with_effort(best["effort"]), chosen, most),
    }


def _times(index: Index, queries: NDArray[Any], k: int) -> dict[str, float]:
    """Return the milliseconds of one query after the other."""
    taken = np.empty(len(queries))
    for place in range(len(queries)):
        started = time.perf_counter()
        index.search(queries[place : place + 1], k)
        taken[place] = 1000 * (time.perf_counter() - started)
    return {"median_ms": float(np.median(taken)), "p95_ms": float(np.quantile(taken, 0.95))}
