"""MAP by trapezoids against values worked by hand; test_judgements.py has 5,000 random rankings."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

map_trapezoid = REGISTRY["map-trapezoid"].per_query


@pytest.mark.parametrize(
    ("ranks", "value"),
    # At rank 2 precision rises from 0 to 1/2; MAP would be 1/2. At rank 4 it rises from 2/3 to 3/4.
    [((1,), 1), ((2,), 1 / 4), ((1, 2, 4), (1 + 1 + 17 / 24) / 3)],
)
def test_is_the_area_under_precision_over_recall(ranks: tuple[int, ...], value: float) -> None:
    assert map_trapezoid(ranking(*ranks)) == pytest.approx([value], rel=1e-15)


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(map_trapezoid(NONE)).tolist() == [True]
