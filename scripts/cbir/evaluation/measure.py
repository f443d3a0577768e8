"""List and compute the metrics of `cbir.evaluation.metrics`. A metric is passed as the module that defines it."""

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import Relevance, Values, mean_defined

Metrics = dict[str, ModuleType]


def all_metrics() -> Metrics:
    """Return every metric by its key in summary.json, in the order of files and tables."""
    found = {key(name): REGISTRY[name] for name in REGISTRY}
    return dict(sorted(found.items(), key=lambda item: (item[1].ORDER, item[0])))


def compared_metrics() -> Metrics:
    """Return the metrics in which methods are compared: those with a column in queries.csv."""
    return {name: metric for name, metric in all_metrics().items() if metric.COLUMN is not None}


def key(name: str) -> str:
    """Return the key in summary.json of a metric that the configuration calls ``name``."""
    return name.replace("-", "_")


def depends_on_k(metric: ModuleType) -> bool:
    """Return whether a metric depends on ``evaluation.k``, the number of results that count and vote."""
    return not is_of_rankings(metric) or "k" in _arguments(metric)


def takes_relevant(metric: ModuleType) -> bool:
    """Return whether a metric of rankings takes the number of relevant images in the whole gallery as an argument."""
    return "relevant" in _arguments(metric)


def is_of_rankings(metric: ModuleType) -> bool:
    """Return whether a metric measures each query's ranking; the others measure the classification as a whole."""
    return hasattr(metric, "per_query")


def per_query(
    metric: ModuleType,
    relevance: Relevance,
    *,
    k: int | None,
    gtm: int,
    relevant: NDArray[np.int64] | None = None,
) -> Values:
    """Return the values of a metric of rankings, float64 (queries,); NaN where it is not defined.

    Args:
        metric: a metric of rankings.
        relevance: bool (queries, gallery), see `cbir.evaluation.relevance`; any block of the queries.
        k: how many results count; may be None if the metric does not depend on it.
        gtm: the largest number of relevant images of any query of the whole query set.
        relevant: int64 (queries,), NG of each query if ``relevance`` has only the first results and the metric
            `takes_relevant`; None for whole rankings.
    """
    known: Mapping[str, Any] = {"k": k, "gtm": gtm, "relevant": relevant}
    values: Values = metric.per_query(relevance, **{name: known[name] for name in known if name in _arguments(metric)})
    return values


def overall(metric: ModuleType, values: Values | None, counts: NDArray[np.int64]) -> float:
    """Return the value of a metric for a whole method.

    Args:
        metric: the metric.
        values: for a metric of rankings, its value for each query, float64 (queries,); None for another metric.
        counts: int64 (categories, categories), see `cbir.evaluation.classification.confusion`.
    """
    return float(metric.overall(counts)) if values is None else mean_defined(values)


def better(metric: ModuleType) -> str:
    """Return "more" if higher values of a metric are better, else "less"."""
    return "more" if metric.HIGHER_IS_BETTER else "less"


def written(metric: ModuleType, value: float) -> str:
    """Return a value as text in the metric's format."""
    return f"{100 * value:.1f} %" if metric.FORMAT == "percent" else f"{value:.3f}"


def as_text(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the compared metrics of a method's summary as text, by name; "-" where one is not defined."""
    return {
        metric.NAME.format(k=summary["k"]): "-" if summary[key] is None else written(metric, summary[key])
        for key, metric in compared_metrics().items()
    }


def _arguments(metric: ModuleType) -> Mapping[str, Any]:
    return inspect.signature(metric.per_query).parameters
