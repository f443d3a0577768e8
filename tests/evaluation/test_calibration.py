"""Calibration: fitted on val images, applied to results, and measured on test images."""

import json
import math
from typing import Any

import numpy as np
import pytest

from cbir.collection.categories import Relevant
from cbir.evaluation import calibration
from cbir.evaluation.calibration import Calibration, calibrate, from_data, shown
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError


def store(labels: Any, places: Any) -> FeatureStore:
    """Return a store of images on a line."""
    names = np.array([f"{label}/{row}" for row, label in enumerate(labels)], object)
    return FeatureStore(np.float32(places)[:, None], names, np.asarray(labels, np.int64), names, {"method": "m"})


# Two categories, each a row of 12 images at distance 1; the rows are 1,000 apart, and each has 2 images of the other.
ROW = np.arange(12.0)
GALLERY = store([0] * 10 + [1, 1] + [1] * 10 + [0, 0], np.r_[ROW, 1000 + ROW])
# Ten queries of each at the beginning of their row: the ten nearest results are right, at 0 to 9.
VAL = store([0] * 10 + [1] * 10, [0.0] * 10 + [1000.0] * 10)
# One of the two test queries is at the far end, where the two wrong images are: 8 of 10 are right.
TEST = store([0, 1], [0, 1011])


def edited(**changes: Any) -> dict[str, Any]:
    data = calibrate(GALLERY, store(VAL.label, [5.5] * 10 + [1005.5] * 10), TEST)
    for key, value in changes.items():
        part, name = key.split("__")
        data[part][name] = value
    return data


def test_probability_is_fitted_on_val_and_measured_on_test() -> None:
    # At 5.5 the ten nearest lie at 1 to 10, two each 0.5, 1.5, ... 4.5 away; the one at 10 is wrong, that at 1 right.
    found = edited()["probability"]
    assert (found["too_few"], found["val_queries"], found["val_right"], found["val_wrong"]) == (None, 20, 180, 20)
    # Nearest: 160 right ones and the added wrong one; then 20 right of 40 and the added right one.
    assert found["distances"] == [0.5, 3.5, 4.5]
    assert found["probabilities"] == pytest.approx([160 / 161, 160 / 161, 21 / 41])
    # Test: results at 0 to 9, of the first all right, of the second the first two wrong. 0 to 3 are stated as 160/161,
    # and 4 halfway between, the rest as 21/41.
    reliability = found["reliability"]
    assert [(row["results"], row["share_right"]) for row in reliability["bins"]] == [(10, 1), (2, 1), (8, 6 / 8)]


def test_new_queries_are_distinguished_from_known_ones() -> None:
    found = edited()["novelty"]
    assert found["too_few"] is None
    # Without its category the nearest images of a query are at least 4.5 away, at the end of its row; with it, 0.5.
    assert found["val"]["known"] == found["val"]["unknown"] == 20
    assert found["val"]["auroc"] == 1 and found["val"]["false_alarms"] == 0
    assert {row["neighbours"] for row in found["tried"]} == {1, 3, 5, 10}
    # The smallest number among equally good ones; all known val queries have the score 0.5.
    assert (found["neighbours"], found["threshold"]) == (1, 0.5)
    learned = from_data(edited(), "x")
    assert learned.novelty(np.array([0.5, 9])).is_new is False
    new = learned.novelty(np.array([0.6, 0.7]))
    assert (new.score, new.threshold, new.is_new) == (0.6, 0.5, True)


def test_a_calibration_is_json_data_and_is_read_back() -> None:
    data = edited()
    learned = from_data(json.loads(json.dumps(data, allow_nan=False)), "x")
    assert learned.curve.distances.tolist() == data["probability"]["distances"]
    assert learned.plain_probabilities(np.array([0.0, 99])) == pytest.approx([160 / 161, 21 / 41])


