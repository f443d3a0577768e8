import itertools
from typing import Any

import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from cbir.training.losses import _mining as mining
from cbir.training.losses import triplet

Floats = NDArray[np.float32]


def mined(kind: str, embeddings: Floats, labels: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Return the triplets that the library chooses, as squared distances (positive, negative)."""
    choose = {"batch-hard": mining.batch_hard_triplets, "semi-hard": mining.semi_hard_triplets}[kind]
    positive, negative, present = map(ops.convert_to_numpy, choose(mining.squared_distances(embeddings), labels))
    return [(float(p), float(n)) for p, n in zip(positive[present == 1], negative[present == 1], strict=True)]


def expected_triplets(kind: str, embeddings: Floats, labels: NDArray[np.int64]) -> list[tuple[float, float]]:
    """Return the triplets by plain loops, from the definitions."""

    def distance(i: int, j: int) -> float:
        return sum((float(a) - float(b)) ** 2 for a, b in zip(embeddings[i], embeddings[j], strict=True))

    chosen = []
    for anchor in range(len(labels)):
        positives = [distance(anchor, j) for j in range(len(labels)) if labels[j] == labels[anchor] and j != anchor]
        negatives = [distance(anchor, j) for j in range(len(labels)) if labels[j] != labels[anchor]]
        if kind == "batch-hard":
            chosen.append((max(positives), min(negatives)))
        else:
            for positive in positives:
                farther = [n for n in negatives if n > positive]
                chosen.append((positive, min(farther) if farther else max(negatives)))
    return chosen


# On a line: category 0 at 0 and 2, category 1 at 1 and 5.
LINE = np.array([[0], [2], [1], [5]], dtype=np.float32)
LINE_LABELS = np.array([0, 0, 1, 1])


def test_squared_distances_by_hand() -> None:
    distances = ops.convert_to_numpy(mining.squared_distances(np.array([[0, 0], [3, 4], [3, 0]], dtype=np.float32)))
    np.testing.assert_allclose(distances, [[0, 25, 9], [25, 0, 16], [9, 16, 0]], atol=1e-5)


def test_batch_hard_by_hand() -> None:
    # 0: positive 2 (4), negative 1 (1). 2: positive 0 (4), negative 1 (1). 1: positive 5 (16), negatives 0 and 2 (1).
    # 5: positive 1 (16), negative 2 (9).
    assert mined("batch-hard", LINE, LINE_LABELS) == [(4, 1), (4, 1), (16, 1), (16, 9)]


def test_semi_hard_by_hand() -> None:
    # 0: positive at 4, negatives at 1 and 25: 25. 2: positive at 4, negatives at 1 and 9: 9.
    # 1: positive at 16, negatives both at 1: none farther, so 1. 5: positive at 16, negatives at 25 and 9: 25.
    assert mined("semi-hard", LINE, LINE_LABELS) == [(4, 25), (4, 9), (16, 1), (16, 25)]


@pytest.mark.parametrize("kind", ["batch-hard", "semi-hard"])
@pytest.mark.parametrize("seed", range(5))
def test_mining_equals_plain_loops_on_random_batches(kind: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(4), [2, 3, 4, 5]))
    embeddings = generator.normal(size=(14, 3)).astype(np.float32)
    found, expected = mined(kind, embeddings, labels), expected_triplets(kind, embeddings, labels)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


# From tensorflow-addons 0.23.0, triplet_semihard_loss(labels, embeddings, margin, "squared-L2") and
# triplet_hard_loss(labels, embeddings, margin, soft=False, distance_metric="squared-L2"), run once by hand.
# pytorch-metric-learning 2.9.0 gives the same batch-hard values to 1e-6: BatchHardMiner and TripletMarginLoss(margin,
# MeanReducer()) with LpDistance(normalize_embeddings=False, power=2).
@pytest.mark.parametrize(
    ("margin", "unit", "semi_hard", "batch_hard"),
    [
        (0.2, False, 0.015513221733272076, 3.8554961681365967),
        (0.2, True, 0.0811372771859169, 1.5803507566452026),
        (1.0, False, 0.4412936270236969, 4.655496120452881),
        (1.0, True, 0.752345085144043, 2.3803505897521973),
    ],
)
def test_loss_equals_tensorflow_addons(margin: float, unit: bool, semi_hard: float, batch_hard: float) -> None:
    i, j = np.indices((12, 5))
    embeddings = np.sin(3.0 * i + 5 * j + i * j).astype(np.float32)
    if unit:
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    labels = np.array([0, 1, 2, 3] * 3)
    distances = mining.squared_distances(embeddings)
    for choose, expected in ((mining.semi_hard_triplets, semi_hard), (mining.batch_hard_triplets, batch_hard)):
        loss, _ = triplet.triplet_loss(*choose(distances, labels), margin)
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_random_partners_are_of_the_same_and_of_another_category() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    seen: set[tuple[int, int, int]] = set()
    for seed in range(400):
        positives, negatives = mining.random_partners(labels, np.random.default_rng(seed))
        seen |= set(zip(range(9), positives.tolist(), negatives.tolist(), strict=True))
    every = {
        (a, p, n)
        for a, p, n in itertools.product(range(9), repeat=3)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    }
    assert seen == every


def test_random_triplets_take_the_partners_given() -> None:
    positive, negative, present = mining.random_triplets(
        mining.squared_distances(LINE), np.array([1, 0, 3, 2]), np.array([3, 2, 0, 1])
    )
    assert ops.convert_to_numpy(positive).tolist() == [4, 4, 16, 16]
    assert ops.convert_to_numpy(negative).tolist() == [25, 1, 1, 9]
    assert ops.convert_to_numpy(present).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("kind", ["batch-hard", "semi-hard"])
def test_identical_images_give_finite_triplets(kind: str) -> None:
    same = np.ones((4, 3), dtype=np.float32)
    assert mined(kind, same, LINE_LABELS) == [(0, 0)] * 4


def numbers(*values: Any) -> Floats:
    return np.array(values, dtype=np.float32)


def test_loss_and_active_share_by_hand() -> None:
    # Hinges at margin 0.5: 1 - 2 + 0.5 < 0, so 0; 1 - 1.25 + 0.5 = 0.25; 3 - 1 + 0.5 = 2.5; the last is no triplet.
    loss, active = triplet.triplet_loss(numbers(1, 1, 3, 9), numbers(2, 1.25, 1, 0), numbers(1, 1, 1, 0), 0.5)
    assert float(loss) == pytest.approx(2.75 / 3)
    assert float(active) == pytest.approx(2 / 3)


def test_a_triplet_exactly_at_the_margin_is_not_active() -> None:
    loss, active = triplet.triplet_loss(numbers(1), numbers(1.5), numbers(1), 0.5)
    assert (float(loss), float(active)) == (0, 0)
