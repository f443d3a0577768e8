from report_run import Run


def test_categories_are_sorted_by_f1_and_undefined_values_are_dashes(run: Run) -> None:
    rows = run.section("categories").one("table").cells()[1:]
    assert rows == [
        ["cat", "", "0.857", "1.000", "0.750", "0.100", "4"],
        ["fish", "", "0.800", "0.667", "1.000", "–", "4"],
        ["dog", "", "0.571", "0.667", "0.500", "0.500", "4"],
    ]
