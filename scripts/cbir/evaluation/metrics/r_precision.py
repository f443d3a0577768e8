"""R-precision."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "R-precision"
MEANING = "Share of right images among the first R results, R being how many right images the gallery holds."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 60
COLUMN = None


def per_query(relevance: Relevance, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return the hits in the first NG ranks over NG, as trec_eval's ``Rprec``; NaN where NG = 0.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
        relevant: NG of each query where ``relevance`` is of the first results alone; None: of whole rankings.
    """
    require(relevance)
    query, rank, _ = hits(relevance, count(relevance))
    relevant = total(relevance, relevant)
    return divide(np.bincount(query[rank <= relevant[query]], minlength=len(relevance)), relevant)


def depth(relevant: NDArray[np.int64], gtm: int) -> NDArray[np.int64]:
    """Return the last rank that decides the value of each query: R."""
    return relevant
