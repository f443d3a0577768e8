"""NMRR at k against values worked by hand; cases say what wrong variants would give."""

import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import ranking

nmrr_at_k = REGISTRY["nmrr-at-k"].per_query


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        # Penalty 3.75, ideal 2, worst 3.75. Costs 1, 2, 3.75: (2.25 - 2) / 1.75.
        ((1, 2), 0.25 / 1.75),
        # Costs 1, 3.75, 3.75: (8.5 / 3 - 2) / 1.75 = 0.476190.
        ((1,), 0.476190),
        # Costs 3, 3.75, 3.75: (3.5 - 2) / 1.75. Ranks from 0 would give 0.6667.
        ((3,), 1.5 / 1.75),
        ((1, 2, 3), 0.0),
        ((), 1.0),
    ],
)
def test_three_results_are_used(ranks: tuple[int, ...], expected: float) -> None:
    assert nmrr_at_k(ranking(*ranks), 3) == pytest.approx([expected], abs=1e-6)


def test_perfect_top_k_is_zero_whatever_ng() -> None:
    # NG = 10 in place of k would give (3.225 - 5.5) / (3.75 - 5.5) = 1.3.
    assert nmrr_at_k(ranking(*range(1, 11)), 3).tolist() == [0.0]


def test_reads_only_the_first_k_columns() -> None:
    relevance = ranking(1, 3, 4, 5)
    assert nmrr_at_k(relevance, 3).tolist() == nmrr_at_k(relevance[:, :3], 3).tolist()


def test_ranks_beyond_the_gallery_are_misses() -> None:
    # k 4, gallery 2: costs 1, 2, 5, 5: (3.25 - 2.5) / (5 - 2.5).
    assert nmrr_at_k(ranking(1, 2, gallery=2), 4) == pytest.approx([0.75 / 2.5])
