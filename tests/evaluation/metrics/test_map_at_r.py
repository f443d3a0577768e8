"""MAP@R against values worked by hand; cases say what wrong variants would give."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

average_precision_at_r = REGISTRY["map-at-r"].per_query


def test_counts_ranks_up_to_r_over_r() -> None:
    # R = 4: precisions 1/1 and 2/3 count, rank 5 does not. Over the 2 hits it would be 0.833; up to rank 5, 0.567.
    assert average_precision_at_r(ranking(1, 3, 5, 12)) == pytest.approx([(1 + 2 / 3) / 4])


@pytest.mark.parametrize(
    ("ranks", "r_precision", "map_at_r"),
    [((1,), 0.10, 0.10), ((1, 10), 0.20, 0.12), ((1, 2), 0.20, 0.20), (tuple(range(1, 11)), 1.0, 1.0)],
)
def test_published_examples(ranks: tuple[int, ...], r_precision: float, map_at_r: float) -> None:
    # Musgrave et al. 2020, the toy example: R = 10, and which of the first 10 results are right.
    late = range(100 - (10 - len(ranks)), 100)
    relevance = ranking(*ranks, *late, gallery=100)
    assert REGISTRY["r-precision"].per_query(relevance) == pytest.approx([r_precision])
    assert average_precision_at_r(relevance) == pytest.approx([map_at_r])


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(average_precision_at_r(NONE)).tolist() == [True]
