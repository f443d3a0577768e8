import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cbir.features import transforms
from cbir.files.errors import InputError

TRAIN = np.array([[0, 10], [2, 10], [4, 30]], np.float32)
TEST = np.array([[6, 0], [2, 20]], np.float32)


def fitted(kind: str, train: np.ndarray = TRAIN, test: np.ndarray = TEST, **row: Any) -> np.ndarray:
    steps = transforms.fit({"transform": kind, "of": "x", **row}, [train])
    return transforms.transform(steps, [test])


def combined(kind: str, train: list[np.ndarray], test: list[np.ndarray]) -> np.ndarray:
    return transforms.transform(transforms.fit({"combine": ["x", "y"], "normalise": kind}, train), test)


def test_minmax_takes_the_whole_matrix_to_0_and_1() -> None:
    # Smallest 0, largest 30: divide by 30. Test rows may leave [0, 1].
    assert np.allclose(combined("minmax", [TRAIN], [TEST]), [[0.2, 0], [2 / 30, 2 / 3]])
    shifted = combined("minmax", [TRAIN - 5], [TRAIN - 5])
    assert (shifted.min(), shifted.max()) == (0, 1)


def test_minmax_per_feature() -> None:
    # Columns from 0 to 4 and from 10 to 30.
    assert np.allclose(combined("minmax-per-feature", [TRAIN], [TEST]), [[1.5, -0.5], [0.5, 0.5]])


def test_zscore() -> None:
    # Means 2 and 50/3; population deviations sqrt(8/3) and sqrt(800/9).
    expected = [[4 / math.sqrt(8 / 3), -50 / 3 / math.sqrt(800 / 9)], [0, 10 / 3 / math.sqrt(800 / 9)]]
    assert np.allclose(combined("zscore", [TRAIN], [TEST]), expected, rtol=1e-6)


def test_l2() -> None:
    # 3-4-5; a zero vector stays zero.
    assert np.allclose(fitted("l2", TRAIN, np.array([[3, 4], [0, 0]], np.float32)), [[0.6, 0.8], [0, 0]])


def test_pca_of_points_on_a_line() -> None:
    # Along (3, 4) / 5 at -5, 0 and 5 from the mean (10, 20): the only component that varies.
    train = np.array([[7, 16], [10, 20], [13, 24]], np.float32)
    found = fitted("pca", train, np.array([[13, 24], [10, 20], [14, 17]], np.float32), dimension=1, whiten=False)
    # The last lies across the line, so its projection is 0. The sign is free, so it is compared without.
    assert np.allclose(np.abs(found[:, 0]), [5, 0, 0], atol=1e-5)
    white = fitted("pca", train, train, dimension=1, whiten=True)
    # Variance of -5 0 5 with n - 1: 25.
    assert np.allclose(np.abs(white[:, 0]), [1, 0, 1], atol=1e-5)


def test_pca_agrees_with_the_eigenvectors_of_the_covariance() -> None:
    train = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32) @ np.diag([5, 4, 3, 2, 1, 0.5])
    train = train.astype(np.float32)
    found = fitted("pca", train, train, dimension=3, whiten=False)
    values, vectors = np.linalg.eigh(np.cov(train.T.astype(np.float64)))
    expected = (train - train.mean(axis=0, dtype=np.float64)) @ vectors[:, ::-1][:, :3]
    assert np.allclose(np.abs(found), np.abs(expected), rtol=1e-4, atol=1e-4)
    assert np.allclose(found.var(axis=0, ddof=1), values[::-1][:3], rtol=1e-4)


def test_whitening_gives_unit_variance() -> None:
    train = (np.random.default_rng(0).normal(size=(80, 5)) * [100, 10, 1, 0.1, 0.01]).astype(np.float32)
    found = fitted("pca", train, train, dimension=5, whiten=True)
    assert np.allclose(np.cov(found.T), np.eye(5), atol=1e-3)


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # scikit-learn's, of equal rows.
def test_whitening_does_not_blow_up_noise() -> None:
    # Two columns of data and two copies of them: only two components have any spread.
    two = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    train = np.hstack([two, two])
    found = fitted("pca", train, train * 1.5, dimension=4, whiten=True)
    assert np.abs(found).max() < 10
    assert np.allclose(found[:, 2:], 0)
    assert np.isfinite(fitted("pca", np.ones((5, 3), np.float32), train[:, :3], dimension=2, whiten=True)).all()


@pytest.mark.parametrize("kind", ["minmax", "minmax-per-feature", "zscore", "l2"])
def test_constant_features_become_0_and_never_explode(kind: str) -> None:
    train = np.full((7, 2), 0.1, np.float32)
    found = combined(kind, [train], [np.array([[0.1, 0.1], [0.2, 0.1]], np.float32)])
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
    if kind != "l2":
        assert np.allclose(found, [[0, 0], [0.1, 0]], atol=1e-6)


