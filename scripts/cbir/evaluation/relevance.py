"""Helpers of the metrics of rankings, and the conventions that all of them follow.

``relevance`` is a boolean array (queries, gallery). A row is one query's ranking of the WHOLE gallery, closest first,
True where the image is relevant (of the query's category).

* Ranks count from 1: column 0 holds rank 1.
* NG, the number of relevant images of a query, is the sum of its row. If the rows have only the first results, NG is
  given separately, and relevant images beyond these results count as not found.
* The query itself is not in its ranking: where a collection is searched by its own images, the caller takes it out.
* Rankings order equal distances by gallery row.
* A metric that divides by NG is undefined (NaN) for a query with NG = 0. `mean_defined` leaves such a query out of a
  mean; trec_eval counts it as 0 instead.
* Wrong shapes, types and k raise ValueError, because they are errors of the calling code.
"""

import numpy as np
from numpy.typing import NDArray

Relevance = NDArray[np.bool_]
Values = NDArray[np.float64]


def require(relevance: Relevance, k: int = 1) -> None:
    """Check a relevance matrix and k.

    Raises:
        ValueError: when ``relevance`` is not bool (queries, gallery) or ``k`` is below 1.
    """
    if relevance.ndim != 2 or relevance.dtype != np.bool_:
        raise ValueError(f"relevance must be bool (queries, gallery), not {relevance.dtype} {relevance.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def count(relevance: Relevance) -> NDArray[np.int64]:
    """Return how many images are relevant in each row; of whole rankings, that is NG."""
    # Row by row, because np.count_nonzero is ten times slower along an axis.
    return np.fromiter(map(np.count_nonzero, relevance), np.int64, len(relevance))


def hits(
    relevance: Relevance, relevant: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the relevant images, so that a metric needs no further arrays of the gallery's size.

    Args:
        relevance: bool (queries, gallery).
        relevant: NG of each query, as `count` returns it.

    Returns:
        For each relevant image, int64: its query; its rank, from 1; and the number of relevant images up to that rank.
    """
    query = np.repeat(np.arange(len(relevance)), relevant)
    # np.flatnonzero is several times faster than np.nonzero in two dimensions.
    rank = np.flatnonzero(relevance) - query * relevance.shape[1] + 1
    found = np.arange(1, len(query) + 1) - (np.cumsum(relevant) - relevant)[query]
    return query, rank, found


def divide(sums: NDArray[np.float64] | NDArray[np.int64], relevant: NDArray[np.int64]) -> Values:
    """Return ``sums / relevant``, float64 (queries,), NaN where a query has no relevant image."""
    quotients = np.full(len(relevant), np.nan)
    np.divide(sums, relevant, out=quotients, where=relevant > 0)
    return quotients


def mean_defined(values: Values) -> float:
    """Return the mean of the values that are not NaN (the queries with NG > 0); NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
