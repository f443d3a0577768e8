"""Recall at k."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
from cbir.evaluation.relevance import Relevance, Values, count, divide, require

NAME = "recall at {k}"
MEANING = (
    "Share of all right images that the first {k} results bring; small wherever a category has many more than {k} "
    "images."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 80
COLUMN = None


def per_query(relevance: Relevance, k: int, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return the hits in the first ``k`` ranks over NG, as trec_eval's ``recall_k``; NaN where NG = 0.

    This is the recall of information retrieval: the share of the relevant images that are found. The "recall@k" of the
    metric learning literature, which is 1 as soon as any of the first ``k`` is relevant, is `hit_at_k`.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
        k: how many results are looked at, at least 1; it may exceed the gallery.
        relevant: NG of each query where ``relevance`` is of the first results alone; None: of whole rankings.
    """
    require(relevance, k)
    return divide(count(relevance[:, :k]), total(relevance, relevant))
