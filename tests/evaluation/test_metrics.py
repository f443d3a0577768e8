"""Metrics against values worked by hand; each case says what the wrong variants of the formula would give."""

import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cbir.evaluation import metrics
from cbir.evaluation.metrics import Relevance, Values

GALLERY = 20


def ranking(*ranks: int, gallery: int = GALLERY) -> Relevance:
    """One query's ranking with relevant images at these ranks, counted from 1."""
    relevance = np.zeros((1, gallery), dtype=bool)
    relevance[0, np.array(ranks, dtype=int) - 1] = True
    return relevance


NONE = ranking()


class TestPrecisionAtK:
    def test_counts_hits_over_k(self) -> None:
        assert metrics.precision_at_k(ranking(1, 3, 4), 3) == pytest.approx([2 / 3])

    def test_denominator_stays_k_when_fewer_are_relevant(self) -> None:
        # Over min(k, NG) it would be 2/2.
        assert metrics.precision_at_k(ranking(1, 2), 5) == pytest.approx([2 / 5])

    def test_denominator_stays_k_when_the_gallery_is_smaller(self) -> None:
        # Over the gallery's 4 it would be 3/4.
        assert metrics.precision_at_k(ranking(1, 2, 4, gallery=4), 10) == pytest.approx([3 / 10])

    def test_is_zero_when_nothing_is_relevant(self) -> None:
        assert metrics.precision_at_k(NONE, 3).tolist() == [0.0]


class TestRecallAtK:
    def test_counts_hits_over_all_relevant(self) -> None:
        # The metric learning "recall@k" would be 1, over min(k, NG) it would be 2/3.
        assert metrics.recall_at_k(ranking(1, 3, 4, 9), 3) == pytest.approx([2 / 4])

    def test_reaches_one_when_k_exceeds_the_gallery(self) -> None:
        assert metrics.recall_at_k(ranking(2, 4, gallery=4), 10).tolist() == [1.0]

    def test_is_undefined_when_nothing_is_relevant(self) -> None:
        assert np.isnan(metrics.recall_at_k(NONE, 3)).tolist() == [True]


class TestRPrecision:
    def test_looks_at_as_many_ranks_as_are_relevant(self) -> None:
        # NG = 3: ranks 1 and 3 are inside (rank 3 just so), rank 4 is not.
        assert metrics.r_precision(ranking(1, 3, 4)) == pytest.approx([2 / 3])

    def test_is_undefined_when_nothing_is_relevant(self) -> None:
        assert np.isnan(metrics.r_precision(NONE)).tolist() == [True]


class TestAveragePrecision:
    def test_averages_precision_over_all_relevant(self) -> None:
        # Precisions 1/1, 2/3, 3/12. An average over the hits of some first k only would leave out the last.
        assert metrics.average_precision(ranking(1, 3, 12)) == pytest.approx([(1 + 2 / 3 + 1 / 4) / 3])

    def test_of_one_relevant_image_is_its_reciprocal_rank(self) -> None:
        assert metrics.average_precision(ranking(8)) == pytest.approx([1 / 8])

    def test_is_undefined_when_nothing_is_relevant(self) -> None:
        assert np.isnan(metrics.average_precision(NONE)).tolist() == [True]


class TestAveragePrecisionAtR:
    def test_counts_ranks_up_to_r_over_r(self) -> None:
        # R = 4: precisions 1/1 and 2/3 count, rank 5 does not. Over the 2 hits it would be 0.833; up to rank 5, 0.567.
        assert metrics.average_precision_at_r(ranking(1, 3, 5, 12)) == pytest.approx([(1 + 2 / 3) / 4])

    @pytest.mark.parametrize(
        ("ranks", "r_precision", "map_at_r"),
        [((1,), 0.10, 0.10), ((1, 10), 0.20, 0.12), ((1, 2), 0.20, 0.20), (tuple(range(1, 11)), 1.0, 1.0)],
    )
    def test_published_examples(self, ranks: tuple[int, ...], r_precision: float, map_at_r: float) -> None:
        # Musgrave et al. 2020, the toy example: R = 10, and which of the first 10 results are right.
        late = range(100 - (10 - len(ranks)), 100)
        relevance = ranking(*ranks, *late, gallery=100)
        assert metrics.r_precision(relevance) == pytest.approx([r_precision])
        assert metrics.average_precision_at_r(relevance) == pytest.approx([map_at_r])

    def test_is_undefined_when_nothing_is_relevant(self) -> None:
        assert np.isnan(metrics.average_precision_at_r(NONE)).tolist() == [True]


