"""Average normalised modified retrieval rank (ANMRR) of MPEG-7."""

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.relevance import Relevance, Values, count, divide, hits, require

NAME = "ANMRR"
MEANING = (
    "Average normalised modified retrieval rank (MPEG-7): how far down the ranking the right images stand. 0 is "
    "perfect, 1 the worst."
)
HIGHER_IS_BETTER = False
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 20
COLUMN = "nmrr"


def depth(relevant: NDArray[np.int64], gtm: int) -> NDArray[np.int64]:
    """Return K = min(4 NG, 2 GTM) of each query, the last rank that its NMRR depends on, int64 (queries,)."""
    return np.minimum(4 * relevant, 2 * gtm)


def per_query(relevance: Relevance, gtm: int) -> Values:
    """Return the normalised modified retrieval rank (NMRR). 0 is best, 1 is worst.

    With K = min(4 NG, 2 GTM), Rank* = rank if rank <= K else 1.25 K, and AVR the mean of Rank* over all NG relevant
    images: NMRR = (AVR - (1 + NG) / 2) / (1.25 K - (1 + NG) / 2). NaN where NG = 0. ANMRR is the mean over the queries.
    Source: Manjunath, Ohm, Vasudevan and Yamada, "Color and texture descriptors", IEEE Trans. Circuits and Systems for
    Video Technology 11(6), 2001.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`; any block of the query set.
        gtm: GTM, the largest NG of the WHOLE query set, also when ``relevance`` is a block or one category of it.

    Raises:
        ValueError: when ``gtm`` is smaller than the NG of a query.
    """
    require(relevance)
    relevant = count(relevance)
    if gtm < relevant.max(initial=0):
        raise ValueError(f"gtm is {gtm}, but a query has {relevant.max()} relevant images")
    window = depth(relevant, gtm)
    query, rank, _ = hits(relevance, relevant)
    penalised = np.where(rank <= window[query], rank, 1.25 * window[query])
    average_rank = divide(np.bincount(query, weights=penalised, minlength=len(relevance)), relevant)
    ideal = (1 + relevant) / 2
    # Where NG = 0 the numerator is NaN; elsewhere K >= 2 NG, so the denominator is above 0.
    return (average_rank - ideal) / (1.25 * window - ideal)
