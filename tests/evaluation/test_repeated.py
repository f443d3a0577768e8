"""The statistics of benchmarks/repeated.py, against values worked out by hand."""

import importlib
import math
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# On the path only during the import, because another benchmark has the name of a folder of tests.
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCHMARKS))
    repeated = importlib.import_module("repeated")

FOUND = pd.DataFrame(
    [
        {"seed": seed, "method": method, "queries": 20, "others": 80, "accuracy": accuracy, "anmrr": 0.5}
        for method, values in {"a": (0.6, 0.8, 1.0), "b": (0.5, 0.6, 0.7)}.items()
        for seed, accuracy in enumerate(values)
    ]
)


def test_mean_and_spread() -> None:
    # The standard deviation of 0.6, 0.8 and 1.0 is 0.2.
    assert repeated.spread(FOUND, ["accuracy", "anmrr"])[0] == [
        "`a`",
        "3",
        "80.0 % ± 20.0 % (60.0 % to 100.0 %)",
        "0.500 ± 0.000 (0.500 to 0.500)",
    ]


def test_differences_are_paired_and_corrected() -> None:
    # Differences 0.1, 0.2 and 0.3 with n2 / n1 = 20 / 80: t = 0.2 / (0.1 sqrt(1/3 + 1/4)) = 2.618615, and with two
    # degrees of freedom p = 1 - t / sqrt(2 + t^2). Those of ANMRR have no spread, and no test.
    table = repeated.differences(FOUND.sample(frac=1, random_state=0), [("a", "b")], ["accuracy", "anmrr"], 0.95)
    accuracy, anmrr = table.itertuples()
    p_value = 1 - 2.618615 / math.sqrt(2 + 2.618615**2)
    assert (accuracy.repetitions, accuracy.difference) == (3, pytest.approx(0.2))
    assert accuracy.p_value == accuracy.p_corrected == pytest.approx(p_value, abs=1e-6)
    assert (anmrr.difference, math.isnan(anmrr.p_corrected)) == (0, True)
    # Two pairs are two tests.
    both = repeated.differences(FOUND, [("a", "b"), ("b", "a")], ["accuracy"], 0.95)
    assert both["p_corrected"].tolist() == pytest.approx([2 * p_value] * 2, abs=1e-6)


def test_only_seeds_of_random_draws_are_changed() -> None:
    row = {"weights": "imagenet", "training": None}
    encoders = {"plain": row, "trained": row | {"training": {}}, "scratch": {"weights": "random", "training": {}}}
    assert repeated.seeds({"encoders": encoders}, 3) == {
        "split": {"seed": 3},
        "encoders": {"trained": {"training": {"seed": 3}}, "scratch": {"seed": 3, "training": {"seed": 3}}},
    }
