"""The hit rate at k against values worked by hand; cases say what wrong variants would give."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

hit_at_k = REGISTRY["hit-at-k"].per_query


@pytest.mark.parametrize(("ranks", "value"), [((1, 2, 9), 1), ((3,), 1), ((4, 5), 0)])
def test_is_one_if_any_of_the_first_k_is_relevant(ranks: tuple[int, ...], value: float) -> None:
    # The recall of information retrieval would be 2/3 in the first case.
    assert hit_at_k(ranking(*ranks), 3).tolist() == [value]


def test_is_undefined_when_nothing_is_relevant() -> None:
    # A CMC that counted such a query as a miss would never reach 1.
    assert np.isnan(hit_at_k(NONE, 3)).tolist() == [True]
