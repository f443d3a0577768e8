"""The section of the split protocol."""

import shutil

import pytest

from cbir.evaluation.measure import all_metrics
from report_run import Run


def test_a_protocol_without_an_explanation_has_no_section(run: Run) -> None:
    assert "protocol" not in [section["name"] for section in run.gather()["sections"]]


@pytest.mark.parametrize("protocol", ["disjoint", "leave-one-out", "k-fold", "query-gallery"])
def test_a_protocol_is_explained(run: Run, protocol: str) -> None:
    run.config["split"]["protocol"] = protocol
    # The gallery is read, whether it is train or test.
    shutil.copy(run.results / "features/plain/train.h5", run.results / "features/plain/test.h5")
    [section] = [section for section in run.gather()["sections"] if section["name"] == "protocol"]
    assert section["data"]["name"] == protocol and section["data"]["words"].endswith(".")
    assert section["data"]["folds"] is section["data"]["setups"] is None


def test_folds_and_setups_are_tables(run: Run) -> None:
    run.config["split"] |= {"protocol": "query-gallery", "setup": "hard"}
    row = {"mean": 0.5, "low": 0.25, "high": None}
    setup = {"queries": 3, "map_trapezoid": 0.625, "mp_at_1": None, "mp_at_5": 0.5, "mp_at_10": 0.25}
    run.method(
        "plain", folds={"folds": 4, "confidence": 0.9, **dict.fromkeys(all_metrics(), row)}, setups={"hard": setup}
    )
    page = run.section("protocol")
    folds, setups = page.all("table")
    assert "Mean of each figure over 4 folds, with an interval of 90 % confidence" in folds.text
    assert folds.cells()[1] == ["Accuracy", "50.0 % (25.0 % to –)"]
    assert setups.cells()[1:3] == [["hard", "MAP (trapezoids)", "0.625"], ["hard", "mP@1", "–"]]
