"""Reading a run's results at the start."""

import shutil
from pathlib import Path

import pytest

from cbir.collection.columns import IMAGE_COLUMNS
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, write_csv, write_json, write_text
from cbir.web.library import Library
from web.made import CONFIGURATION, configure


def test_methods_categories_and_images_are_read(library: Library, tmp_path: Path) -> None:
    assert list(library.methods) == ["tiny", "unit"]
    assert library.categories == {"apple": 8, "leaf": 8, "sea": 8}
    assert library.images["sea/3.png"].path == tmp_path / "collection" / "sea" / "3.png"
    assert len(library.methods["tiny"].gallery.image_ids) == 18


def test_the_gallery_is_that_of_the_split_protocol(results: Path) -> None:
    write_json(results / "configuration.json", CONFIGURATION | {"split": {"protocol": "disjoint"}})
    method = Library(results).methods["unit"]
    assert list(method.gallery.image_ids) == ["apple/6.png", "leaf/6.png", "sea/6.png"]
    assert len(list(method.queries)) == 21


def test_queries_are_images_with_features_and_test_images_are_first(library: Library) -> None:
    queries = list(library.methods["tiny"].queries)
    assert queries[:3] == ["apple/6.png", "leaf/6.png", "sea/6.png"]
    assert len(queries) == 21
    assert "sea/7.png" not in queries


def test_source_and_folder_are_those_of_the_runs_configuration(results: Path, library: Library) -> None:
    assert (library.source, library.folder) == ("folder", "feedback/folder")
    write_json(results / "configuration.json", CONFIGURATION | {"collection": {"source": "digits"}})
    assert (Library(results).source, Library(results).folder) == ("digits", "feedback/digits")


@pytest.mark.parametrize("row", [0, 5, 23])
@pytest.mark.parametrize(
    ("image_id", "path"),
    [
        ("{}", "/etc/logo.png"),
        ("{}", "../{}"),
        ("{}", "collection/../../{}"),
        ("{}", "/{}"),
        ("{}", "{}"),
        ("{}", ""),
        ("../{}", "collection/../{}"),
        ("sea/../../{}", "collection/sea/../../{}"),
        ("/etc/logo.png", "/etc/logo.png"),
    ],
)
def test_a_path_that_leads_out_of_the_collection_is_refused(results: Path, row: int, image_id: str, path: str) -> None:
    table = read_csv(results / "collection" / "images.csv", IMAGE_COLUMNS)
    held = table.loc[row, "image_id"]
    table.loc[row, ["image_id", "path"]] = [image_id.format(held), path.format(held)]
    write_csv(results / "collection" / "images.csv", table)
    with pytest.raises(InputError, match=r"images\.csv"):
        Library(results)


def test_weights_and_k_are_those_of_the_runs_configuration(results: Path, library: Library) -> None:
    assert (library.weights, library.k) == (Weights(1, 0.75, 0.15), 10)
    configure(results, alpha=2, beta=0.5, gamma=0, k=7)
    changed = Library(results)
    assert (changed.weights, changed.k) == (Weights(2, 0.5, 0), 7)


def test_replaced_features_are_detected(library: Library, results: Path) -> None:
    assert library.is_current()
    (results / "features" / "unit" / "test.h5").touch()
    assert not library.is_current()
    assert Library(results).version != library.version


def _no_results(results: Path) -> None:
    shutil.rmtree(results)


def _no_images(results: Path) -> None:
    (results / "collection" / "images.csv").unlink()


def _no_features(results: Path) -> None:
    shutil.rmtree(results / "features")


def _damaged_features(results: Path) -> None:
    (results / "features" / "tiny" / "test.h5").write_bytes(b"\x89HDF\r\n")


def _foreign_features(results: Path) -> None:
    shutil.copy(results / "features" / "tiny" / "train.h5", results / "features" / "unit" / "train.h5")


def _foreign_configuration(results: Path) -> None:
    write_text(results / "configuration.json", '{"feedback": null}')


def _no_configuration(results: Path) -> None:
    (results / "configuration.json").unlink()


def _source_that_is_a_path(results: Path) -> None:
    write_json(results / "configuration.json", CONFIGURATION | {"collection": {"source": "../../etc"}})


def _other_images(results: Path) -> None:
    table = results / "collection" / "images.csv"
    write_text(table, table.read_text().replace("sea/6.png,", "sea/six.png,"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_no_results, "does not exist: run the workflow first"),
        (_no_images, "images.csv does not exist"),
        (_no_features, "holds no method's features: run the workflow first"),
        (_damaged_features, "test.h5 is damaged"),
        (_foreign_features, "is of the method 'tiny', not 'unit'"),
        (_foreign_configuration, "configuration.json is not the configuration of a run"),
        (_no_configuration, "configuration.json does not exist: run the workflow"),
        (_source_that_is_a_path, "is not the configuration of a run .*'../../etc' does not exist"),
        (_other_images, "'sea/6.png', which is not in"),
    ],
)
def test_unusable_results_are_reported_in_one_sentence(results: Path, spoil, message: str) -> None:
    spoil(results)
    with pytest.raises(InputError, match=message):
        Library(results)
