"""Metrics of rankings of which only the first results are known.

Relevant images that are not among these results count as not found. So a figure is a bound of that of whole rankings,
MAP@1000 a lower one of MAP, and the name says at which rank it is cut.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation import measure
from cbir.evaluation.relevance import Relevance, Values, count

Counts = NDArray[np.int64]

# Cells of a matrix that is made wider.
_CELLS = 64_000_000


def total(relevance: Relevance, relevant: Counts | None) -> Counts:
    """Return NG of each query: ``relevant`` where ``relevance`` is of the first results alone, else `count`."""
    return count(relevance) if relevant is None else relevant


def per_query(metric: ModuleType, relevance: Relevance, relevant: Counts | None, *, k: int, gtm: int) -> Values:
    """Return the values of a metric of rankings, float64 (queries,); NaN where it is not defined.

    A metric that does not take ``relevant`` gets the images that were not found behind all ranks that ANMRR looks at.

    Args:
        metric: a metric of rankings.
        relevance: bool (queries, first results), see `cbir.evaluation.relevance`; any block of the queries.
        relevant: int64 (queries,), how many relevant images the whole gallery holds; None for whole rankings.
        k: how many results are looked at.
        gtm: the largest number of relevant images of any query, of this block or not.
    """
    if relevant is None or measure.takes_relevant(metric):
        return measure.per_query(metric, relevance, k=k, gtm=gtm, relevant=relevant)
    missing = relevant - count(relevance)
    width = max(relevance.shape[1], 2 * gtm)
    values = np.empty(len(relevance))
    step = max(_CELLS // (width + int(missing.max(initial=0))), 1)
    for start in range(0, len(relevance), step):
        block = slice(start, start + step)
        last = np.arange(missing[block].max(initial=0)) < missing[block, None]
        none = np.zeros((len(last), width - relevance.shape[1]), np.bool_)
        values[block] = measure.per_query(metric, np.hstack([relevance[block], none, last]), k=k, gtm=gtm)
    return values


def is_cut(metric: ModuleType, relevant: Counts, gtm: int, ranked: int) -> bool:
    """Tell whether a metric may have another value than of whole rankings.

    Args:
        metric: the metric.
        relevant: int64 (queries,), how many relevant images the gallery holds.
        gtm: the largest of these numbers.
        ranked: how many results are ranked, at least as many as vote and are looked at.
    """
    if measure.depends_on_k(metric):
        return False
    depth = getattr(metric, "depth", None)
    return depth is None or bool((depth(relevant, gtm) > ranked).any())


def named(key: str, metric: ModuleType, summary: Mapping[str, Any]) -> str:
    """Return the name of a figure of a method; one that is cut says at which rank, as in MAP@1000."""
    name: str = metric.NAME.format(k=summary["k"])
    if key not in summary.get("cut", ()):
        return name
    # Words in parentheses stay at the end.
    first, *others = name.split(" (", 1)
    return " (".join([f"{first}@{summary['ranked']}", *others])


def as_text(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the compared metrics of a method's summary as text, by name; "-" where one is not defined."""
    names = [named(key, metric, summary) for key, metric in measure.compared_metrics().items()]
    return dict(zip(names, measure.as_text(summary).values(), strict=True))
