import pandas as pd

from report_run import CATEGORIES, Run


def test_the_lowest_category(run: Run) -> None:
    part = run.section("worst")
    assert "dog has the lowest F1: 0.571, of precision 0.667 and recall 0.500" in part.text
    assert "Of its 4 test images, 2 were taken for another category: fish (2)." in part.text
    assert "Images of other categories were taken for it: cat (1)." in part.text
    assert "the lowest was dog in 56 %, cat in 40 % and fish in 5 %; ties are shared, and" in part.text.replace(
        " ,", ","
    )
    assert "the mean NMRR at 2 of these is 0.250" in part.text
    assert [card.attrs["class"] for card in part.all("figure")] == ["card query", "card  right", "card  wrong"]
    assert [card.one("figcaption").text for card in part.all("figure")] == [
        "query 7.png NMRR at 2: 0.25",
        "✓ right dog 1.png",
        "✗ wrong fish 3.png",
    ]


def test_categories_that_share_the_lowest_f1_are_counted(run: Run) -> None:
    table = pd.DataFrame({"category": run.categories, **CATEGORIES})
    run.csv("evaluation/plain/categories.csv", table.assign(f1=[4 / 7, 4 / 7, 0.8]))
    assert "2 categories have the lowest F1; shown is the first of them, dog" in run.section("worst").text
    run.csv("evaluation/plain/categories.csv", table.assign(f1=4 / 7))
    assert "All 3 categories have the same F1; shown is dog" in run.section("worst").text
