import numpy as np

from cbir.evaluation.metrics import REGISTRY


def test_the_share_on_the_diagonal() -> None:
    # 2 + 1 of 5; the last category has no image. The mean of the categories' recalls would be (2/3 + 1/2) / 2.
    assert REGISTRY["accuracy"].overall(np.array([[2, 1, 0], [0, 1, 1], [0, 0, 0]])) == 3 / 5
