"""Mean precision at k (mP@k) of Revisited Oxford and Paris."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
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


def per_query(relevance: Relevance, k: int, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return the hits in the first m ranks over m, m = min(k, rank of the last relevant image); NaN where NG = 0.

    So, unlike in `precision_at_k`, a query with fewer than ``k`` relevant images can reach 1. Source: `compute_map` of
    Radenovic et al., "Revisiting Oxford and Paris: large-scale image retrieval benchmarking", CVPR 2018.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`; the caller has taken junk out.
        k: how many results are looked at, at least 1; it may exceed the gallery.
        relevant: NG of each query where ``relevance`` is of the first results alone; None: of whole rankings.
    """
    require(relevance, k)
    shown, relevant = count(relevance), total(relevance, relevant)
    query, rank, _ = hits(relevance, shown)
    some, last = shown > 0, np.zeros(len(relevance), np.int64)
    last[some] = rank[np.cumsum(shown)[some] - 1]
    # Where one is not among the first results, the last is further down.
    looked_at = np.minimum(np.where(relevant > shown, k, last), k)
    return divide(np.bincount(query[rank <= looked_at[query]], minlength=len(relevance)), looked_at)
