import numpy as np

from cbir.evaluation.classification import confusion, precision_recall_f1


def test_precision_recall_and_f1_worked_by_hand() -> None:
    # Three images of category 0, one of them predicted as 1; one of 1; none of 2, and none predicted as 2.
    counts = confusion(np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1]), 3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    precision, recall, f1 = precision_recall_f1(counts)
    np.testing.assert_allclose(precision, [1, 1 / 2, 0])
    np.testing.assert_allclose(recall, [2 / 3, 1, 0])
    np.testing.assert_allclose(f1, [4 / 5, 2 / 3, 0])
