from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from cbir.features import store
from cbir.files.errors import InputError

MANIFEST = pd.DataFrame(
    {
        "image_id": ["b/new\nline.png", "a/é漢.png", "a/1.png"],
        "path": ["x", "y", "z"],
        "label": [1, 0, 0],
        "sha256": ["c" * 64, "a" * 64, "b" * 64],
    }
)
FEATURES = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def written(path: Path, features: np.ndarray = FEATURES) -> Path:
    store.write(path, MANIFEST, [features[:1], features[1:]], 2, {"method": "m", "preprocessing": {"size": [224, 224]}})
    return path


def test_a_written_store_is_read_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    found = store.read(written(tmp_path / "train.h5"), "m")
    assert np.array_equal(found.features, FEATURES)
    assert found.features.dtype == np.float32
    assert found.image_id.tolist() == MANIFEST["image_id"].tolist()
    assert found.label.tolist() == [1, 0, 0]
    assert found.sha256.tolist() == MANIFEST["sha256"].tolist()
    assert found.about["method"] == "m"
    assert found.about["preprocessing"] == '{"size": [224, 224]}'
    assert found.about["dimension"] == 2
    # hashlib.sha256(struct.pack("<6f", 1, 2, 3, 4, 5, 6))
    assert found.about["features_sha256"] == "24ae2dfe8df57c1b80e54cef3d90ac3b417fd98973345a5f616bbc9a75dcc202"
    assert '"numpy"' in found.about["libraries"]


def test_a_store_can_be_read_with_h5py_alone(tmp_path: Path) -> None:
    with h5py.File(written(tmp_path / "train.h5")) as file:
        assert file["features"][1].tolist() == [3, 4]
        assert file["image_id"].asstr()[1] == "a/é漢.png"


def test_the_same_features_give_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "1.h5")
    store.write(tmp_path / "2.h5", MANIFEST, [FEATURES], 2, {"method": "m", "preprocessing": {"size": [224, 224]}})
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_vectors_of_a_large_store_stay_in_the_file_and_are_verified(tmp_path: Path) -> None:
    path = written(tmp_path / "train.h5")
    assert store.count(path, "m") == 3
    few, many = store.read_large(path, "m", most=3), store.read_large(path, "m", most=2)
    assert not isinstance(few.features, np.memmap) and isinstance(many.features, np.memmap)
    assert np.array_equal(few.features, FEATURES) and np.array_equal(many.features, FEATURES)
    assert many.rows(np.array([2, 0])).image_id.tolist() == ["a/1.png", "b/new\nline.png"]
    with h5py.File(path, "r+") as file:
        file["features"][1, 0] = 7
    assert store.read(path, mapped=True).features[1, 0] == 7
    for most in (2, 3):
        with pytest.raises(InputError, match="not those it was written with"):
            store.read_large(path, most=most)


def test_a_row_is_found_by_its_image(tmp_path: Path) -> None:
    found = store.read(written(tmp_path / "train.h5"))
    assert found.row("a/1.png") == 2
    with pytest.raises(InputError, match=r"'a/2\.png' is not in this feature store"):
        found.row("a/2.png")


def test_an_empty_store(tmp_path: Path) -> None:
    store.write(tmp_path / "val.h5", MANIFEST[:0], [], 2, {"method": "m"})
    found = store.read(tmp_path / "val.h5", "m")
    assert found.features.shape == (0, 2)
    assert len(found.image_id) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    features = FEATURES.copy()
    features[2, 1] = value
    with pytest.raises(InputError, match=r"features of a/1\.png are not finite"):
        written(tmp_path / "train.h5", features)
    assert not (tmp_path / "train.h5").exists()


def test_blocks_with_too_few_or_too_many_rows_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 feature rows for 3 manifest rows"):
        store.write(tmp_path / "train.h5", MANIFEST, [FEATURES[:2]], 2, {})


def test_a_store_of_another_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.h5 is of the method 'm', not 'n'"):
        store.read(written(tmp_path / "train.h5"), "n")


def test_a_missing_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.h5 does not exist: run the workflow first"):
        store.read(tmp_path / "train.h5")


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95])
def test_a_truncated_store_is_an_input_error(tmp_path: Path, share: float) -> None:
    path = written(tmp_path / "train.h5")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"train\.h5 is damaged \(.*\): remove it and run again"):
        store.read(path)


