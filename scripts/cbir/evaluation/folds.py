"""The metrics of each fold of a collection, and their means over the folds with intervals."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.evaluation import measure
from cbir.evaluation.classification import confusion
from cbir.evaluation.measure import Metrics
from cbir.evaluation.relevance import Values


def of_each(
    folds: NDArray[np.integer],
    metrics: Metrics,
    values: dict[str, Values],
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    categories: int,
) -> pd.DataFrame:
    """Compute the metrics of each fold.

    Args:
        folds: int (queries,), the fold of each query.
        metrics: the metrics by their keys.
        values: for each metric of rankings, its value for each query, float64 (queries,).
        truth: int (queries,), labels from 0 to ``categories`` - 1.
        predicted: int (queries,), likewise.
        categories: the number of categories.

    Returns:
        A row for each fold, in order, with the columns ``fold``, ``queries``, and each metric by its key.
    """
    rows = []
    for fold in np.unique(folds):
        own = folds == fold
        counts = confusion(truth[own], predicted[own], categories)
        figures = {
            key: measure.overall(metric, values[key][own] if key in values else None, counts)
            for key, metric in metrics.items()
        }
        rows.append({"fold": int(fold), "queries": int(own.sum()), **figures})
    return pd.DataFrame(rows)


def across(table: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return the mean of each metric over the folds, and a confidence interval for it.

    The interval is Student's t interval, mean +- t s / sqrt(folds). It assumes independent folds. Their queries are
    independent, but their galleries overlap, so the interval is approximate (Bengio and Grandvalet, "No unbiased
    estimator of the variance of k-fold cross-validation", JMLR 5, 2004).

    Args:
        table: as `of_each` returns it.
        confidence: the share of such intervals that contain the true mean.

    Returns:
        ``folds``, ``confidence``, and for each metric a dictionary of ``mean``, ``low`` and ``high``. The mean is None
        if no fold defines the metric, and the bounds are None if fewer than two do.
    """
    # Imported here, because it takes a third of a second and most evaluations have no folds.
    from scipy import stats

    found: dict[str, Any] = {"folds": len(table), "confidence": confidence}
    for key in table.columns.drop(["fold", "queries"]):
        values = table[key].dropna().to_numpy(np.float64)
        mean = float(values.mean()) if len(values) else None
        half = None
        if len(values) > 1:
            half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        low, high = (None, None) if mean is None or half is None else (mean - half, mean + half)
        found[key] = {"mean": mean, "low": low, "high": high}
    return found
