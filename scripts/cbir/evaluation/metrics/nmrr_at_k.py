"""NMRR of the first k results only."""

import numpy as np

from cbir.evaluation.relevance import Relevance, Values, count, require

NAME = "NMRR at {k}"
MEANING = "ANMRR for somebody who looks at the first {k} results only."
HIGHER_IS_BETTER = False
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 30
COLUMN = None


def per_query(relevance: Relevance, k: int) -> Values:
    """Return NMRR for ``k`` results looked at: NG and K both become ``k``. 0 is best, 1 is worst.

    Each hit in the first ``k`` ranks costs its rank, each missing one of ``k`` hits costs 1.25 k, and AVR is the mean
    of these ``k`` costs: NMRR@k = (AVR - (1 + k) / 2) / (1.25 k - (1 + k) / 2). The true NG is not used, because with
    it a perfect top k could score above 1. So NG = 0 gives 1, and a query with NG < k cannot reach 0. For k = 3, hits
    at ranks 1 and 2 give 1/7, a hit at rank 1 alone 10/21, no hit 1.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`; only the first ``k`` columns are read.
        k: how many results are looked at, at least 1; it may exceed the gallery.
    """
    require(relevance, k)
    top = relevance[:, :k]
    ranks = np.arange(1, top.shape[1] + 1)
    average_rank: Values = (top @ ranks + 1.25 * k * (k - count(top))) / k
    ideal = (1 + k) / 2
    return (average_rank - ideal) / (1.25 * k - ideal)
