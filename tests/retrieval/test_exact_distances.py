import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cbir.retrieval.exact import nearest_squared_distances, projections, squared_distances


def features(rows: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 200])
def test_distances_agree_with_scipy(rows: int) -> None:
    gallery, vector = features(rows, 37), np.random.default_rng(1).normal(size=37)
    expected = cdist(gallery.astype(np.float64), vector[None], "sqeuclidean")[:, 0]
    np.testing.assert_allclose(squared_distances(gallery, vector), expected, rtol=1e-13)


@pytest.mark.parametrize("points", [1, 2, 40])
def test_nearest_agrees_with_scipy_over_all_pairs(points: int) -> None:
    gallery, many = features(150, 37), np.random.default_rng(1).normal(size=(points, 37))
    expected = cdist(gallery.astype(np.float64), many, "sqeuclidean").min(axis=1)
    np.testing.assert_allclose(nearest_squared_distances(gallery, many), expected, rtol=1e-13)


def test_a_row_gets_the_same_digits_alone_and_among_others() -> None:
    gallery, vector = features(200, 1280), features(1, 1280, 1)[0].astype(np.float64)
    together = squared_distances(gallery, vector)
    alone = [squared_distances(gallery[row : row + 1], vector)[0] for row in range(200)]
    assert together.tolist() == alone
    assert squared_distances(gallery[[7, 3]], vector).tolist() == [together[7], together[3]]


def test_nearest_gives_the_exact_digits_of_the_nearest_point() -> None:
    gallery, points = features(100, 1280), features(30, 1280, 1).astype(np.float64)
    expected = np.min([squared_distances(gallery, point) for point in points], axis=0)
    assert nearest_squared_distances(gallery, points).tolist() == expected.tolist()


def test_nearest_is_exact_where_float32_cannot_tell_the_points_apart() -> None:
    # Far from the origin: x.p is 1e9 and steps by 64 in float32, the true squared distances are about 10.
    random = np.random.default_rng(0)
    gallery = (10_000 + random.normal(size=(50, 10))).astype(np.float32)
    points = 10_000 + random.normal(size=(20, 10))
    expected = cdist(gallery.astype(np.float64), points, "sqeuclidean").min(axis=1)
    np.testing.assert_allclose(nearest_squared_distances(gallery, points), expected, rtol=1e-13)


def test_nearest_is_exact_where_float32_overflows() -> None:
    gallery = np.array([[3e30, 0.0], [0.0, 0.0]], dtype=np.float32).astype(np.float64)
    points = np.array([[1e31, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(nearest_squared_distances(gallery, points), [gallery[0, 0] ** 2, 0.0])


def test_identical_rows_are_at_distance_zero() -> None:
    gallery = features(5, 1280)
    assert nearest_squared_distances(gallery, gallery[[3, 1]].astype(np.float64))[[1, 3]].tolist() == [0.0, 0.0]


def test_projections_agree_with_the_matrix_product() -> None:
    gallery, direction = features(130, 50), np.random.default_rng(2).normal(size=50)
    np.testing.assert_allclose(projections(gallery, direction), gallery.astype(np.float64) @ direction, rtol=1e-12)
