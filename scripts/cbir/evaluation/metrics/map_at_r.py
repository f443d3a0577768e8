"""Mean average precision within the first R results (MAP@R)."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "MAP@R"
MEANING = (
    "Mean average precision within the first R results, R being how many right images the gallery holds; a right image "
    "that is not among them counts 0."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 50
COLUMN = None


def per_query(relevance: Relevance, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return (1/R) * sum over ranks i <= R of P(i) rel(i), with R = NG; NaN where NG = 0.

    Only the first R ranks count, and the denominator is R, not the number of hits among them. Source: Musgrave,
    Belongie and Lim, "A Metric Learning Reality Check", ECCV 2020.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
        relevant: NG of each query where ``relevance`` is of the first results alone; None: of whole rankings.
    """
    require(relevance)
    query, rank, found = hits(relevance, count(relevance))
    relevant = total(relevance, relevant)
    inside = rank <= relevant[query]
    return divide(
        np.bincount(query[inside], weights=found[inside] / rank[inside], minlength=len(relevance)),
        relevant,
    )


def depth(relevant: NDArray[np.int64], gtm: int) -> NDArray[np.int64]:
    """Return the last rank that decides the value of each query: R."""
    return relevant
