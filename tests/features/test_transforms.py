import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import extension
from cbir.features import transforms
from cbir.files.errors import InputError

TRAIN = np.array([[0, 10], [2, 10], [4, 30]], np.float32)
TEST = np.array([[6, 0], [2, 20]], np.float32)


def fitted(kind: str, train: np.ndarray = TRAIN, test: np.ndarray = TEST, **row: Any) -> np.ndarray:
    steps = transforms.fit({"transform": kind, "of": "x", **row}, [train])
    return transforms.transform(steps, [test])


def combined(kind: str, train: list[np.ndarray], test: list[np.ndarray]) -> np.ndarray:
    return transforms.transform(transforms.fit({"combine": list("xy")[: len(train)], "normalise": kind}, train), test)


def test_minmax_scales_the_whole_matrix_to_0_and_1() -> None:
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
    # The last is perpendicular to the line, so its projection is 0. The sign is arbitrary, so it is not compared.
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
    # Two columns of data and two copies of them: only two components have a variance above 0.
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
def test_parts_are_normalised_separately_and_concatenated_in_order(kind: str) -> None:
    second = np.array([[1000], [3000], [2000]], np.float32)
    joined = combined(kind, [TRAIN, second], [TRAIN, second])
    assert joined.shape == (3, 3)
    assert joined.dtype == np.float32
    assert np.array_equal(joined[:, :2], combined(kind, [TRAIN], [TRAIN]))
    assert np.array_equal(joined[:, 2:], combined(kind, [second], [second]))


@pytest.mark.parametrize("kind", ["minmax", "minmax-per-feature", "zscore", "l2", "pca"])
def test_a_row_does_not_depend_on_other_rows(kind: str) -> None:
    options = {"dimension": 2, "whiten": True} if kind == "pca" else {}
    steps = transforms.fit({"transform": kind, **options}, [TRAIN])
    together = transforms.transform(steps, [np.concatenate([TEST, TRAIN * 100])])
    assert np.allclose(together[:2], transforms.transform(steps, [TEST]), rtol=1e-6)


@pytest.mark.parametrize(("dimension", "rows", "columns", "most"), [(3, 3, 9, 2), (6, 50, 5, 5)])
def test_too_many_components_are_reduced_to_the_possible_number(
    dimension: int, rows: int, columns: int, most: int, caplog: pytest.LogCaptureFixture
) -> None:
    train = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    found = fitted("pca", train, train, dimension=dimension, whiten=False)
    assert np.array_equal(found, fitted("pca", train, train, dimension=most, whiten=False))
    assert f"{most} principal components instead of {dimension}: {rows} train images" in caplog.text


def test_a_single_image_has_no_component() -> None:
    with pytest.raises(InputError, match="a single train image does not have"):
        fitted("pca", TRAIN[:1], TRAIN[:1], dimension=1, whiten=False)


def test_a_saved_transform_is_read_back(tmp_path: Path) -> None:
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
    row = {"combine": [str(number) for number in range(11)], "normalise": "minmax"}
    # The smallest value of a part becomes its offset.
    transforms.save(tmp_path / "t.h5", transforms.fit(row, [TRAIN + number for number in range(11)]), {})
    held, _ = transforms.read(tmp_path / "t.h5")
    assert [float(part.steps[0].arrays["offset"]) for part in held.parts] == list(range(11))


