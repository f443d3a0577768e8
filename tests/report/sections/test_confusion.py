from report_run import Run


def test_confusions(run: Run) -> None:
    matrix, frequent = run.section("confusion").all("table")
    assert matrix.cells()[1:] == [["cat", "3", "1", ""], ["dog", "", "2", "2"], ["fish", "", "", "4"]]
    assert frequent.cells()[1:] == [["dog", "fish", "2", "4", "50.0 %"], ["cat", "dog", "1", "4", "25.0 %"]]
    assert matrix.all("td", title="dog taken for fish: 2 of 4")
