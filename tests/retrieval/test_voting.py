"""The vote against hand-made neighbourhoods and a slow count."""

from collections import Counter

import numpy as np
import pytest

from cbir.retrieval.voting import majority_of_several, majority_vote


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([7], 7),
        ([5, 2, 2], 2),
        ([2, 5, 2], 2),
        # All labels are different: that of the nearest neighbour wins. scikit-learn takes the smallest, 1.
        ([9, 4, 1], 9),
        # 3 and 8 tie with two votes each: 8 is nearer. 5 is nearer still, but has one vote.
        ([5, 8, 3, 3, 8], 8),
        ([5, 3, 8, 8, 3], 3),
        # More votes count more than a smaller distance.
        ([1, 1, 6, 6, 6], 6),
    ],
)
def test_hand_made_neighbourhoods(labels: list[int], expected: int) -> None:
    assert majority_vote(np.array([labels])).tolist() == [expected]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8])
def test_agrees_with_a_slow_count(k: int) -> None:
    labels = np.random.default_rng(k).integers(-2, 4, size=(500, k), dtype=np.int32)

    def slow(row: list[int]) -> int:
        votes = Counter(row)
        return min(votes, key=lambda label: (-votes[label], row.index(label)))

    voted = majority_vote(labels)
    assert voted.tolist() == [slow(row) for row in labels.tolist()]
    assert voted.dtype == np.int64


def test_no_queries_give_no_labels() -> None:
    assert majority_vote(np.zeros((0, 3), dtype=int)).shape == (0,)


@pytest.mark.parametrize("shape", [(3,), (2, 0), (2, 3, 1)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="k at least 1"):
        majority_vote(np.zeros(shape, dtype=int))


def test_neighbours_of_several_categories() -> None:
    # bird, fish, rock, water.
    has = np.array([[1, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 0]], bool)
    votes = {
        # bird 2, water 1.
        (0, 1, 3): 0,
        # water 2, bird 1, fish 1.
        (3, 2, 1): 3,
        # All have one: the nearest neighbour's, of its two the first.
        (1, 3): 0,
        (2, 3): 1,
        # rock and water have two each: rock is nearer, then water is.
        (3, 1, 3, 2): 2,
        (2, 3, 3, 1): 3,
    }
    for labels, winner in votes.items():
        assert majority_of_several(np.array([labels]), has).tolist() == [winner], labels


def test_with_one_category_each_it_is_the_majority_vote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.retrieval.voting._BLOCK", 7)
    labels = np.random.default_rng(0).integers(0, 5, (60, 6))
    assert majority_of_several(labels, np.eye(5, dtype=bool)).tolist() == majority_vote(labels).tolist()
