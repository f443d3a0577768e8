"""Retrieval quality of rankings, a value a query; at the end, quality of a classification, a value a category.

Every function of rankings takes ``relevance``, a boolean array (queries, gallery). A row is one query's ranking of the
WHOLE gallery, closest first, True where the image is relevant (of the query's category). The conventions everywhere:

* Ranks count from 1: column 0 holds rank 1.
* NG, the number of relevant images of a query, is the sum of its row.
* The query itself is no gallery image. Whoever ranks a collection against itself leaves the self-match out.
* Ties are settled before: whoever ranks puts equal distances in gallery order (a stable sort).
* A query with NG = 0 is undefined (NaN) in every measure that divides by NG. ``mean_defined`` leaves it out of a mean;
  trec_eval counts such a query as 0 instead.
* Results are float64 (queries,). Wrong shapes, types and k raise ValueError: they are errors of the calling code.
"""

import numpy as np
from numpy.typing import NDArray

Relevance = NDArray[np.bool_]
Values = NDArray[np.float64]


def precision_at_k(relevance: Relevance, k: int) -> Values:
    """Return the hits in the first ``k`` ranks over ``k``, as trec_eval's ``P_k``.

    The denominator is always ``k``, never min(k, NG) or the gallery size: a query with NG < k cannot reach 1. NG = 0
    gives 0, which is defined.

    Args:
        relevance: bool (queries, gallery), see the module.
        k: how many results are looked at, at least 1; it may exceed the gallery.
    """
    _check(relevance, k)
    return _counts(relevance[:, :k]) / k


def recall_at_k(relevance: Relevance, k: int) -> Values:
    """Return the hits in the first ``k`` ranks over NG, as trec_eval's ``recall_k``; NaN where NG = 0.

    This is the recall of information retrieval: the share of the relevant images found. It is not the "recall@k" of the
    metric learning literature, which is 1 as soon as any of the first ``k`` is relevant.

    Args:
        relevance: bool (queries, gallery), see the module.
        k: how many results are looked at, at least 1; it may exceed the gallery.
    """
    _check(relevance, k)
    return _over(_counts(relevance[:, :k]), _counts(relevance))


def r_precision(relevance: Relevance) -> Values:
    """Return the hits in the first NG ranks over NG, as trec_eval's ``Rprec``; NaN where NG = 0.

    Args:
        relevance: bool (queries, gallery), see the module.
    """
    _check(relevance)
    relevant = _counts(relevance)
    query, rank, _ = _hits(relevance, relevant)
    return _over(np.bincount(query[rank <= relevant[query]], minlength=len(relevance)), relevant)


def average_precision(relevance: Relevance) -> Values:
    """Return the mean, over the NG relevant images, of the precision at their ranks; NaN where NG = 0.

    The whole ranking counts and the denominator is NG, as trec_eval's ``map``. No interpolation.

    Args:
        relevance: bool (queries, gallery), see the module.
    """
    _check(relevance)
    relevant = _counts(relevance)
    query, rank, found = _hits(relevance, relevant)
    return _over(np.bincount(query, weights=found / rank, minlength=len(relevance)), relevant)


def average_precision_at_r(relevance: Relevance) -> Values:
    """Return the terms of MAP@R, (1/R) * sum over ranks i <= R of P(i) rel(i), with R = NG; NaN where NG = 0.

    Only the first R ranks count, and the denominator is R, not the number of hits among them. Source: Musgrave,
    Belongie and Lim, "A Metric Learning Reality Check", ECCV 2020.

    Args:
        relevance: bool (queries, gallery), see the module.
    """
    _check(relevance)
    relevant = _counts(relevance)
    query, rank, found = _hits(relevance, relevant)
    inside = rank <= relevant[query]
    return _over(
        np.bincount(query[inside], weights=found[inside] / rank[inside], minlength=len(relevance)),
        relevant,
    )


def nmrr(relevance: Relevance, gtm: int) -> Values:
    """Return the normalised modified retrieval rank of MPEG-7; its mean over queries is ANMRR. 0 is best, 1 is worst.

    With K = min(4 NG, 2 GTM), Rank* = rank if rank <= K else 1.25 K, and AVR the mean of Rank* over all NG relevant
    images: NMRR = (AVR - (1 + NG) / 2) / (1.25 K - (1 + NG) / 2). NaN where NG = 0. Source: Manjunath, Ohm, Vasudevan
    and Yamada, "Color and texture descriptors", IEEE Trans. Circuits and Systems for Video Technology 11(6), 2001.

    Args:
        relevance: bool (queries, gallery), see the module; any block of the query set.
        gtm: GTM, the largest NG of the WHOLE query set. It stays the same for every block of queries and in a mean
            over one category.
    """
    _check(relevance)
    relevant = _counts(relevance)
    if gtm < relevant.max(initial=0):
        raise ValueError(f"gtm is {gtm}, but a query has {relevant.max()} relevant images")
    window = np.minimum(4 * relevant, 2 * gtm)
    query, rank, _ = _hits(relevance, relevant)
    penalised = np.where(rank <= window[query], rank, 1.25 * window[query])
    average_rank = _over(np.bincount(query, weights=penalised, minlength=len(relevance)), relevant)
    ideal = (1 + relevant) / 2
    # Where NG = 0 the numerator is NaN already; elsewhere K >= 2 NG keeps the denominator above 0.
    return (average_rank - ideal) / (1.25 * window - ideal)


