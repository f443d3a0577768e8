"""Precision at k against values worked by hand; cases say what wrong variants would give."""

import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

precision_at_k = REGISTRY["precision-at-k"].per_query


def test_counts_hits_over_k() -> None:
    assert precision_at_k(ranking(1, 3, 4), 3) == pytest.approx([2 / 3])


def test_denominator_stays_k_when_fewer_are_relevant() -> None:
    # Over min(k, NG) it would be 2/2.
    assert precision_at_k(ranking(1, 2), 5) == pytest.approx([2 / 5])


def test_denominator_stays_k_when_the_gallery_is_smaller() -> None:
    # Over the gallery's 4 it would be 3/4.
    assert precision_at_k(ranking(1, 2, 4, gallery=4), 10) == pytest.approx([3 / 10])


def test_is_zero_when_nothing_is_relevant() -> None:
    assert precision_at_k(NONE, 3).tolist() == [0.0]
