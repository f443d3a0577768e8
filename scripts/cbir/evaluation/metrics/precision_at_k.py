"""Precision at k."""

from cbir.evaluation.relevance import Relevance, Values, count, require

NAME = "precision at {k}"
MEANING = "Share of right images among the first {k} results."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "decimal"
ORDER = 70
COLUMN = None


def per_query(relevance: Relevance, k: int) -> Values:
    """Return the hits in the first ``k`` ranks over ``k``, as trec_eval's ``P_k``.

    The denominator is always ``k``, never min(k, NG) or the gallery size, so a query with NG < k cannot reach 1. A
    query with NG = 0 has the value 0, not NaN.

    Args:
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`.
        k: how many results are looked at, at least 1; it may exceed the gallery.
    """
    require(relevance, k)
    return count(relevance[:, :k]) / k
