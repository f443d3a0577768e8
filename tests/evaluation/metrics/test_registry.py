"""Properties of every metric of the registry, including ones that are added."""

import inspect
import tracemalloc
import warnings
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from cbir.evaluation import measure
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import Relevance, Values
from rankings import NONE, ranking

METRICS = measure.all_metrics()
OF_RANKINGS = {key: metric for key, metric in METRICS.items() if measure.is_of_rankings(metric)}


def of(name: str, relevance: Relevance, k: int = 3) -> Values:
    return measure.per_query(OF_RANKINGS[name], relevance, k=k, gtm=1000)


def test_metrics_are_sorted_by_their_order() -> None:
    known = [
        *("accuracy", "anmrr", "nmrr_at_k", "map", "map_at_r", "r_precision", "precision_at_k", "recall_at_k"),
        "macro_f1",
    ]
    # A new metric is sorted by its ORDER, and the order of the others does not change.
    assert [key for key in METRICS if key in known] == known
    assert [key for key in measure.compared_metrics() if key in known] == ["accuracy", "anmrr", "map"]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
class TestEveryMetric:
    def test_defines_all_that_the_registry_requires(self, metric: ModuleType) -> None:
        assert hasattr(metric, "per_query") != hasattr(metric, "overall")
        assert metric.NAME and metric.MEANING.endswith(".")
        assert isinstance(metric.HIGHER_IS_BETTER, bool)
        least, most = metric.RANGE
        assert least < most
        assert metric.FORMAT in ("percent", "decimal")
        assert isinstance(metric.ORDER, int)

    def test_names_k_if_it_depends_on_k(self, metric: ModuleType) -> None:
        assert ("{k}" in metric.MEANING) == measure.depends_on_k(metric)

    def test_a_perfect_classification_or_ranking_has_its_best_value(self, metric: ModuleType) -> None:
        if measure.is_of_rankings(metric):
            values = measure.per_query(metric, ranking(*range(1, 21), gallery=40), k=20, gtm=20)
            value = measure.overall(metric, values, np.zeros((0, 0), np.int64))
        else:
            value = measure.overall(metric, None, np.diag([2, 3]))
        assert value == metric.RANGE[metric.HIGHER_IS_BETTER]


def test_each_column_of_queries_csv_belongs_to_one_metric() -> None:
    columns = [metric.COLUMN for metric in METRICS.values() if metric.COLUMN is not None]
    assert len(set(columns)) == len(columns)
    assert not {"image_id", "category", "predicted"} & set(columns)


def test_each_word_of_the_configuration_is_a_key_of_the_summary() -> None:
    assert {measure.key(name) for name in REGISTRY} == set(METRICS)


@pytest.mark.parametrize("name", OF_RANKINGS)
class TestEveryMetricOfRankings:
    def test_values_of_a_query_do_not_depend_on_other_queries(self, name: str) -> None:
        rows = [ranking(2, 9), NONE, ranking(1, 2, 7), ranking(20), NONE]
        together = of(name, np.concatenate(rows))
        assert together.dtype == np.float64
        np.testing.assert_array_equal(together, np.concatenate([of(name, row) for row in rows]))

    def test_slices_of_larger_arrays_give_the_same_values(self, name: str) -> None:
        # Every second row of an array with Fortran order: values must not depend on the memory layout.
        block = np.asfortranarray(np.concatenate([ranking(2, 9), ranking(1), ranking(3, 4, 5), NONE]))
        np.testing.assert_array_equal(of(name, block[::2]), of(name, np.ascontiguousarray(block[::2])))

    @pytest.mark.parametrize(("queries", "gallery"), [(0, 5), (0, 0)])
    def test_no_queries_give_no_values(self, name: str, queries: int, gallery: int) -> None:
        assert of(name, np.zeros((queries, gallery), dtype=bool)).shape == (0,)

    def test_undefined_values_cause_no_warning(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = of(name, np.zeros((2, 0), dtype=bool))
        least, most = OF_RANKINGS[name].RANGE
        assert (np.isnan(values) | (least <= values) & (values <= most)).all()

    def test_memory_grows_with_the_relevant_images_not_the_gallery(self, name: str) -> None:
        # 12.8 million ranks, 1 in 50 relevant; one float64 or int64 for each rank would take 102 MB.
        relevance = np.zeros((256, 50_000), dtype=bool)
        relevance[:, ::50] = True
        tracemalloc.start()
        of(name, relevance)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6

    @pytest.mark.parametrize("relevance", [np.zeros(5, dtype=bool), np.zeros((2, 5)), np.zeros((2, 5, 1), dtype=bool)])
    def test_another_shape_or_type_is_refused(self, name: str, relevance: NDArray[np.bool_]) -> None:
        with pytest.raises(ValueError, match="relevance must be bool"):
            of(name, relevance)

    def test_k_below_one_is_refused(self, name: str) -> None:
        if "k" in inspect.signature(OF_RANKINGS[name].per_query).parameters:
            with pytest.raises(ValueError, match="k must be at least 1, not 0"):
                of(name, NONE, k=0)
