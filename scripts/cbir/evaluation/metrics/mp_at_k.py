"""Mean precision at k (mP@k) of Revisited Oxford and Paris."""

import numpy as np

from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "mean precision at {k} (mP@{k})"
MEANING = (
    "Mean precision of Revisited Oxford and Paris: the share of right images among the first {k} results, or down to "
    "the last right image where all of them are found before."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 78
COLUMN = None


def per_query(relevance: Relevance, k: int) -> Values:
    """Return the hits in the first m ranks over m, m = min(k, rank of the last relevant image); NaN where NG = 0.

    So, unlike in `precision_at_k`, a query with fewer than ``k`` relevant images can reach 1. Source: `compute_map` of
    Radenovic et al., "Revisiting Oxford and Paris: large-scale image retrieval benchmarking", CVPR 2018.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`; the caller has taken junk out.
        k: how many results are looked at, at least 1; it may exceed the gallery.
    """
    require(relevance, k)
    relevant = count(relevance)
    query, rank, _ = hits(relevance, relevant)
    some, last = relevant > 0, np.zeros(len(relevance), np.int64)
    last[some] = rank[np.cumsum(relevant)[some] - 1]
    looked_at = np.minimum(last, k)
    return divide(np.bincount(query[rank <= looked_at[query]], minlength=len(relevance)), looked_at)
