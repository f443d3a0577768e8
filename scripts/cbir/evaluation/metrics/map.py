"""Mean average precision (MAP)."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "MAP"
MEANING = (
    "Mean average precision: precision at the rank of each right image, averaged over all right images, then over the "
    "queries."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 40
COLUMN = "average_precision"


def per_query(relevance: Relevance, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return the mean, over the NG relevant images, of the precision at their ranks; NaN where NG = 0.

    As in trec_eval's ``map``, the whole ranking counts, the denominator is NG, and nothing is interpolated.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
        relevant: NG of each query where ``relevance`` is of the first results alone; None: of whole rankings.
    """
    require(relevance)
    query, rank, found = hits(relevance, count(relevance))
    return divide(np.bincount(query, weights=found / rank, minlength=len(relevance)), total(relevance, relevant))
