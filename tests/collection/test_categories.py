import numpy as np
import pandas as pd

from cbir.collection.categories import UNKNOWN, category_labels, names_of


def test_an_image_without_a_category_has_no_label() -> None:
    assert category_labels(pd.Series(["b", "", "a", "b"])) == {"a": 0, "b": 1}
    assert category_labels(pd.Series(["", ""])) == {}
    assert list(names_of(np.array([1, UNKNOWN, 0]), ["a", "b"])) == ["b", "", "a"]
    assert list(names_of(np.array([UNKNOWN, UNKNOWN]), [])) == ["", ""]
