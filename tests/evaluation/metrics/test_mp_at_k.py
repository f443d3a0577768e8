"""Mean precision at k against values worked by hand; test_judgements.py has 5,000 random rankings."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

mp_at_k = REGISTRY["mp-at-k"].per_query


@pytest.mark.parametrize(
    ("ranks", "value"),
    # Precision at 5 would be 2/5, 1/5, 1/5 and 0.
    [((1, 2), 1), ((4,), 1 / 4), ((3, 9), 1 / 5), ((7,), 0)],
)
def test_ends_at_the_last_relevant_image(ranks: tuple[int, ...], value: float) -> None:
    assert mp_at_k(ranking(*ranks), 5).tolist() == [value]


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(mp_at_k(NONE, 3)).tolist() == [True]
