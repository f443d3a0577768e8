"""NMRR, whose mean is ANMRR, against values worked by hand; cases say what wrong variants would give."""

import numpy as np
import pytest

from cbir.evaluation.metrics import REGISTRY
from rankings import NONE, ranking

nmrr = REGISTRY["anmrr"].per_query


def test_miss_between_k_and_penalty_costs_the_penalty() -> None:
    # NG 2, GTM 4: K = min(8, 8) = 8, penalty 10. Costs 1 and 10: AVR 5.5; (5.5 - 1.5) / (10 - 1.5) = 8/17 = 0.4706.
    # min(rank, 1.25 K) costs 9 and gives 7/17 = 0.4118; so does a K + 1 penalty, or 3.5 / 7.5 = 0.4667 with the
    # denominator following it;
    # ranks from 0 cost 0 and 8, 5/17 = 0.2941; K = 2 NG = 4 gives (3 - 1.5) / (5 - 1.5) = 0.4286;
    # the denominator K + 0.5 - 0.5 NG gives 4 / 7.5 = 0.5333.
    assert nmrr(ranking(1, 9), gtm=4) == pytest.approx([8 / 17])


def test_a_rank_equal_to_k_costs_its_rank() -> None:
    # K = 8, costs 1 and 8: (4.5 - 1.5) / 8.5 = 6/17. If the condition were rank < K, rank 8 would cost 10: 8/17.
    assert nmrr(ranking(1, 8), gtm=4) == pytest.approx([6 / 17])


def test_window_is_capped_by_twice_gtm() -> None:
    # NG 2, GTM 3: K = min(8, 6) = 6, penalty 7.5. Costs 1 and 7.5: (4.25 - 1.5) / (7.5 - 1.5) = 11/24.
    # K = 4 NG = 8 would give cost 7: (4 - 1.5) / 8.5 = 0.2941.
    assert nmrr(ranking(1, 7), gtm=3) == pytest.approx([11 / 24])


def test_window_is_four_ng_when_gtm_is_large() -> None:
    # NG 1, GTM 10: K = min(4, 20) = 4, penalty 5. Cost 5: (5 - 1) / (5 - 1) = 1. With K = 20: 4 / 24 = 0.1667.
    assert nmrr(ranking(5), gtm=10).tolist() == [1.0]


def test_perfect_is_zero_and_all_missed_is_one() -> None:
    # Ranks from 0 would make the first negative, a K + 1 penalty the second less than 1.
    assert nmrr(ranking(1, 2, 3), gtm=3).tolist() == [0.0]
    assert nmrr(ranking(18, 19, 20), gtm=3).tolist() == [1.0]


def test_the_given_gtm_is_used_for_every_block() -> None:
    # One category alone has NG 2; by itself its GTM would be 2 and K = 4. The query set's GTM 4 makes K = 8.
    query_set = np.concatenate([ranking(1, 6), ranking(1, 2, 3, 4)])
    assert nmrr(query_set, gtm=4) == pytest.approx([4 / 17, 0])
    assert nmrr(query_set[:1], gtm=4) == pytest.approx([4 / 17])
    assert nmrr(query_set[:1], gtm=2) == pytest.approx([3 / 7])


def test_is_undefined_when_nothing_is_relevant() -> None:
    assert np.isnan(nmrr(NONE, gtm=4)).tolist() == [True]
    assert np.isnan(nmrr(NONE, gtm=0)).tolist() == [True]


def test_gtm_below_a_querys_ng_is_refused() -> None:
    with pytest.raises(ValueError, match="gtm is 2, but a query has 3"):
        nmrr(ranking(1, 2, 3), gtm=2)
