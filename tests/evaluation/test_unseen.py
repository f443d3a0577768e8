"""ANMRR over validation images and as many train images, by hand on a line."""

import numpy as np
import pytest

from cbir.evaluation import unseen
from cbir.evaluation.unseen import unseen_gallery
from cbir.features.store import FeatureStore


def store(images: dict[str, float]) -> FeatureStore:
    """Return a store of images on a line, named by the letter of their category; the name is also used as the hash."""
    names = np.array(list(images), object)
    features = np.array([[place] for place in images.values()], np.float32)
    return FeatureStore(features, names, np.array(["cft".index(name[0]) for name in images]), names, {})


TEST = store({"c": 0.1, "f": 2.2, "fish": 7, "t": 15})


def test_both_galleries_have_as_many_images_of_each_category() -> None:
    # Of c one each, of f one each, of t none, because val has none. NG = GTM = 1, K = 2: rank 1 gives 0, rank 2 gives
    # (2 - 1) / (2.5 - 1) = 2/3. The query t is not defined.
    train, val = store({"t0": 9, "f0": 5, "c1": 1, "c0": 3, "f1": 8}), store({"f9": 6, "c8": 3})
    found = unseen_gallery(train, val, TEST)
    # Nearest to 2.2 is c8 of val and c0 of train (c1 is not the first by its content); 0.1 and 7 find their own.
    assert found == {"gallery": 2, "anmrr": pytest.approx(2 / 9), "anmrr_train": pytest.approx(2 / 9)}
    # The first by content of train is another now: f0 beside 2.2.
    closer = store({"t0": 9, "f0": 2, "c1": 1, "c0": 0, "f1": 8})
    assert unseen_gallery(closer, val, TEST) == {"gallery": 2, "anmrr": pytest.approx(2 / 9), "anmrr_train": 0}


def test_the_order_of_rows_does_not_matter_and_surplus_val_images_are_dropped() -> None:
    few, many = {"c0": 3.0, "f0": 5.0}, {"f8": 6.0, "c8": 3.0, "c9": 0.0, "f9": 2.0}
    found = unseen_gallery(store(few), store(many), TEST)
    assert found == unseen_gallery(store(few), store(dict(reversed(many.items()))), TEST)
    assert found == {"gallery": 2, "anmrr": pytest.approx(2 / 9), "anmrr_train": pytest.approx(2 / 9)}


def test_without_common_categories_there_is_no_figure() -> None:
    none = store({"c0": 0.0})
    assert unseen_gallery(none, store({"f0": 0.0}), TEST) == {"gallery": 0, "anmrr": None, "anmrr_train": None}
    nobody = np.array([], object)
    empty = FeatureStore(np.empty((0, 1), np.float32), nobody, np.array([], np.int64), nobody, {})
    assert unseen_gallery(none, empty, TEST) == {"gallery": 0, "anmrr": None, "anmrr_train": None}


def test_of_large_splits_a_sample_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two thirds of each category: c0 and c1 of three, f0 and f1 of three. Two of the four queries: 0.1 and 15.
    train = {"c0": 0.0, "c1": 1.0, "c2": 2.0, "f0": 3.0, "f1": 4.0, "f2": 5.0}
    val = train | {"c0": 12.0, "f2": 20.0}
    monkeypatch.setattr(unseen, "MOST_IMAGES", 4)
    monkeypatch.setattr(unseen, "MOST_PAIRS", 8)
    asked = store({"c": 0.1, "f": 2.2, "fish": 7, "fowl": 15})
    # NG = GTM = 2, K = 4, NMRR = (mean rank - 1.5) / (5 - 1.5). In train 0, 1 are c and 3, 4 are f: 0 for 0.1 and for
    # 15. In val c1 (1) f0 (3) f1 (4) c0 (12): 0.1 has the ranks 1 and 4, which is 1 / 3.5; 15 has 2 and 3, the same.
    assert unseen_gallery(store(train), store(val), asked) == {
        "gallery": 4,
        "anmrr": pytest.approx(1 / 3.5),
        "anmrr_train": 0,
    }
