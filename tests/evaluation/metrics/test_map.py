"""Mean average precision against values worked by hand; cases say what wrong variants would give."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

average_precision = REGISTRY["map"].per_query


def test_averages_precision_over_all_relevant() -> None:
    # Precisions 1/1, 2/3, 3/12. An average over the hits of some first k only would leave out the last.
    assert average_precision(ranking(1, 3, 12)) == pytest.approx([(1 + 2 / 3 + 1 / 4) / 3])


def test_with_one_relevant_image_is_the_reciprocal_rank() -> None:
    assert average_precision(ranking(8)) == pytest.approx([1 / 8])


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(average_precision(NONE)).tolist() == [True]
