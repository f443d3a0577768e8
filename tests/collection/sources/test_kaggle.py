import logging
from collections.abc import Callable
from pathlib import Path

import kagglehub
import pytest
import requests
from kagglehub.exceptions import KaggleApiHTTPError, UnauthenticatedError

from cbir.collection.sources import kaggle
from cbir.files.errors import InputError

Downloads = Callable[..., Path]


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Downloads:
    """Make kagglehub return a folder with files of the given names, each of which contains its name."""

    def downloads(*names: str) -> Path:
        cache = tmp_path / "cache"
        cache.mkdir()
        for name in names:
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            (cache / name).write_text(name)
        monkeypatch.setattr(kagglehub, "dataset_download", lambda dataset: str(cache))
        return cache

    return downloads


def test_finds_the_categories_below_other_folders(downloads: Downloads, tmp_path: Path) -> None:
    downloads(
        "readme.txt", "cover.jpg", "mammals/labels.csv", "mammals/logo.png", "mammals/red panda/2.JPG",
        "mammals/red panda/1.jpeg", "mammals/red panda/notes.txt", "mammals/moose/1.png", "mammals/élan/1.webp",
    )  # fmt: skip
    table = kaggle.fetch(tmp_path / "out", {"dataset": "someone/mammals"})
    assert list(table.file) == ["moose/1.png", "red panda/1.jpeg", "red panda/2.JPG", "élan/1.webp"]
    assert (tmp_path / "out/red panda/2.JPG").read_text() == "mammals/red panda/2.JPG"
    assert len(list((tmp_path / "out").rglob("*.*"))) == 4
    assert set(table.source) == {"https://www.kaggle.com/datasets/someone/mammals"}
    assert set(table.author) == set(table.licence) == {"see source"}


def test_the_download_may_consist_of_the_folders_of_categories(downloads: Downloads, tmp_path: Path) -> None:
    downloads("cat/1.jpg", "dog/1.jpg")
    assert list(kaggle.fetch(tmp_path / "out", {"dataset": "a/b"}).file) == ["cat/1.jpg", "dog/1.jpg"]


def test_takes_the_folder_with_most_images_and_reports_the_others(
    downloads: Downloads, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    downloads("test/cat/9.jpg", "train/cat/1.jpg", "train/dog/1.jpg", "__MACOSX/train/cat/._1.jpg")
    with caplog.at_level(logging.WARNING, "cbir"):
        table = kaggle.fetch(tmp_path / "out", {"dataset": "a/b"})
    assert list(table.file) == ["cat/1.jpg", "dog/1.jpg"]
    assert caplog.messages == ["a/b: 2 images are used from train, 1 elsewhere are not"]


def test_running_again_renews_the_links(downloads: Downloads, tmp_path: Path) -> None:
    cache = downloads("cat/1.jpg", "dog/1.jpg")
    kaggle.fetch(tmp_path / "out", {"dataset": "a/b"})
    (tmp_path / "out/cat/1.jpg").unlink()
    (tmp_path / "out/cat/1.jpg").symlink_to(tmp_path / "gone.jpg")
    kaggle.fetch(tmp_path / "out", {"dataset": "a/b"})
    assert (tmp_path / "out/cat/1.jpg").resolve() == (cache / "cat/1.jpg").resolve()


@pytest.mark.parametrize("names", [(), ("1.jpg", "2.jpg"), ("cat/notes.txt", "dog/notes.txt")])
def test_a_data_set_without_folders_of_images_is_an_input_error(
    downloads: Downloads, tmp_path: Path, names: tuple[str, ...]
) -> None:
    downloads(*names)
    with pytest.raises(InputError, match="The Kaggle data set 'a/b' has no folders of images: choose another"):
        kaggle.fetch(tmp_path / "out", {"dataset": "a/b"})


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (requests.exceptions.ConnectionError("Failed to resolve 'api.kaggle.com'"), "Failed to resolve"),
        (UnauthenticatedError(), "User is not authenticated"),
        (KaggleApiHTTPError("404 Client Error.\n\nResource not found"), r"\(404 Client Error\.\)"),
        (KeyError(), r"\(KeyError\)"),
    ],
)
def test_a_failed_download_is_an_input_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, problem: Exception, reason: str
) -> None:
    def fail(dataset: str) -> str:
        raise problem

    monkeypatch.setattr(kagglehub, "dataset_download", fail)
    with pytest.raises(InputError, match=f"'a/b' cannot be downloaded .*{reason}") as error:
        kaggle.fetch(tmp_path / "out", {"dataset": "a/b"})
    assert "KAGGLE_API_TOKEN" in str(error.value)
    assert "`collection: {source: folder, path: DIR}`" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_invalid_name_of_a_data_set_is_refused_without_the_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'nonsense' cannot be downloaded"):
        kaggle.fetch(tmp_path / "out", {"dataset": "nonsense"})


def test_a_folder_that_cannot_hold_links_is_an_input_error(downloads: Downloads, tmp_path: Path) -> None:
    downloads("cat/1.jpg", "dog/1.jpg")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="cannot take links"):
        kaggle.fetch(tmp_path / "out", {"dataset": "a/b"})