@pytest.mark.parametrize("kind", ["minmax", "minmax-per-feature", "zscore", "l2"])
def test_parts_are_normalised_each_for_itself_and_joined_in_order(kind: str) -> None:
    second = np.array([[1000], [3000], [2000]], np.float32)
    joined = combined(kind, [TRAIN, second], [TRAIN, second])
    assert joined.shape == (3, 3)
    assert joined.dtype == np.float32
    assert np.array_equal(joined[:, :2], combined(kind, [TRAIN], [TRAIN]))
    assert np.array_equal(joined[:, 2:], combined(kind, [second], [second]))


@pytest.mark.parametrize("kind", ["minmax", "minmax-per-feature", "zscore", "l2", "pca"])
def test_a_row_does_not_depend_on_the_rows_beside_it(kind: str) -> None:
    options = {"dimension": 2, "whiten": True} if kind == "pca" else {}
    steps = transforms.fit({"transform": kind, **options}, [TRAIN])
    together = transforms.transform(steps, [np.concatenate([TEST, TRAIN * 100])])
    assert np.allclose(together[:2], transforms.transform(steps, [TEST]), rtol=1e-6)


@pytest.mark.parametrize(("dimension", "rows", "columns", "most"), [(3, 3, 9, 2), (6, 50, 5, 5)])
def test_too_many_components_are_one_sentence(dimension: int, rows: int, columns: int, most: int) -> None:
    train = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    with pytest.raises(
        InputError, match=f"asks for {dimension} principal components, but {rows} .* have at most {most}:"
    ):
        fitted("pca", train, train, dimension=dimension, whiten=False)


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    train = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    for row in (
        {"combine": ["x", "y"], "normalise": "zscore"},
        {"combine": ["x", "y"], "normalise": "l2"},
        {"combine": ["x", "y"], "normalise": "minmax"},
        {"transform": "pca", "of": "x", "dimension": 3, "whiten": True},
    ):
        parts = [train, train[:, :2]] if "combine" in row else [train]
        steps = transforms.fit(row, parts)
        transforms.save(tmp_path / "t.h5", steps, {"method": "m", "fingerprint": "f"})
        read, about = transforms.read(tmp_path / "t.h5")
        assert about == {"method": "m", "fingerprint": "f"}
        assert np.array_equal(transforms.transform(read, parts), transforms.transform(steps, parts))


def test_eleven_parts_keep_their_order(tmp_path: Path) -> None:
    steps = [transforms.Step(np.asarray(float(number)), np.ones(())) for number in range(11)]
    transforms.save(tmp_path / "t.h5", steps, {})
    assert [float(step.offset) for step in transforms.read(tmp_path / "t.h5")[0]] == list(range(11))


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "part", "link", "outer link", "name", "huge"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.h5"
    transforms.save(path, transforms.fit({"transform": "zscore"}, [TRAIN]), {})
    transforms.save(tmp_path / "other.h5", transforms.fit({"transform": "zscore"}, [TRAIN]), {})
    if kind == "missing":
        path.unlink()
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:900])
    elif kind == "text":
        path.write_text("x")
    else:
        with h5py.File(path, "a") as file:
            if kind == "outer link":
                del file["0"]
                file["0"] = h5py.ExternalLink("other.h5", "/0")
            elif kind == "name":
                file.create_group("zero")
            else:
                del file["0/scale"]
            if kind == "link":
                file["0/scale"] = h5py.ExternalLink("other.h5", "/0/scale")
            elif kind == "huge":
                file.create_dataset("0/scale", (2**40,), np.float64, chunks=(2**10,))
    told = "does not exist: run the workflow" if kind == "missing" else r"is damaged \(.*\): remove it and run again"
    with pytest.raises(InputError, match=rf"The transform .*t\.h5 {told}"):
        transforms.read(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("offset", np.array([0, np.nan])),
        ("scale", np.array([1, np.inf])),
        ("scale", "text"),
        ("offset", np.zeros(3)),
        ("offset", np.zeros((2, 2))),
        ("projection", np.zeros((3, 2))),
        ("projection", np.zeros(2)),
    ],
)
def test_numbers_that_are_none_of_a_transform_are_one_sentence(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "t.h5"
    transforms.save(path, transforms.fit({"transform": "pca", "dimension": 1, "whiten": False}, [TRAIN]), {})
    with h5py.File(path, "a") as file:
        del file["0"][name]
        file["0"][name] = value
    with pytest.raises(InputError, match=r"The transform .*t\.h5 is damaged"):
        transforms.read(path)


def test_other_features_than_it_was_fitted_to_are_refused() -> None:
    steps = transforms.fit({"transform": "pca", "dimension": 1, "whiten": False}, [TRAIN])
    for parts in ([TRAIN[:, :1]], [TRAIN, TRAIN], []):
        with pytest.raises(InputError, match="other parts or to features of another dimension"):
            transforms.transform(steps, parts)
