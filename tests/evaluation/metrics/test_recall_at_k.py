"""Recall at k against values worked by hand; cases say what wrong variants would give."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

recall_at_k = REGISTRY["recall-at-k"].per_query


def test_counts_hits_over_all_relevant() -> None:
    # The metric learning "recall@k" would be 1, over min(k, NG) it would be 2/3.
    assert recall_at_k(ranking(1, 3, 4, 9), 3) == pytest.approx([2 / 4])


def test_reaches_one_when_k_exceeds_the_gallery() -> None:
    assert recall_at_k(ranking(2, 4, gallery=4), 10).tolist() == [1.0]


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(recall_at_k(NONE, 3)).tolist() == [True]
