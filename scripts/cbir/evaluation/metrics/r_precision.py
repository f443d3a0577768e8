"""R-precision."""

import numpy as np

from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "R-precision"
MEANING = "Share of right images among the first R results, R being how many right images the gallery holds."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 60
COLUMN = None


def per_query(relevance: Relevance) -> Values:
    """Return the hits in the first NG ranks over NG, as trec_eval's ``Rprec``; NaN where NG = 0.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
    """
    require(relevance)
    relevant = count(relevance)
    query, rank, _ = hits(relevance, relevant)
    return divide(np.bincount(query[rank <= relevant[query]], minlength=len(relevance)), relevant)
