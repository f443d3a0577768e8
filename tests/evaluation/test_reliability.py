"""Probabilities by distance and the expected calibration error, against values by hand and scikit-learn."""

import numpy as np
import pytest

from cbir.evaluation.reliability import Curve, fit, reliability


def points(curve: Curve) -> list[tuple[float, float]]:
    return [(d, pytest.approx(p)) for d, p in zip(curve.distances, curve.probabilities, strict=True)]


def test_right_results_near_and_wrong_ones_far() -> None:
    # With the two results that are added: near 3 of 4 are right, far 1 of 4.
    curve = fit(np.array([1.0, 2, 3, 7, 8, 9]), np.array([True] * 3 + [False] * 3))
    assert points(curve) == [(1, 3 / 4), (3, 3 / 4), (7, 1 / 4), (9, 1 / 4)]
    # Linear between them, and beyond them as at the ends.
    assert curve.at(np.array([0, 2, 4, 5, 9.5])) == pytest.approx([3 / 4, 3 / 4, 5 / 8, 1 / 2, 1 / 4])


def test_neighbouring_results_out_of_order_are_pooled() -> None:
    # The added wrong one makes 1: 1/2. At 2: right. They rise, so 1 and 2 are pooled: 2 of 3. 3: wrong, 4: right, rise:
    # 1 of 2. 5: wrong, and the added right one: 1 of 2, the same as before.
    curve = fit(np.arange(1.0, 6), np.array([True, True, False, True, False]))
    assert points(curve) == [(1, 2 / 3), (2, 2 / 3), (3, 1 / 2), (5, 1 / 2)]


def test_results_at_one_distance_count_as_one_point_in_any_order() -> None:
    # At 1: 2 of 3 right, and the added wrong one: 2 of 4. At 6: none of 2, and the added right one: 1 of 3.
    distances, right = np.array([1.0, 6, 1, 6, 1]), np.array([True, False, False, False, True])
    assert points(fit(distances, right)) == [(1, 1 / 2), (6, 1 / 3)]
    assert points(fit(distances[::-1], right[::-1])) == [(1, 1 / 2), (6, 1 / 3)]
    # At a single distance both are added: 3 of 4.
    assert points(fit(np.ones(2), np.array([True, True]))) == [(1, 3 / 4)]


def test_the_ends_grow_surer_with_more_results_and_never_certain() -> None:
    for count in (1, 9, 99):
        curve = fit(np.arange(2.0 * count), np.arange(2 * count) < count)
        assert curve.probabilities[[0, -1]] == pytest.approx([count / (count + 1), 1 / (count + 1)])


def test_the_curve_equals_scikit_learns_isotonic_regression() -> None:
    from sklearn.isotonic import IsotonicRegression

    random = np.random.default_rng(0)
    for size in (2, 5, 60, 400):
        # Rounded, so that there are ties.
        distances = random.gamma(3, size=size).round(1)
        right = random.random(size) < np.exp(-distances / 3)
        both = np.r_[distances, distances.min(), distances.max()], np.r_[right, False, True]
        expected = IsotonicRegression(increasing=False, out_of_bounds="clip").fit(*both)
        places = np.linspace(-1, distances.max() + 1, 200)
        curve = fit(distances, right)
        np.testing.assert_allclose(curve.at(places), expected.predict(places), rtol=0, atol=1e-12)
        assert np.all(np.diff(curve.probabilities) <= 0)


def test_no_results_give_no_curve() -> None:
    with pytest.raises(ValueError, match="n at least 1"):
        fit(np.array([]), np.array([], bool))


def test_reliability_by_hand() -> None:
    # Bins: 0.1 alone in [0.1, 0.2); 0.5 and 0.58 in [0.5, 0.6); 1 in the last.
    found = reliability(np.array([0.5, 0.1, 1.0, 0.58]), np.array([False, False, True, True]))
    assert found["results"] == 4
    rows = [tuple(row.values()) for row in found["bins"]]
    expected = [(0.1, 0.2, 1, 0.1, 0), (0.5, 0.6, 2, 0.54, 0.5), (0.9, 1, 1, 1, 1)]
    assert rows == [pytest.approx(row) for row in expected]
    # (1 * 0.1 + 2 * 0.04 + 1 * 0) / 4
    assert found["expected_calibration_error"] == pytest.approx(0.045)


def test_errors_do_not_cancel_between_bins() -> None:
    # Two of ten right where 0.9 was stated, nine of ten where 0.2 was: 0.7 each way.
    stated = np.repeat([0.9, 0.2], 10)
    right = np.r_[np.arange(10) < 2, np.arange(10) < 9]
    assert reliability(stated, right)["expected_calibration_error"] == pytest.approx(0.7)


def test_no_results_have_no_error() -> None:
    none = reliability(np.array([]), np.array([], bool))
    assert none == {"results": 0, "expected_calibration_error": None, "bins": []}