@pytest.mark.parametrize("rows", [range(0), range(19), range(20)])
def test_too_few_results_are_reported(rows: range) -> None:
    few = FeatureStore(VAL.features[rows], VAL.image_id[rows], VAL.label[rows], VAL.sha256[rows], {})
    data = calibrate(GALLERY, few, TEST)
    right = 10 * len(rows)
    assert data["probability"]["too_few"].startswith(
        f"The 10 nearest results of {len(rows)} val images are {right} right and 0 wrong ones; a probability needs 20"
    )
    learned = from_data(data, "x")
    assert learned.plain_probabilities(np.array([1.0, 2])) == [None, None]
    # 20 images are enough for a threshold, which needs no wrong result.
    assert (learned.novelty(np.array([1.0])) is None) == (len(rows) < 20)
    json.dumps(data, allow_nan=False)


def test_a_sample_of_a_larger_split_has_all_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_QUERIES", 20)
    # Places 0, 5.2, 10.4, ... 99: those from 80 on are 83.4, 88.6, 93.8 and 99. At 5.5 one of ten results is wrong, at
    # 1011 two are.
    many = store([0] * 80 + [1] * 20, [5.5] * 80 + [1011.0] * 20)
    found = calibrate(GALLERY, many, many)
    assert (found["probability"]["val_queries"], found["probability"]["val_wrong"]) == (20, 16 * 1 + 4 * 2)
    assert (found["probability"]["reliability"]["results"], found["novelty"]["test"]["known"]) == (200, 20)


def test_a_single_category_has_no_unknown_queries() -> None:
    one = calibrate(store([0] * 20, np.arange(20)), store([0] * 30, np.arange(30)), store([0], [1]))
    assert "the gallery, which has 1;" in one["novelty"]["too_few"]


def test_categories_that_the_gallery_does_not_have_are_unknown() -> None:
    far = calibrate(GALLERY, store([*VAL.label, 7], [*VAL.features[:, 0], 500]), store([7], [500]))
    assert far["novelty"]["val"]["unknown"] == 21
    assert far["novelty"]["test"] | {"auroc": 0} == {
        "known": 0, "unknown": 1, "auroc": 0, "false_alarms": None, "detected": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "damaged",
    [
        {},
        {"probability": 3, "novelty": {}},
        edited(probability__distances=[1, 2]),
        edited(probability__distances=[3, 2, 1]),
        edited(probability__distances=[1, 2, math.inf]),
        edited(probability__probabilities=[0.9, 0.5, 0.6]),
        edited(probability__probabilities=[1.5, 0.5, 0.1]),
        edited(probability__probabilities=[0.9, 0.5, math.nan]),
        edited(probability__probabilities="0.9"),
        edited(probability__distances=[], probability__probabilities=[]),
        edited(novelty__neighbours=10**9),
        edited(novelty__neighbours=True),
        edited(novelty__threshold="1"),
        edited(novelty__threshold=math.nan),
    ],
)
def test_a_damaged_file_is_reported(damaged: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^a/b\.json is damaged \(.*\): remove it and run again\.$"):
        from_data(damaged, "a/b.json")


def test_without_a_curve_there_is_no_probability() -> None:
    none = Calibration(None, 0, math.inf)
    assert none.plain_probabilities(np.array([1.0])) == [None]
    assert none.novelty(np.array([1.0])) is None


@pytest.mark.parametrize(
    ("probability", "words"),
    [(None, ""), (math.nan, ""), (0.874, "87 %"), (0.995, "> 99 %"), (0.994, "99 %"), (0.004, "< 1 %"), (0.5, "50 %")],
)
def test_probabilities_are_rounded_for_display(probability: float | None, words: str) -> None:
    assert shown(probability) == words


def test_an_image_that_shares_a_category_is_right() -> None:
    # Two labels share a category; for comparison, relevance by equal labels.
    pair, queries = store([0] * 20, np.arange(20)), store([1] * 20, np.arange(20))
    shared = calibrate(pair, queries, queries, relevant=Relevant(["bird", "bird / water"]))
    assert shared["probability"]["val_right"] == 200 and shared["probability"]["val_wrong"] == 0
    assert calibrate(pair, queries, queries)["probability"]["val_right"] == 0