def test_flipped_bits_are_an_input_error_or_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "train.h5")
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(data), 300):
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        try:
            assert np.array_equal(store.read(path).features, FEATURES)
        except InputError as error:
            assert "train.h5" in str(error)


def test_tampered_vectors_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "train.h5")
    with h5py.File(path, "a") as file:
        file["features"][0, 0] = 1.5
    with pytest.raises(InputError, match=r"vectors in .*train\.h5 are not those it was written with"):
        store.read(path)


def replace(path: Path, name: str, put: object) -> None:
    with h5py.File(path, "a") as file:
        del file[name]
        if callable(put):
            put(file)
        else:
            file[name] = put


def external(file: h5py.File) -> None:
    file.create_dataset("label", (3,), np.int64, external=[("other.bin", 0, 24)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), np.int64)
    layout[:] = h5py.VirtualSource("other.h5", "label", (3,))
    file.create_virtual_dataset("label", layout)


def enormous(file: h5py.File) -> None:
    file.create_dataset("label", (2**40,), np.int64)


def bomb(file: h5py.File) -> None:
    file.create_dataset("label", data=np.zeros(10**6, np.int64), compression="gzip")


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (h5py.ExternalLink("other.h5", "/label"), "lacks the dataset 'label'"),
        (h5py.SoftLink("/features"), "lacks the dataset 'label'"),
        (lambda file: file.create_group("label"), "lacks the dataset 'label'"),
        (lambda file: None, "lacks the dataset 'label'"),
        (external, "not stored in one piece"),
        (virtual, "not stored in one piece"),
        (enormous, "claims more bytes"),
        (bomb, "not stored in one piece"),
        (np.array([1, 2]), "different lengths"),
        (np.array([[1, 2, 3]]), "2 dimensions"),
        (np.array([b"x", b"y", b"z"]), "numbers of the type int64"),
        (np.array([0, np.nan, 1]), "numbers of the type int64"),
    ],
    ids=[
        "external link",
        "soft link",
        "group",
        "missing",
        "external",
        "virtual",
        "enormous",
        "bomb",
        "short",
        "2-D",
        "text",
        "no whole numbers",
    ],
)
def test_a_crafted_store_opens_no_other_file_and_does_not_fill_the_memory(
    tmp_path: Path, put: object, reason: str
) -> None:
    path = written(tmp_path / "train.h5")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["label"] = [1, 0, 0]
    (tmp_path / "other.bin").write_bytes(bytes(24))
    replace(path, "label", put)
    with pytest.raises(InputError, match=reason):
        store.read(path)


def test_a_store_with_texts_of_variable_length_is_refused(tmp_path: Path) -> None:
    """Earlier versions wrote such stores; all rows could share one long text in the file."""
    path = written(tmp_path / "train.h5")
    replace(path, "image_id", ["x" * 100_000] * 3)
    with pytest.raises(InputError, match=r"'image_id' holds something else than texts of fixed length.*: remove it"):
        store.read(path)


def test_more_rows_than_images_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "train.h5")
    replace(path, "features", np.zeros((10**12, 0), np.float32))
    with pytest.raises(InputError, match="different lengths"):
        store.read(path)


def test_an_unknown_attribute_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'colour' would not be read"):
        store.write(tmp_path / "train.h5", MANIFEST, [FEATURES], 2, {"method": "m", "colour": "red"})


def test_the_attributes_of_a_store_are_read_without_its_vectors(tmp_path: Path) -> None:
    path = written(tmp_path / "train.h5")
    assert store.about(path, "m") == store.read(path).about
    with h5py.File(path, "a") as file:
        del file["features"]
    assert store.about(path)["dimension"] == 2
    with pytest.raises(InputError, match=r"train\.h5 is of the method 'm', not 'n'"):
        store.about(path, "n")
    with pytest.raises(InputError, match=r"other\.h5 does not exist"):
        store.about(tmp_path / "other.h5")


@pytest.mark.parametrize("value", [h5py.Empty("f"), np.arange(3), np.array(["m", "m"], object), "m", True])
def test_attributes_of_wrong_types_are_refused(tmp_path: Path, value: object) -> None:
    path = written(tmp_path / "train.h5")
    with h5py.File(path, "a") as file:
        file.attrs["method"] = value
    for read in (store.read, store.about):
        with pytest.raises(InputError, match="'method' is neither a text of fixed length nor a number"):
            read(path, "m")
