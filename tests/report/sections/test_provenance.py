import numpy as np

from report_run import Run


def test_provenance(run: Run) -> None:
    part = run.section("provenance")
    assert part.one("table").cells()[1] == ["plain", "encoder: net", "tree", "18", "2", "abababababababab…"]
    assert "weights random" in part.text and f"numpy {np.__version__}" in part.text
    assert "title: Pets & co" in part.one("pre").text
