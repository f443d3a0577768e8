"""Mean average precision by trapezoids, the metric of the Oxford and Paris collections and their revisited versions."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "MAP (trapezoids)"
MEANING = (
    "Mean average precision as the area under the curve of precision over recall, in trapezoids: the figure of the "
    "Oxford and Paris collections. It is never higher than MAP."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 45
COLUMN = None


def per_query(relevance: Relevance, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return the mean, over the NG relevant images, of the precision just before and at their ranks; NaN where NG = 0.

    For the j-th relevant image, at rank r, the precision just before is (j - 1) / (r - 1), or 1 if r = 1, and at its
    rank j / r; the mean of the two is used. Sources: Philbin et al., "Object retrieval with large vocabularies and fast
    spatial matching", CVPR 2007; `compute_map` of Radenovic et al., "Revisiting Oxford and Paris", CVPR 2018.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`; the caller has taken junk out.
        relevant: NG of each query if ``relevance`` has only the first results; None for whole rankings.
    """
    require(relevance)
    query, rank, found = hits(relevance, count(relevance))
    before = np.divide(found - 1, rank - 1, out=np.ones(len(rank)), where=rank > 1)
    sums = np.bincount(query, weights=(before + found / rank) / 2, minlength=len(relevance))
    return divide(sums, total(relevance, relevant))
