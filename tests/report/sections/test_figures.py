from report_run import FIGURES, Run


def test_the_best_value_is_the_highest_or_lowest_by_the_metric(run: Run) -> None:
    run.methods(alpha=0.3, beta=0.2)
    run.method("alpha", accuracy=0.9, anmrr=0.3)
    run.method("beta", accuracy=0.8, anmrr=0.2)
    head, *rows = run.section("figures").one("table").cells()
    assert head == ["Figure", "Better", "beta", "alpha"]
    found = {row[0].split()[0]: row[1:] for row in rows}
    assert found["Accuracy"] == ["higher ↑", "80.0 %", "90.0 % best"]
    assert found["ANMRR"] == ["lower ↓", "0.200 best", "0.300"]
    assert len(rows) == len(FIGURES)


def test_one_method_is_not_called_best(run: Run) -> None:
    page = run.report()
    assert "best" not in page.one("section", id="figures").one("table").text.split()
    assert not page.all("details", class_="method")


def test_figures_of_an_unseen_gallery_are_rows_of_the_table(run: Run) -> None:
    unseen = {"gallery": 9, "anmrr": 0.125, "anmrr_train": None}
    run.method("plain", unseen_gallery=unseen)
    *_, one, other = run.section("figures").one("table").cells()
    assert one[0].startswith("ANMRR over images not trained on The gallery is 9 validation images.")
    assert [one[1:], other[1:]] == [["lower ↓", "0.125"], ["lower ↓", "–"]]


def test_figures_state_whether_whole_rankings_were_used(run: Run) -> None:
    whole = run.section("figures").text
    assert "exact rankings of the whole gallery" in whole and "evaluation.exact_rows" not in whole


def test_figures_of_the_first_results_are_marked(run: Run) -> None:
    by = {"kind": "hnsw", "effort": 64, "recall": 0.975}
    for name in list(run.names["method"]):
        run.method(name, ranked=1000, cut=["anmrr", "map", "map_trapezoid"], ranked_by=by)
    section = run.section("figures")
    names = [row[0].split()[0] for row in section.one("table").cells()[1:]]
    assert "MAP@1000" in names and "ANMRR@1000" in names and "MAP" not in names and "Accuracy" in names
    assert "the first 1,000 results of each query were ranked" in section.text
    assert "by its index (hnsw), which found 97.5 % of the nearest" in section.text
    assert "count as not found in ANMRR@1000, MAP@1000 and MAP@1000 (trapezoids)" in section.text
    assert "exact rankings" not in section.text
