"""`cbir.open`: the results of a run as arrays and data frames."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import cbir
from cbir.api import Results
from cbir.evaluation.measure import all_metrics
from cbir.files.errors import InputError
from cbir.files.tables import write_json
from cbir.retrieval import outside
from web.made import CONFIGURATION, embed, learn, write_results

SCRIPTS = Path(cbir.__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results of the methods ``tiny``, an encoder's, and ``unit``, derived from it."""
    return write_results(tmp_path)


@pytest.fixture
def results(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    monkeypatch.setattr(outside, "open_network", lambda path, fingerprint, batch, calls=1: embed)
    return cbir.open(folder)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "lion.png"
    Image.new("RGB", (30, 20), (200, 30, 90)).save(path)
    return path


# The value of `embed` for the photo.
PHOTO = np.array([200, 30, 90, 170, 1], np.float32)


def by_hand(vector: np.ndarray, gallery: np.ndarray) -> tuple[list[int], list[float]]:
    """Return the rows of the gallery by distance, and the distances, computed independently."""
    distances = [float(np.sqrt(np.square(np.float64(vector) - row).sum())) for row in np.float64(gallery)]
    order = sorted(range(len(distances)), key=lambda row: (distances[row], row))
    return order, [distances[row] for row in order]


def test_methods_images_and_features(results: Results, tmp_path: Path) -> None:
    assert results.methods == ["tiny", "unit"]
    assert len(results.images) == 24
    assert set(results.images["category"]) == {"apple", "leaf", "sea"}
    assert all(Path(path).is_file() for path in results.images["path"])
    train, test = results.features("tiny"), results.features("tiny", "test")
    assert (train.features.shape, test.features.shape) == ((18, 5), (3, 5))
    assert list(test.image_id) == ["apple/6.png", "leaf/6.png", "sea/6.png"]


def test_an_image_file_is_encoded_and_its_nearest_images_are_found(results: Results, photo: Path) -> None:
    found = results.search(photo, "tiny", k=3)
    gallery = results.features("tiny")
    order, distances = by_hand(PHOTO, gallery.features)
    assert list(found.columns) == ["rank", "image_id", "category", "distance", "probability", "path"]
    assert list(found["rank"]) == [1, 2, 3]
    assert list(found["image_id"]) == [gallery.image_id[row] for row in order[:3]]
    np.testing.assert_allclose(found["distance"], distances[:3], rtol=1e-12)
    assert [Path(path).parent.name for path in found["path"]] == list(found["category"])


def test_a_derived_method_uses_the_features_of_its_parts(results: Results, photo: Path) -> None:
    found = results.search(photo, "unit", k=2)
    order, distances = by_hand(PHOTO / np.float32(77901**0.5), results.features("unit").features)
    assert list(found["image_id"]) == [results.features("unit").image_id[row] for row in order[:2]]
    np.testing.assert_allclose(found["distance"], distances[:2], rtol=1e-5)


def test_an_image_of_the_gallery_is_not_its_own_result(results: Results) -> None:
    found = results.search("sea/2.png", "tiny", k=17)
    assert len(found) == 17
    assert "sea/2.png" not in set(found["image_id"])
    # From a smaller gallery all images are returned.
    assert len(results.search("sea/2.png", "tiny", k=100)) == 17


def test_probabilities_of_results_and_novelty_of_a_query(results: Results, folder: Path, photo: Path) -> None:
    # There is no calibration.
    assert results.search(photo, "tiny")["probability"].isna().all()
    assert results.novelty(photo, "tiny") is None
    _, distances = by_hand(results.features("tiny", "test").features[1], results.features("tiny").features)
    mean = sum(distances[:3]) / 3
    for threshold, is_new in ((mean * 1.001, False), (mean * 0.999, True)):
        learn(folder, "tiny", threshold)
        found = cbir.open(folder).novelty("leaf/6.png", "tiny")
        assert (found.score, found.is_new) == (pytest.approx(mean, rel=1e-12), is_new)
    found = cbir.open(folder).search("leaf/6.png", "tiny", 18)
    # The probability falls from 0.9 at distance 1 to 0.1 at 9, by 0.1 for each step of 1.
    assert list(found["probability"]) == pytest.approx([min(max(1 - d / 10, 0.1), 0.9) for d in distances], abs=1e-12)
    with pytest.raises(InputError, match="no method 'none'"):
        cbir.open(folder).novelty("leaf/6.png", "none")


def test_an_image_of_the_gallery_is_not_compared_with_itself(results: Results, folder: Path) -> None:
    learn(folder, "tiny", 1)
    gallery = results.features("tiny")
    row = gallery.row("sea/2.png")
    order, distances = by_hand(gallery.features[row], gallery.features)
    assert order[0] == row
    assert cbir.open(folder).novelty("sea/2.png", "tiny").score == pytest.approx(sum(distances[1:4]) / 3, rel=1e-12)


def test_a_damaged_calibration_is_reported(folder: Path) -> None:
    learn(folder, "tiny", 1)
    path = folder / "evaluation/tiny/calibration.json"
    write_json(path, {"probability": 1})
    with pytest.raises(InputError, match=r"calibration\.json is damaged"):
        cbir.open(folder).search("leaf/6.png", "tiny")


def test_the_gallery_is_that_of_the_split_protocol(folder: Path) -> None:
    write_json(folder / "configuration.json", CONFIGURATION | {"split": {"protocol": "leave-one-out"}})
    results = cbir.open(folder)
    assert list(results.features("tiny").image_id) == ["apple/6.png", "leaf/6.png", "sea/6.png"]
    assert set(results.search("leaf/6.png", "tiny")["image_id"]) == {"apple/6.png", "sea/6.png"}
    write_json(folder / "configuration.json", CONFIGURATION | {"split": {"protocol": "query-gallery"}})
    assert len(cbir.open(folder).features("tiny").image_id) == 18
    write_json(folder / "configuration.json", CONFIGURATION | {"split": {"protocol": "magic"}})
    with pytest.raises(InputError, match="magic"):
        cbir.open(folder)


def test_stored_features_of_a_test_image_are_used(results: Results, folder: Path) -> None:
    found = results.search("leaf/6.png", "tiny", k=18)
    order, distances = by_hand(results.features("tiny", "test").features[1], results.features("tiny").features)
    assert list(found["image_id"]) == [results.features("tiny").image_id[row] for row in order]
    np.testing.assert_allclose(found["distance"], distances, rtol=1e-12)


def test_an_image_without_stored_features_is_encoded(results: Results, folder: Path) -> None:
    path = folder.parent / "collection" / "sea" / "7.png"
    assert "sea/7.png" not in results.features("tiny", "test").image_id
    by_name, by_file = results.search("sea/7.png", "tiny"), results.search(path, "tiny")
    assert list(by_name["image_id"]) == list(by_file["image_id"])
    assert list(by_name["distance"]) == list(by_file["distance"])


def test_a_run_with_a_single_method_has_no_comparison(folder: Path) -> None:
    shutil.rmtree(folder / "features" / "unit")
    settings = {"confidence": 0.95, "resamples": 99, "seed": 1}
    write_json(folder / "configuration.json", {"comparison": settings | {"pairs": []}})
    queries = "image_id,category,predicted,correct,nmrr,average_precision\n" + "sea/6.png,sea,sea,True,0.25,0.5\n" * 2
    files = {"queries.csv": queries, "categories.csv": "category,precision,recall,f1,support,anmrr\nsea,1,1,1,2,0.25\n"}
    for name, text in files.items():
        (folder / "evaluation/tiny" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "evaluation/tiny" / name).write_text(text)
    summary = {
        "method": "tiny",
        "k": 3,
        **dict.fromkeys(all_metrics(), 0.5),
        "anmrr": 0.25,
        "accuracy": 1.0,
        "map": 0.5,
    }
    write_json(folder / "evaluation/tiny/summary.json", summary | {"features_sha256": {"train": "x"}})
    table = cbir.open(folder).comparison()
    assert list(table.index) == ["tiny"]
    # All queries have the same value, so every resample has the same mean.
    assert table.loc["tiny", ["anmrr_low", "anmrr", "anmrr_high"]].tolist() == [0.25] * 3
    assert "features_sha256" not in table


def test_it_is_independent_of_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(folder.parent)
    relative = cbir.open()
    expected = relative.search("sea/2.png", "tiny")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cbir.open(folder).search("sea/2.png", "tiny").equals(expected)
    assert all(Path(path).is_absolute() for path in expected["path"])


@pytest.mark.parametrize(
    ("query", "method", "k", "message"),
    [
        ("sea/2.png", "other", 5, "no method 'other': use one of tiny, unit"),
        ("sea/2.png", "../tiny", 5, r"no method '../tiny'"),
        ("sea/2.png", "tiny", 0, "k is 0"),
        ("sea/9.png", "tiny", 5, "'sea/9.png' is neither an image_id of the collection nor an image file"),
        ("results/collection/images.csv", "tiny", 5, "cannot be used: not an image in a supported format"),
        ("results", "tiny", 5, "cannot be used: not a regular file"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(
    results: Results, folder: Path, monkeypatch: pytest.MonkeyPatch, query: str, method: str, k: int, message: str
) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(InputError, match=message):
        results.search(query, method, k)


def test_results_that_cannot_be_opened(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none does not exist: run the workflow first"):
        cbir.open(tmp_path / "none")
    shutil.rmtree(folder / "features")
    with pytest.raises(InputError, match="holds no method's features"):
        cbir.open(folder)


def test_a_network_other_than_that_of_the_features_is_refused(folder: Path, photo: Path) -> None:
    write_json(folder / "encoders" / "tiny.json", {"fingerprint": "other"})
    for method in ("tiny", "unit"):
        with pytest.raises(InputError, match=r"tiny\.keras is not the one that made the features"):
            cbir.open(folder).search(photo, method)


def test_images_and_folders_are_encoded_into_a_store(
    results: Results, photo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = tmp_path / "more"
    (more / "deep").mkdir(parents=True)
    shutil.copy(photo, more / "deep/b.png")
    Image.new("RGB", (10, 10), (1, 2, 3)).save(more / "a.png")
    (more / "notes.txt").write_text("no image")
    (more / ".hidden.png").write_bytes(photo.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert results.encode([photo, more], "tiny", tmp_path / "out.h5") == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"{more}/notes.txt is left out: not an image in a supported format"
    ]
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file["image_id"].asstr()) == [str(photo), f"{more}/a.png", f"{more}/deep/b.png"]
        np.testing.assert_array_equal(file["features"], [PHOTO, [1, 2, 3, -1, 1], PHOTO])
        assert list(file["label"]) == [-1, -1, -1]


def test_files_are_encoded_in_batches_of_the_run(
    results: Results, photo: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    monkeypatch.setattr(outside, "open_network", lambda path, fingerprint, batch, calls: batches.append(batch) or embed)
    results.encode([photo], "tiny", tmp_path / "out.h5")
    assert batches == [3]
    write_json(folder / "configuration.json", {"encoders": {}})
    with pytest.raises(InputError, match=r"configuration\.json lacks encoders\.tiny\.batch: run the workflow again"):
        cbir.open(folder).encode([photo], "tiny", tmp_path / "out.h5")


def test_paths_that_cannot_be_encoded_are_input_errors(
    results: Results, photo: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for paths, encoder, message in (
        ([tmp_path / "empty"], "tiny", "No image was found"),
        ([tmp_path / "none.png"], "tiny", r"none\.png cannot be used: does not exist"),
        ([folder / "collection/images.csv"], "tiny", "not an image in a supported format"),
        ([photo], "unit", "No method of the results uses an encoder 'unit': use one of tiny"),
    ):
        with pytest.raises(InputError, match=message):
            results.encode(paths, encoder, tmp_path / "out.h5")
        assert not (tmp_path / "out.h5").exists()


def test_importing_and_opening_load_no_network(folder: Path) -> None:
    code = f"""
import sys, json
sys.path.insert(0, {str(SCRIPTS)!r})
import cbir
light = sorted({{"numpy", "pandas", "h5py", "flask", "keras", "tensorflow"}} & set(sys.modules))
cbir.open({str(folder)!r}).search("sea/2.png", "unit")
print(json.dumps([light, sorted({{"flask", "keras", "tensorflow", "matplotlib"}} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == [[], []], done.stderr
