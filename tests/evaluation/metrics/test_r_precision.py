"""R-precision against values worked by hand; cases say what wrong variants would give."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

r_precision = REGISTRY["r-precision"].per_query


def test_is_the_precision_at_the_number_of_relevant_images() -> None:
    # NG = 3: ranks 1 and 3 count, rank 4 does not.
    assert r_precision(ranking(1, 3, 4)) == pytest.approx([2 / 3])


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(r_precision(NONE)).tolist() == [True]
