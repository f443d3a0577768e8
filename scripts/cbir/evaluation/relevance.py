"""Helpers of the metrics over rankings, and the conventions that all of them keep.

``relevance`` is a boolean array (queries, gallery). A row is one query's ranking of the WHOLE gallery, closest first,
True where the image is relevant (of the query's category).

* Ranks count from 1: column 0 holds rank 1.
* NG, the number of relevant images of a query, is the sum of its row. Where the rows are the first results alone, NG is
  handed over beside them, and relevant images that are not among these results count as not found.
* The query itself is no gallery image. A collection that is ranked against itself leaves the self-match out.
* Ties are settled before: rankings put equal distances in gallery order (a stable sort).
* A query with NG = 0 is undefined (NaN) in every metric that divides by NG. `mean_defined` leaves it out of a mean;
  trec_eval counts such a query as 0 instead.
* Wrong shapes, types and k raise ValueError: they are errors of the calling code.
"""

import numpy as np
from numpy.typing import NDArray

Relevance = NDArray[np.bool_]
Values = NDArray[np.float64]


def require(relevance: Relevance, k: int = 1) -> None:
    """Refuse what is no relevance matrix.

    Raises:
        ValueError: when ``relevance`` is not bool (queries, gallery) or ``k`` is below 1.
    """
    if relevance.ndim != 2 or relevance.dtype != np.bool_:
        raise ValueError(f"relevance must be bool (queries, gallery), not {relevance.dtype} {relevance.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def count(relevance: Relevance) -> NDArray[np.int64]:
    """Return how many are True in each row; over whole rankings, that is NG."""
    counts: NDArray[np.int64] = np.count_nonzero(relevance, axis=1)
    return counts


def hits(
    relevance: Relevance, relevant: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each relevant image, its query, its rank from 1, and how many relevant images stand at it or before.

    Working on these positions alone costs memory by the number of relevant images, not by the gallery's size.

    Args:
        relevance: bool (queries, gallery).
        relevant: how many are True in each row, as `count` returns it.
    """
    query = np.repeat(np.arange(len(relevance)), relevant)
    # One flat search is several times faster than np.nonzero in two dimensions.
    rank = np.flatnonzero(relevance) - query * relevance.shape[1] + 1
    found = np.arange(1, len(query) + 1) - (np.cumsum(relevant) - relevant)[query]
    return query, rank, found


def divide(sums: NDArray[np.float64] | NDArray[np.int64], relevant: NDArray[np.int64]) -> Values:
    """Return ``sums / relevant``, NaN where nothing is relevant."""
    quotients = np.full(len(relevant), np.nan)
    np.divide(sums, relevant, out=quotients, where=relevant > 0)
    return quotients


def mean_defined(values: Values) -> float:
    """Return the mean over the values that are not NaN (the queries where NG > 0); NaN when there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
