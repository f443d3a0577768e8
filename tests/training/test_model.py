import numpy as np
import pytest

from cbir.training.model import spread


def test_spread_by_hand() -> None:
    # Mean (1, 0); squared distances to it 1, 1, 4, 4; their mean 2.5.
    assert float(spread(np.array([[0, 0], [2, 0], [1, 2], [1, -2]], dtype=np.float32))) == pytest.approx(2.5**0.5)