def nmrr_at_k(relevance: Relevance, k: int) -> Values:
    """Return NMRR for ``k`` results looked at: NG and K both become ``k``. 0 is best, 1 is worst.

    Each hit in the first ``k`` costs its rank, each of the ``k`` places without a hit costs 1.25 k, and AVR is the mean
    of these ``k`` costs: (AVR - (1 + k) / 2) / (1.25 k - (1 + k) / 2). The true NG has no part in it (with it, a
    perfect top k could score above 1), so NG = 0 gives 1, and a query with NG < k cannot reach 0. For k = 3: hits at
    ranks 1 and 2 give 1/7, at rank 1 alone 10/21, none 1.

    Args:
        relevance: bool (queries, gallery), see the module; only the first ``k`` columns are read, so they suffice.
        k: how many results are looked at, at least 1; it may exceed the gallery.
    """
    _check(relevance, k)
    top = relevance[:, :k]
    ranks = np.arange(1, top.shape[1] + 1)
    average_rank: Values = (top @ ranks + 1.25 * k * (k - _counts(top))) / k
    ideal = (1 + k) / 2
    return (average_rank - ideal) / (1.25 * k - ideal)


def confusion(truth: NDArray[np.integer], predicted: NDArray[np.integer], categories: int) -> NDArray[np.int64]:
    """Count how often images of each category are taken for each.

    Args:
        truth: (n,) labels from 0 to ``categories`` - 1.
        predicted: (n,), likewise.
        categories: how many there are.

    Returns:
        int64 (categories, categories), rows true, columns predicted.
    """
    pairs = np.bincount(truth.astype(np.int64) * categories + predicted, minlength=categories**2)
    return pairs.reshape(categories, categories)


def precision_recall_f1(counts: NDArray[np.int64]) -> tuple[Values, Values, Values]:
    """Return precision, recall and F1 of each category, each float64 (categories,); 0 where nothing can be divided.

    As scikit-learn's ``precision_recall_fscore_support`` with ``zero_division=0``, to the last digit; importing that
    takes longer than a small evaluation.

    Args:
        counts: as `confusion` returns them.
    """
    right, true, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)

    def over(numbers: NDArray[np.int64], whole: NDArray[np.int64]) -> Values:
        return np.divide(numbers, whole, out=np.zeros(len(whole)), where=whole > 0)

    return over(right, predicted), over(right, true), over(2 * right, true + predicted)


def mean_defined(values: Values) -> float:
    """Return the mean over the values that are not NaN (the queries where NG > 0); NaN when there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _check(relevance: Relevance, k: int = 1) -> None:
    if relevance.ndim != 2 or relevance.dtype != np.bool_:
        raise ValueError(f"relevance must be bool (queries, gallery), not {relevance.dtype} {relevance.shape}")
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def _counts(relevance: Relevance) -> NDArray[np.int64]:
    """Return how many are True in each row; over whole rankings, that is NG."""
    counts: NDArray[np.int64] = np.count_nonzero(relevance, axis=1)
    return counts


def _hits(
    relevance: Relevance, relevant: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, for each relevant image, its query, its rank from 1, and how many relevant images stand at it or before.

    Working on these positions alone costs memory by the number of relevant images, not by the gallery's size.
    """
    query = np.repeat(np.arange(len(relevance)), relevant)
    # One flat search is several times faster than np.nonzero in two dimensions.
    rank = np.flatnonzero(relevance) - query * relevance.shape[1] + 1
    found = np.arange(1, len(query) + 1) - (np.cumsum(relevant) - relevant)[query]
    return query, rank, found


def _over(sums: NDArray[np.float64] | NDArray[np.int64], relevant: NDArray[np.int64]) -> Values:
    """Return ``sums / relevant``, NaN where nothing is relevant."""
    quotients = np.full(len(relevant), np.nan)
    np.divide(sums, relevant, out=quotients, where=relevant > 0)
    return quotients
