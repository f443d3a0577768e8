import warnings

import numpy as np
import pytest

from cbir.evaluation.relevance import Values, mean_defined


def test_a_mean_leaves_undefined_queries_out() -> None:
    assert mean_defined(np.array([0.2, np.nan, 0.6])) == pytest.approx(0.4)


@pytest.mark.parametrize("values", [np.array([]), np.array([np.nan, np.nan])])
def test_a_mean_is_undefined_without_a_defined_query(values: Values) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(mean_defined(values))
