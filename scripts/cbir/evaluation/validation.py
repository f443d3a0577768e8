"""How well the validation split finds its own categories in the train split."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation import metrics
from cbir.retrieval.exact import rankings


def retrieval_quality(
    queries: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery: NDArray[np.float32],
    gallery_labels: NDArray[np.int64],
) -> dict[str, float]:
    """Return ``map`` (1 is best) and ``anmrr`` (0 is best) of queries against a gallery.

    Args:
        queries: (q, d).
        query_labels: int64 (q,), 0 and above.
        gallery: (g, d).
        gallery_labels: int64 (g,), 0 and above.

    Returns:
        Means over the queries whose category stands in the gallery; NaN where there is none.
    """
    counts = np.bincount(gallery_labels, minlength=query_labels.max() + 1)
    gtm = int(counts[query_labels].max())
    precision, rank = [], []
    for rows, order in rankings(queries, gallery):
        relevance = gallery_labels[order] == query_labels[rows, None]
        precision.append(metrics.average_precision(relevance))
        rank.append(metrics.nmrr(relevance, gtm))
    return {
        "map": metrics.mean_defined(np.concatenate(precision)),
        "anmrr": metrics.mean_defined(np.concatenate(rank)),
    }
