"""One new file adds a metric."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
REGISTRY = "scripts/cbir/evaluation/metrics"

# The first is better if lower, has no upper bound and is compared; the second depends on k and is not compared.
ADDED = {
    "first_hit": '''"""Rank of the first right image."""

import math

import numpy as np

from cbir.evaluation.relevance import Relevance, Values

NAME = "first hit"
MEANING = "Rank of the first right image."
HIGHER_IS_BETTER = False
RANGE = (1, math.inf)
FORMAT = "decimal"
ORDER = 45
COLUMN = "first_hit"


def per_query(relevance: Relevance) -> Values:
    return np.where(relevance.any(axis=1), relevance.argmax(axis=1) + 1.0, np.nan)
''',
    "success_at_k": '''"""Success at k."""

from cbir.evaluation.relevance import Relevance, Values, require

NAME = "success at {k}"
MEANING = "Share of queries with a right image among the first {k} results."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "percent"
ORDER = 75
COLUMN = None


def per_query(relevance: Relevance, k: int) -> Values:
    require(relevance, k)
    return relevance[:, :k].any(axis=1).astype(float)
''',
    "balanced_accuracy": '''"""Balanced accuracy."""

from cbir.evaluation.classification import precision_recall_f1

NAME = "balanced accuracy"
MEANING = "Recall of the vote of the {k} nearest images, averaged over the categories."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "percent"
ORDER = 95
COLUMN = None


def overall(counts):
    return precision_recall_f1(counts)[1].mean()
''',
}


def places(project: Path, folder: Path, monitors: list[str]) -> dict[str, Any]:
    folder.mkdir()
    program = Path(__file__).with_name("everywhere.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(project / "scripts"), str(REPOSITORY / "tests")])}
    done = subprocess.run(
        [sys.executable, program, folder, *monitors], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the output of everywhere.py for the project, and for a copy with three additional metrics."""
    folder = tmp_path_factory.mktemp("metrics")
    shutil.copytree(REPOSITORY / "scripts/cbir", folder / "copy/scripts/cbir")
    for name, text in ADDED.items():
        (folder / f"copy/{REGISTRY}/{name}.py").write_text(text)
    words = [name.replace("_", "-") for name in ADDED]
    return places(REPOSITORY, folder / "before", []), places(folder / "copy", folder / "after", words)


# The ranks of the first right images are 1, 1, 1, 1 and 5; the vote is right for c/a, f/c and t/d.
VALUES = {"first_hit": 9 / 5, "success_at_k": 4 / 5, "balanced_accuracy": (1 + 1 / 2 + 1 / 2) / 3}


def test_the_summary_has_the_new_metrics_in_their_order(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = (list(run["summary"]) for run in found)
    assert [key for key in after if key not in ADDED] == before
    assert after[after.index("map") + 1] == "first_hit"
    assert after[after.index("precision_at_k") + 1] == "success_at_k"
    assert after[after.index("macro_f1") + 1] == "balanced_accuracy"
    for key, value in VALUES.items():
        assert found[1]["summary"][key] == pytest.approx(value)


def test_the_other_metrics_keep_their_values(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = found
    assert before["summary"].items() <= after["summary"].items()
    assert before["queries"].items() <= after["queries"].items()


def test_queries_and_comparison_have_the_metric_with_a_column(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, after = found
    assert after["queries"]["first_hit"] == [1, 1, 1, 1, 5]
    assert not {"success_at_k", "balanced_accuracy"} & set(after["queries"])
    methods = after["methods"]
    columns = list(methods)
    place = columns.index("first_hit")
    assert columns[place : place + 3] == ["first_hit", "first_hit_low", "first_hit_high"]
    values = dict(zip(methods["method"], methods["first_hit"], strict=True))
    assert values == {"plain": pytest.approx(9 / 5), "other": 1}
    pair = after["pair"]["first_hit"]
    assert pair["test"] == "paired permutation"
    assert (pair["a"], pair["b"], pair["difference"]) == pytest.approx((9 / 5, 1, 4 / 5))
    assert "first hit (plain 1.800, other 1.000, p = 1)" in after["pair"]["words"]
    assert "first hit (less is better)" in after["picture"]
    low, high = after["limits"]["first hit (less is better)"]
    assert low < 1 and high > 9 / 5
    assert after["terminal"]["first hit"] == "1.800"


def test_the_report_explains_the_new_metrics(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    rows = found[1]["report"]
    assert rows["First hit"]["meaning"] == "Rank of the first right image."
    assert not rows["First hit"]["more_is_better"]
    assert [cell["best"] for cell in rows["First hit"]["cells"]] == [False, True]
    assert rows["Success at 3"]["written"] == "percent"
    assert rows["Success at 3"]["meaning"] == "Share of queries with a right image among the first 3 results."


def test_the_report_compares_the_methods_by_the_new_metric(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    part = found[1]["report's comparison"]
    assert {"key": "first_hit", "name": "First hit", "written": "decimal"} in part["metrics"]
    values = {row["method"]: row["first_hit"] for row in part["rows"]}
    assert values == {"plain": pytest.approx(9 / 5), "other": 1}
    assert all(row["first_hit_low"] <= row["first_hit"] <= row["first_hit_high"] for row in part["rows"])


def test_inspect_checks_the_new_metrics(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    reasons = found[1]["inspect"]
    assert "says first_hit -7, which is 1.8 by queries.csv" in reasons["first_hit"]
    assert "says success_at_k -7" in reasons["success_at_k"]
    assert "says balanced_accuracy -7, which is 0.666667 by confusion.csv" in reasons["balanced_accuracy"]


def test_a_new_metric_can_be_the_monitor_of_a_training(found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    # The other method has every first right image at rank 1, and four of the five votes right.
    history, curve = found[1]["history"], found[1]["curve"]
    assert history == pytest.approx({"first_hit": 1, "success_at_k": 1, "balanced_accuracy": (1 + 1 / 2 + 1) / 3})
    assert "first hit (1 is best)" in curve
    assert "success at k (1 is best)" in curve