class TestNmrr:
    def test_miss_between_k_and_penalty_costs_the_penalty(self) -> None:
        # NG 2, GTM 4: K = min(8, 8) = 8, penalty 10. Costs 1 and 10: AVR 5.5; (5.5 - 1.5) / (10 - 1.5) = 8/17 = 0.4706.
        # min(rank, 1.25 K) costs 9 and gives 7/17 = 0.4118; so does a K + 1 penalty, or 3.5 / 7.5 = 0.4667 with the
        # denominator following it;
        # ranks from 0 cost 0 and 8, 5/17 = 0.2941; K = 2 NG = 4 gives (3 - 1.5) / (5 - 1.5) = 0.4286;
        # the denominator K + 0.5 - 0.5 NG gives 4 / 7.5 = 0.5333.
        assert metrics.nmrr(ranking(1, 9), gtm=4) == pytest.approx([8 / 17])

    def test_rank_equal_to_k_costs_itself(self) -> None:
        # K = 8, costs 1 and 8: (4.5 - 1.5) / 8.5 = 6/17. With rank < K asked, rank 8 would cost 10: 8/17.
        assert metrics.nmrr(ranking(1, 8), gtm=4) == pytest.approx([6 / 17])

    def test_window_is_capped_by_twice_gtm(self) -> None:
        # NG 2, GTM 3: K = min(8, 6) = 6, penalty 7.5. Costs 1 and 7.5: (4.25 - 1.5) / (7.5 - 1.5) = 11/24.
        # K = 4 NG = 8 would give cost 7: (4 - 1.5) / 8.5 = 0.2941.
        assert metrics.nmrr(ranking(1, 7), gtm=3) == pytest.approx([11 / 24])

    def test_window_is_four_ng_when_gtm_is_large(self) -> None:
        # NG 1, GTM 10: K = min(4, 20) = 4, penalty 5. Cost 5: (5 - 1) / (5 - 1) = 1. With K = 20: 4 / 24 = 0.1667.
        assert metrics.nmrr(ranking(5), gtm=10).tolist() == [1.0]

    def test_perfect_is_zero_and_all_missed_is_one(self) -> None:
        # Ranks from 0 would make the first negative, a K + 1 penalty the second less than 1.
        assert metrics.nmrr(ranking(1, 2, 3), gtm=3).tolist() == [0.0]
        assert metrics.nmrr(ranking(18, 19, 20), gtm=3).tolist() == [1.0]

    def test_gtm_is_the_callers_for_every_block(self) -> None:
        # One category alone has NG 2; by itself its GTM would be 2 and K = 4. The query set's GTM 4 makes K = 8.
        query_set = np.concatenate([ranking(1, 6), ranking(1, 2, 3, 4)])
        assert metrics.nmrr(query_set, gtm=4) == pytest.approx([4 / 17, 0])
        assert metrics.nmrr(query_set[:1], gtm=4) == pytest.approx([4 / 17])
        assert metrics.nmrr(query_set[:1], gtm=2) == pytest.approx([3 / 7])

    def test_is_undefined_when_nothing_is_relevant(self) -> None:
        assert np.isnan(metrics.nmrr(NONE, gtm=4)).tolist() == [True]
        assert np.isnan(metrics.nmrr(NONE, gtm=0)).tolist() == [True]

    def test_gtm_below_a_querys_ng_is_refused(self) -> None:
        with pytest.raises(ValueError, match="gtm is 2, but a query has 3"):
            metrics.nmrr(ranking(1, 2, 3), gtm=2)


class TestNmrrAtK:
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
    def test_three_results_looked_at(self, ranks: tuple[int, ...], expected: float) -> None:
        assert metrics.nmrr_at_k(ranking(*ranks), 3) == pytest.approx([expected], abs=1e-6)

    def test_perfect_top_k_is_zero_whatever_ng(self) -> None:
        # NG = 10 in place of k would give (3.225 - 5.5) / (3.75 - 5.5) = 1.3.
        assert metrics.nmrr_at_k(ranking(*range(1, 11)), 3).tolist() == [0.0]

    def test_reads_only_the_first_k_columns(self) -> None:
        relevance = ranking(1, 3, 4, 5)
        assert metrics.nmrr_at_k(relevance, 3).tolist() == metrics.nmrr_at_k(relevance[:, :3], 3).tolist()

    def test_places_beyond_the_gallery_are_misses(self) -> None:
        # k 4, gallery 2: costs 1, 2, 5, 5: (3.25 - 2.5) / (5 - 2.5).
        assert metrics.nmrr_at_k(ranking(1, 2, gallery=2), 4) == pytest.approx([0.75 / 2.5])


