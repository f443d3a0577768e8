import numpy as np
import pandas as pd

from cbir.collection.categories import UNKNOWN, Relevant, category_labels, members, names_of, rarest, share, singles


def test_an_image_without_a_category_has_no_label() -> None:
    assert category_labels(pd.Series(["b", "", "a", "b"])) == {"a": 0, "b": 1}
    assert category_labels(pd.Series(["", ""])) == {}
    assert list(names_of(np.array([1, UNKNOWN, 0]), ["a", "b"])) == ["b", "", "a"]
    assert list(names_of(np.array([UNKNOWN, UNKNOWN]), [])) == ["", ""]


def test_images_of_several_categories_share_some() -> None:
    categories = ["bird", "bird / water", "fish", "rock/pop"]
    assert members("bird / water") == ["bird", "water"] and members("rock/pop") == ["rock/pop"] and members("") == []
    assert singles([*categories, ""]) == ["bird", "fish", "rock/pop", "water"]
    assert [share("bird / water", other) for other in categories] == [True, True, False, False]
    # bird has 3 images, water 2, fish and rock 1 each; among equally rare ones the first by name counts.
    images = pd.Series(["bird", "bird / water", "bird / water", "", "fish / rock"])
    assert list(rarest(images)) == ["bird", "water", "water", "", "fish"]
    relevant = Relevant(categories)
    assert relevant.names == singles(categories) and relevant.several
    found = relevant(np.arange(4)[:, None], np.arange(4))
    assert found.tolist() == [[share(one, other) for other in categories] for one in categories]
    assert relevant.count(np.array([1, 2, 4, 8])).tolist() == [3, 3, 4, 8]


def test_with_one_category_each_equal_labels_are_relevant() -> None:
    relevant = Relevant(["b", "a"])
    assert relevant.names == ["b", "a"] and not relevant.several
    assert relevant(np.array([0, 1, 1]), np.array([0, 0, 1])).tolist() == [True, False, True]
    assert relevant.count(np.array([3, 5])).tolist() == [3, 5]
