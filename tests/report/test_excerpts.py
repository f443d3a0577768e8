import numpy as np
import pandas as pd

from cbir.report import excerpts


def test_the_most_confused_categories() -> None:
    counts = np.array([[5, 0, 0, 0], [0, 1, 2, 0], [0, 0, 9, 0], [1, 0, 0, 7]])
    # Confusions that involve a category: 1, 2, 2, 1.
    assert excerpts.most_confused(counts, 2).tolist() == [1, 2]
    assert excerpts.most_confused(counts, 3).tolist() == [0, 1, 2]
    assert excerpts.most_confused(counts, 9).tolist() == [0, 1, 2, 3]


def test_both_ends_of_a_table() -> None:
    table = pd.DataFrame({"a": range(10)})
    assert excerpts.both_ends(table, 5)["a"].tolist() == [0, 1, 2, 8, 9]
    assert excerpts.both_ends(table, 10)["a"].tolist() == list(range(10))


def test_an_excerpt_has_a_note() -> None:
    assert excerpts.cut(60, 2000, "The 60 worst", "x.csv") == "The 60 worst of 2,000 categories; x.csv has all"
    assert excerpts.cut(7, 7, "The 7 worst", "x.csv") == ""
