"""The jobs that run again after a metric is added or changed."""

import json
import re
from pathlib import Path

import pytest

from workplace import Workplace

BEFORE_EVALUATION = {"train", "encode", "assemble", "fit", "derive", "index"}
SHARE_OF_QUERIES = '''"""Share of queries whose first result is right."""

from cbir.evaluation.relevance import Relevance, Values

NAME = "first is right"
MEANING = "Share of queries whose first result is right."
HIGHER_IS_BETTER = True
RANGE = (0, 1)
FORMAT = "percent"
ORDER = 5
COLUMN = None


def per_query(relevance: Relevance) -> Values:
    return relevance[:, 0].astype(float)
'''


@pytest.fixture
def place(machines: tuple[Workplace, Workplace], tmp_path: Path) -> Workplace:
    """Return a finished run with every kind of method, one of them trained with the monitor anmrr."""
    return machines[0].copy(tmp_path / "place")


def registry(place: Workplace) -> Path:
    return place.checkout / "scripts/cbir/evaluation/metrics"


def planned(place: Workplace) -> set[str]:
    """Return the rules that a run would execute."""
    run = place.run("--dry-run")
    assert run.status == 0, run.output
    return set(re.findall(r"^(?:local)?rule (\w+):", run.output, re.MULTILINE)) - {"all"}


def test_a_new_metric_reruns_evaluations_but_no_encoding_training_or_indexing(place: Workplace) -> None:
    (registry(place) / "first_is_right.py").write_text(SHARE_OF_QUERIES)
    run = place.run()
    assert run.status == 0, run.output
    assert run.rules["evaluate"] == 4
    assert not BEFORE_EVALUATION & set(run.rules)
    results = place.folder / "results"
    summary = json.loads((results / "evaluation/trained/summary.json").read_text())
    assert list(summary)[3:5] == ["first_is_right", "accuracy"]
    assert "first_is_right" in (results / "comparison/methods.csv").read_text().splitlines()[0].split(",")
    assert "Share of queries whose first result is right." in (results / "report.html").read_text()


def test_a_changed_metric_reruns_only_trainings_that_it_monitors(place: Workplace) -> None:
    assert not planned(place)
    for metric, trains in (("r_precision", False), ("map", False), ("anmrr", True)):
        path = registry(place) / f"{metric}.py"
        before = path.read_text()
        path.write_text(before + "\n\ndef added() -> int:\n    return 1\n")
        rules = planned(place)
        assert "evaluate" in rules
        assert ("train" in rules) == trains, metric
        path.write_text(before)
