import pytest

from cbir.report import excerpts
from report_run import Run


def test_confusions(run: Run) -> None:
    matrix, frequent = run.section("confusion").all("table")
    assert matrix.cells()[1:] == [["cat", "3", "1", ""], ["dog", "", "2", "2"], ["fish", "", "", "4"]]
    assert frequent.cells()[1:] == [["dog", "fish", "2", "4", "50.0 %"], ["cat", "dog", "1", "4", "25.0 %"]]
    assert matrix.all("td", title="dog taken for fish: 2 of 4")


def test_with_many_categories_the_most_confused_are_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "MOST", 2)
    part = run.section("confusion")
    matrix, frequent = part.all("table")
    # Confusions that involve a category: cat 1, dog 3, fish 2.
    assert matrix.cells()[1:] == [["dog", "2", "2"], ["fish", "", "4"]]
    assert "The 2 most confused of 3 categories" in part.text
    assert len(frequent.cells()) == 3