@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "part", "link", "outer link", "name", "huge"])
def test_a_damaged_file_is_an_input_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t.h5"
    transforms.save(path, transforms.fit({"transform": "zscore", "of": "x"}, [TRAIN]), {})
    transforms.save(tmp_path / "other.h5", transforms.fit({"transform": "zscore", "of": "x"}, [TRAIN]), {})
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
                del file["0/0/scale"]
            if kind == "link":
                file["0/0/scale"] = h5py.ExternalLink("other.h5", "/0/0/scale")
            elif kind == "huge":
                file.create_dataset("0/0/scale", (2**40,), np.float64, chunks=(2**10,))
    message = "does not exist: run the workflow" if kind == "missing" else r"is damaged \(.*\): remove it and run again"
    with pytest.raises(InputError, match=rf"The transform .*t\.h5 {message}"):
        transforms.read(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", np.array([0, np.nan])),
        ("mean", "text"),
        ("mean", np.array([True, False])),
        ("mean", np.zeros(3)),
        ("mean", np.zeros((2, 2, 2))),
        ("projection", np.zeros((3, 2))),
        ("projection", np.zeros((2, 1), np.float32)),
    ],
)
def test_invalid_arrays_of_a_transform_are_input_errors(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "t.h5"
    transforms.save(path, transforms.fit({"transform": "pca", "dimension": 1, "whiten": False}, [TRAIN]), {})
    with h5py.File(path, "a") as file:
        del file["0/0"][name]
        file["0/0"][name] = value
    with pytest.raises(InputError, match=r"The transform .*t\.h5 is damaged"):
        transforms.read(path)


def test_other_features_than_it_was_fitted_to_are_refused() -> None:
    steps = transforms.fit({"transform": "pca", "dimension": 1, "whiten": False}, [TRAIN])
    for parts in ([TRAIN[:, :1]], [TRAIN, TRAIN], []):
        with pytest.raises(InputError, match="other parts or to features of another dimension"):
            transforms.transform(steps, parts)


@pytest.mark.parametrize(
    ("attribute", "value"), [("step", b"zscore"), ("step", b"best"), ("step", 3), ("dimension", 3), ("dimension", b"2")]
)
def test_a_step_that_was_renamed_is_an_input_error(tmp_path: Path, attribute: str, value: Any) -> None:
    path = tmp_path / "t.h5"
    transforms.save(path, transforms.fit({"transform": "minmax", "of": "x"}, [TRAIN]), {})
    with h5py.File(path, "a") as file:
        file["0/0" if attribute == "step" else "0"].attrs[attribute] = value
    with pytest.raises(InputError, match=r"The transform .*t\.h5 is damaged"):
        transforms.read(path)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {"transform": "best", "of": "x"},
            "The step 'best' does not exist: use one of expand, l2, minmax, ",
        ),
        ({"combine": ["x"], "normalise": "pca"}, r"config: the step pca does not fit its options \(missing a required"),
        ({"transform": "l2", "of": "x", "whiten": True}, r"config: the step l2 .*\(got an unexpected keyword .*whiten"),
    ],
)
def test_unknown_steps_and_options_are_input_errors(row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        transforms.fit(row, [TRAIN])


USES_IT = """
import sys
import numpy as np
from cbir.features import chains, transforms

row = {"transform": "nearest-neighbour", "of": "x"}
assert chains.steps(row) == ["nearest-neighbour"]
train, test = np.array([[0], [4], [10]], np.float32), np.array([[5], [12]], np.float32)
transforms.save(sys.argv[1], transforms.fit(row, [train]), {})
fitted, _ = transforms.read(sys.argv[1])
print(transforms.transform(fitted, [train], is_gallery=True)[:, 0].tolist())
print(transforms.transform(fitted, [test])[:, 0].tolist())
"""


def test_a_new_step_is_one_file_and_may_look_at_the_gallery(tmp_path: Path) -> None:
    extension.add(tmp_path, "features/steps", "nearest-neighbour", extension.STEP)
    # 0 and 4 are each other's nearest, 10 is nearest to 4; of the queries, 5 to 4 and 12 to 10.
    assert extension.python(tmp_path, USES_IT, str(tmp_path / "t.h5")) == "[2.0, 2.0, 7.0]\n[4.5, 11.0]\n"


def test_a_step_gets_the_output_of_the_steps_before_it(tmp_path: Path) -> None:
    row = {"of": "x", "steps": ["minmax-per-feature", {"pca": 1}, "zscore"]}
    transforms.save(tmp_path / "t.h5", transforms.fit(row, [TRAIN]), {})
    found = transforms.transform(transforms.read(tmp_path / "t.h5")[0], [TRAIN])[:, 0]
    # Scaled: (0, 0), (0.5, 0), (1, 1). Means 0.5 and 1/3; covariance proportional to (3, 3; 3, 4).
    scaled = np.array([[0, 0], [0.5, 0], [1, 1]]) - [0.5, 1 / 3]
    values, vectors = np.linalg.eigh([[3.0, 3.0], [3.0, 4.0]])
    expected = scaled @ vectors[:, np.argmax(values)]
    expected /= expected.std()
    assert np.allclose(found * np.sign(found[0]), expected * np.sign(expected[0]), rtol=1e-5)
