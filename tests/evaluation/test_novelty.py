"""Scores of known and of hidden queries, their AUROC and the threshold, by hand on a line and against scikit-learn."""

import numpy as np
import pytest

from cbir.evaluation import novelty

# On a line. Categories 0, 1 and 2; queries of 0 and of 2, and one of a category that the gallery does not have.
GALLERY = np.array([[0], [1], [5], [9], [10]], np.float32)
LABELS = np.array([0, 0, 1, 2, 2])
QUERIES = np.array([[0.5], [9.25], [7]], np.float32)
ASKED = np.array([0, 2, 7])


def test_the_mean_distance_to_the_nearest() -> None:
    distances = np.array([[1.0, 2, 6], [0, 0, 3]])
    assert novelty.scores(distances, [1, 2, 9]).tolist() == [[1, 0], [1.5, 0], [3, 1]]
    assert novelty.scores(distances[:0], [1, 2]).shape == (2, 0)


@pytest.mark.parametrize("copied", [1, 2, 65_536])
def test_a_query_is_searched_without_its_category(copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # However many rows of the gallery are copied at once.
    monkeypatch.setattr(novelty, "_COPIED", copied)
    found = novelty.hidden_scores(GALLERY, LABELS, QUERIES, ASKED, [1, 2])
    # 0.5 without 0: 5, then 9. 9.25 without 2: 5, then 1. 7, of no category: 5 and 9 of the whole gallery.
    assert found.tolist() == [[4.5, 4.25, 2], [6.5, 6.25, 2]]


def test_a_fifth_of_the_categories_is_hidden_at_once() -> None:
    # Ten categories at 0, 1, ... 9. Those five apart are hidden together, so 2's query at 2 finds 1 and not 7.
    labels = np.arange(10)
    gallery = np.arange(10, dtype=np.float32)[:, None]
    gallery[7] = 2.25
    found = novelty.hidden_scores(gallery, labels, np.array([[2]], np.float32), np.array([2]), [1])
    assert found.tolist() == [[1]]


def test_a_gallery_of_one_category_gives_no_scores() -> None:
    found = novelty.hidden_scores(GALLERY, np.zeros(5, np.int64), QUERIES, np.array([0, 0, 3]), [1])
    np.testing.assert_array_equal(found, [[np.nan, np.nan, 2]])


def test_auroc_by_hand() -> None:
    # Of the six pairs the unknown one scores higher in one (2 over 1) and as high in one (2 over 2).
    assert novelty.auroc(np.array([1.0, 3, 2]), np.array([2.0, 0.5])) == pytest.approx(1.5 / 6)
    assert novelty.auroc(np.array([1.0, 2]), np.array([3.0])) == 1
    assert novelty.auroc(np.array([1.0]), np.array([])) is None
    assert novelty.auroc(np.array([]), np.array([1.0])) is None


def test_auroc_equals_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    known, unknown = random.normal(size=70).round(1), random.normal(1, size=50).round(1)
    expected = roc_auc_score(np.repeat([0, 1], [70, 50]), np.r_[known, unknown])
    assert novelty.auroc(known, unknown) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("count", "place"), [(19, 19), (20, 20), (39, 38), (99, 95), (100, 96)])
def test_the_threshold_is_the_score_of_the_conformal_rank(count: int, place: int) -> None:
    # ceil((n + 1) * 0.95): 19, 19.95, 38, 95, 95.95.
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert novelty.threshold(scores, 0.05) == place


def test_too_few_scores_give_no_threshold() -> None:
    with pytest.raises(ValueError, match="18 known queries"):
        novelty.threshold(np.arange(18.0), 0.05)


def test_the_bound_on_false_alarms_holds() -> None:
    # Of all 21 ways to choose which of 21 different scores is the new one, it lies above the threshold of the others in
    # one: when it is the largest. 1 / 21 is at most 0.05.
    scores = np.arange(21.0)
    alarms = [scores[new] > novelty.threshold(np.delete(scores, new), 0.05) for new in range(21)]
    assert sum(alarms) == 1
