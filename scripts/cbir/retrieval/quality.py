"""Measure the recall and the search time of an approximate index."""

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
"""The most test images that are used as queries."""


def recall(distances: NDArray[np.float64], exactly: NDArray[np.float64], k: int) -> float:
    """Return recall@k: the mean share of the k nearest rows that the index found.

    A result as far away as the k-th nearest row counts as found, because either of the two may be the k-th.

    Args:
        distances: float64 (q, k or more), of the index's results, nearest first.
        exactly: float64 (q, k or more), of the exact search.
        k: how many results count.
    """
    return float((distances[:, :k] <= exactly[:, k - 1 : k]).mean())


def measure(
    index: Index, side: dict[str, Any], queries: FeatureStore, k: int, least: float, seed: int
) -> dict[str, Any]:
    """Find the lowest value of the search parameter that reaches a recall, and measure recall and time with it.

    Args:
        index: of an approximate kind.
        side: the content of its side file.
        queries: the method's test features; if there are more than `MOST_QUERIES`, that many are drawn.
        k: ``evaluation.k``, how many results the evaluation uses.
        least: the recall to reach: by recall@1, recall@10 and recall@k each.
        seed: of that draw.

    Returns:
        Among others ``recall_at_1``, ``recall_at_10`` and ``recall_at_k``; ``effort``, the value of the search
        parameter named ``parameter``; ``met``, whether that value reaches the recall (if none does, it is the highest
        one); ``tried``, the recalls of each value tried; and ``times``, ``median_ms`` and ``p95_ms`` of a query. Only
        the times differ between runs on the same inputs.

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
            "the recall is %.3f, below index.recall %.3f, even with the highest %s, %d: choose another index.kind, or "
            "give the index more memory",
            *(min(figures.values()), least, side.get("parameter"), best["effort"]),
        )
    return {
        "method": side.get("method"),
        "kind": index.kind,
        "factory": side.get("factory"),
        "rows": index.rows,
        "added_rows": side.get("added_rows", 0),
        "removed_rows": side.get("removed_rows", 0),
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
    """Return the median and the 95th percentile, in milliseconds, of searching one query at a time."""
    taken = np.empty(len(queries))
    for place in range(len(queries)):
        started = time.perf_counter()
        index.search(queries[place : place + 1], k)
        taken[place] = 1000 * (time.perf_counter() - started)
    return {"median_ms": float(np.median(taken)), "p95_ms": float(np.quantile(taken, 0.95))}
