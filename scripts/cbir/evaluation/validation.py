"""Metrics of searching a gallery with validation images, to choose an epoch or the options of a step."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cbir.collection.categories import Relevant
from cbir.evaluation import measure
from cbir.evaluation.classification import confusion
from cbir.evaluation.metrics import REGISTRY
from cbir.retrieval.exact import rankings
from cbir.retrieval.voting import majority_vote


def retrieval_quality(
    queries: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery: NDArray[np.float32],
    gallery_labels: NDArray[np.int64],
    names: Iterable[str],
    k: int | None = None,
    relevant: Relevant | None = None,
) -> dict[str, float]:
    """Return metrics of searching a gallery with queries.

    Args:
        queries: (q, d).
        query_labels: int64 (q,), 0 and above.
        gallery: (g, d).
        gallery_labels: int64 (g,), 0 and above.
        names: the metrics, by their names in the configuration.
        k: how many results count and vote, at least 1; may be None if no metric depends on it.
        relevant: which labels share a category; None if each label is a category. The vote is always between labels.

    Returns:
        The value of each metric by its key in summary.json; NaN if no query defines the metric.

    Raises:
        InputError: when a metric does not exist.
    """
    metrics = {measure.key(name): REGISTRY.get_entry(name) for name in names}
    values = {key: np.empty(len(queries)) for key, metric in metrics.items() if measure.is_of_rankings(metric)}
    voted = len(values) < len(metrics)
    predicted = np.zeros(len(queries), np.int64)
    categories = int(max(query_labels.max(), gallery_labels.max())) + 1
    relevant = relevant or Relevant.one_each(query_labels, gallery_labels)
    gtm = int(relevant.count(np.bincount(gallery_labels, minlength=len(relevant.has)))[query_labels].max())
    for rows, order in rankings(queries, gallery):
        labels = gallery_labels[order]
        relevance = relevant(labels, query_labels[rows, None])
        for key, of_queries in values.items():
            of_queries[rows] = measure.per_query(metrics[key], relevance, k=k, gtm=gtm)
        if voted:
            predicted[rows] = majority_vote(labels[:, :k])
    counts = confusion(query_labels, predicted, categories)
    return {key: measure.overall(metric, values.get(key), counts) for key, metric in metrics.items()}
