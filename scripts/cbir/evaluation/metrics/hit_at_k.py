"""Hit rate at k: the Recall@k of metric learning, and CMC at rank k."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.cut import total
from cbir.evaluation.relevance import Relevance, Values, require

NAME = "hit rate at {k}"
MEANING = (
    "Share of queries with at least one right image among the first {k} results: the Recall@k of metric learning, and "
    "the cumulative match characteristic (CMC) at rank {k}."
)
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "percent"
ORDER = 85
COLUMN = None


def per_query(relevance: Relevance, k: int, relevant: NDArray[np.int64] | None = None) -> Values:
    """Return 1 where any of the first ``k`` ranks is relevant, else 0; NaN where NG = 0.

    It is called recall@k by Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", IEEE TPAMI
    33(1), 2011, and Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016. Gray,
    Brennan and Tao, PETS 2007, call it the cumulative match characteristic; they too leave out queries without a
    relevant image. For k = 1 it is the precision@1 of metric learning. It is not the recall of information retrieval,
    which is `recall_at_k`.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
        k: how many results are looked at, at least 1; it may exceed the gallery.
        relevant: NG of each query where ``relevance`` is of the first results alone; None: of whole rankings.
    """
    require(relevance, k)
    return np.where(total(relevance, relevant) > 0, relevance[:, :k].any(axis=1), np.nan)
