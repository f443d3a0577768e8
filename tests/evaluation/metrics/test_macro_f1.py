import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY


def test_the_mean_f1_of_the_categories_with_an_image() -> None:
    # Category 0: 2 of 3 are right, no other is predicted as it: 2 * 2 / (3 + 2). Category 1: 1 of 2, one other: 2 / 4.
    # Category 2 has no image, so its F1 of 0 does not count.
    counts = np.array([[2, 1, 0], [0, 1, 1], [0, 0, 0]])
    assert REGISTRY["macro-f1"].overall(counts) == pytest.approx((4 / 5 + 1 / 2) / 2)