class TestMeanDefined:
    def test_leaves_undefined_queries_out(self) -> None:
        assert metrics.mean_defined(np.array([0.2, np.nan, 0.6])) == pytest.approx(0.4)

    @pytest.mark.parametrize("values", [np.array([]), np.array([np.nan, np.nan])])
    def test_is_undefined_without_a_defined_query(self, values: Values) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isnan(metrics.mean_defined(values))


WHOLE_RANKING: dict[str, Callable[[Relevance], Values]] = {
    "recall_at_k": lambda relevance: metrics.recall_at_k(relevance, 3),
    "r_precision": metrics.r_precision,
    "average_precision": metrics.average_precision,
    "average_precision_at_r": metrics.average_precision_at_r,
    "nmrr": lambda relevance: metrics.nmrr(relevance, gtm=1000),
}
ALL = WHOLE_RANKING | {
    "precision_at_k": lambda relevance: metrics.precision_at_k(relevance, 3),
    "nmrr_at_k": lambda relevance: metrics.nmrr_at_k(relevance, 3),
}


@pytest.mark.parametrize("name", ALL)
class TestEveryMetric:
    def test_rows_do_not_touch_each_other(self, name: str) -> None:
        rows = [ranking(2, 9), NONE, ranking(1, 2, 7), ranking(20), NONE]
        together = ALL[name](np.concatenate(rows))
        assert together.dtype == np.float64
        np.testing.assert_array_equal(together, np.concatenate([ALL[name](row) for row in rows]))

    def test_a_slice_of_a_larger_array_counts_as_it_is(self, name: str) -> None:
        # Every second row of an array with Fortran order: nothing may rely on the memory's layout.
        block = np.asfortranarray(np.concatenate([ranking(2, 9), ranking(1), ranking(3, 4, 5), NONE]))
        np.testing.assert_array_equal(ALL[name](block[::2]), ALL[name](np.ascontiguousarray(block[::2])))

    @pytest.mark.parametrize(("queries", "gallery"), [(0, 5), (0, 0)])
    def test_no_queries_give_no_values(self, name: str, queries: int, gallery: int) -> None:
        assert ALL[name](np.zeros((queries, gallery), dtype=bool)).shape == (0,)

    def test_undefined_values_come_without_a_warning(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = ALL[name](np.zeros((2, 0), dtype=bool))
        assert np.isnan(values).tolist() == [name in WHOLE_RANKING] * 2

    def test_memory_grows_with_the_relevant_images_not_the_gallery(self, name: str) -> None:
        # 12.8 million places, of which 1 in 50 relevant; one float64 or int64 a place would take 102 MB.
        relevance = np.zeros((256, 50_000), dtype=bool)
        relevance[:, ::50] = True
        tracemalloc.start()
        ALL[name](relevance)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6

    @pytest.mark.parametrize("relevance", [np.zeros(5, dtype=bool), np.zeros((2, 5)), np.zeros((2, 5, 1), dtype=bool)])
    def test_another_shape_or_type_is_refused(self, name: str, relevance: NDArray[np.bool_]) -> None:
        with pytest.raises(ValueError, match="relevance must be bool"):
            ALL[name](relevance)


@pytest.mark.parametrize("metric", [metrics.precision_at_k, metrics.recall_at_k, metrics.nmrr_at_k])
def test_k_below_one_is_refused(metric: Callable[[Relevance, int], Values]) -> None:
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        metric(NONE, 0)


def test_precision_recall_and_f1_worked_by_hand() -> None:
    # Three images of category 0, one of them taken for 1; one of 1; none of 2, and nothing is taken for 2.
    counts = metrics.confusion(np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1]), 3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    precision, recall, f1 = metrics.precision_recall_f1(counts)
    np.testing.assert_allclose(precision, [1, 1 / 2, 0])
    np.testing.assert_allclose(recall, [2 / 3, 1, 0])
    np.testing.assert_allclose(f1, [4 / 5, 2 / 3, 0])
