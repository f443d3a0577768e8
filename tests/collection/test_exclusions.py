"""Files and folders that do not belong to a collection."""

import os
from pathlib import Path

import pytest

from cbir.collection import contents
from cbir.collection.exclusions import EXCLUDED, HIDDEN, Exclusions
from cbir.files.errors import InputError


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("cat/@eaDir/", "Synology"),
        *((f"cat/{name}/", "Synology") for name in ("@SynoResource", "@appstore", "@autoupdate", "#recycle", "@S2S")),
        ("cat/resource.frk/", "macOS"),
        ("cat/_thumbs/1.jpg", "a web gallery"),
        ("cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", "Synology"),
        ("#recycle/", "Synology"),
        ("@Recycle/", "QNAP"),
        ("__MACOSX/", "macOS"),
        ("System Volume Information/", "Windows"),
        ("lost+found/", "Linux"),
        ("Previews.lrdata/", "Lightroom"),
        ("cat/CaptureOne/", "Capture One"),
        ("cat/THUMBS.DB", "Windows"),
        ("cat/Icon\r", "macOS"),
        ("cat/1.jpg_original", "ExifTool, the file before its last change"),
        ("cat/1.xmp", "a photo manager, settings of an image"),
        ("cat/1.jpg.part", "an unfinished download"),
    ],
)
def test_files_and_folders_of_programs_are_recognised(name: str, whose: str) -> None:
    assert Exclusions().reason(name).endswith(f"of the system or of a program ({whose})")


@pytest.mark.parametrize(
    "name", ["cat/1.jpg", "thumbnails/1.jpg", "originals/", "cat/recycle/1.jpg", "temp/1.jpg", "db/"]
)
def test_folders_that_may_be_categories_are_kept(name: str) -> None:
    assert Exclusions().reason(name) == ""


def test_hidden_files_are_hidden() -> None:
    assert {Exclusions().reason(name) for name in ("cat/.a.jpg", ".Trash-1000/", "cat/._1.jpg", ".a/b/c")} == {HIDDEN}


def test_patterns_exclude_and_bring_back_as_in_gitignore() -> None:
    own = Exclusions(["drafts/", "*-thumb.jpg", "/old", "!CaptureOne/", "!.cats/"])
    assert own.reason("cat/drafts/") == own.reason("cat/drafts/1.jpg") == f"{EXCLUDED} (drafts/)"
    assert own.reason("cat/1-thumb.jpg") == f"{EXCLUDED} (*-thumb.jpg)"
    assert own.reason("old/1.jpg") == f"{EXCLUDED} (/old)"
    assert own.reason("cat/old/1.jpg") == own.reason("CaptureOne/1.jpg") == own.reason(".cats/1.jpg") == ""


def test_an_invalid_pattern_is_refused() -> None:
    with pytest.raises(InputError, match=r"collection\.exclude has '!'"):
        Exclusions(["!"])


def test_excluded_folders_are_listed_and_not_entered(tmp_path: Path) -> None:
    for name in ("a/1", "a/@eaDir/1/x", "drafts/2", "b/.hidden/3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert contents.list_files(tmp_path, ["drafts/"]) == ["a/1", "a/@eaDir/", "b/.hidden/3", "drafts/"]


def test_names_are_composed_if_the_file_system_treats_both_forms_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Cafe\u0301").mkdir()
    (tmp_path / "Cafe\u0301" / "1").touch()
    assert contents.list_files(tmp_path) == ["Cafe\u0301/1"]
    monkeypatch.setattr(os.path, "samefile", lambda one, other: True)
    assert contents.list_files(tmp_path) == ["Caf\u00e9/1"]
