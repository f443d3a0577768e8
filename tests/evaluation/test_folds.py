import math

import numpy as np
import pandas as pd
import pytest

from cbir.evaluation.folds import across, of_each
from cbir.evaluation.measure import all_metrics


def test_each_fold_has_the_means_of_its_own_queries() -> None:
    metrics = {key: metric for key, metric in all_metrics().items() if key in ("accuracy", "map")}
    found = of_each(
        np.array([2, 1, 2, 1]),
        metrics,
        {"map": np.array([0.5, 0.25, 1.0, np.nan])},
        np.array([0, 0, 1, 1]),
        np.array([0, 1, 1, 1]),
        2,
    )
    # Means exclude undefined values.
    assert found.to_dict("list") == {
        "fold": [1, 2],
        "queries": [2, 2],
        "accuracy": [0.5, 1.0],
        "map": [0.25, 0.75],
    }


def test_intervals_are_students() -> None:
    table = pd.DataFrame(
        {"fold": [1, 2, 3], "queries": [9, 9, 9], "map": [0.4, 0.5, 0.9], "anmrr": [np.nan, 0.2, np.nan]}
    )
    found = across(table, 0.95)
    # The deviation is sqrt((0.04 + 0.01 + 0.09) / 2) = sqrt(0.07); t of 2 degrees of freedom at 97.5 % is 4.302653.
    half = 4.3026527 * math.sqrt(0.07 / 3)
    assert found["map"] == pytest.approx({"mean": 0.6, "low": 0.6 - half, "high": 0.6 + half}, rel=1e-7)
    # A single value has no deviation.
    assert found["anmrr"] == {"mean": 0.2, "low": None, "high": None}
    assert (found["folds"], found["confidence"]) == (3, 0.95)
    assert across(table.assign(map=np.nan), 0.95)["map"] == {"mean": None, "low": None, "high": None}
