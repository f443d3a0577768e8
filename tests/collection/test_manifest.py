import hashlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cbir.collection import images
from cbir.collection import manifest as module
from cbir.collection.categories import category_labels
from cbir.collection.columns import IMAGE_COLUMNS, REJECTED_COLUMNS
from cbir.collection.manifest import collect, require_categories, shard_of
from cbir.files import hashes, tables
from cbir.files.errors import InputError
from conftest import picture, write_collection


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "memory"


def reasons(rejected: pd.DataFrame, folder: Path) -> dict[str, str]:
    return {
        os.path.relpath(path, folder): reason for path, reason in zip(rejected["path"], rejected["reason"], strict=True)
    }


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count decoded images by their number of bytes."""
    seen: list[int] = []
    decode = images.decode

    def count(data: bytes) -> Image.Image:
        seen.append(len(data))
        return decode(data)

    monkeypatch.setattr(images, "decode", count)
    return seen


def test_a_plain_collection(collection: Path, memory: Path) -> None:
    table, rejected, *_ = collect(collection, memory, workers=2)
    assert list(table.columns) == IMAGE_COLUMNS
    assert list(rejected.columns) == REJECTED_COLUMNS
    assert len(rejected) == 0
    assert table["image_id"].tolist() == [f"{c}/{n}.png" for c in ("apple", "leaf", "sea") for n in range(6)]
    assert table["label"].tolist() == [0] * 6 + [1] * 6 + [2] * 6
    row = table.iloc[7]
    assert (row["category"], row["width"], row["height"]) == ("leaf", 48, 48)
    assert row["path"] == str(collection / "leaf" / "1.png")
    assert row["bytes"] == (collection / "leaf" / "1.png").stat().st_size
    assert row["sha256"] == hashes.sha256_file(collection / "leaf" / "1.png")


def test_unusable_files_are_listed_and_the_rest_is_kept(collection: Path, memory: Path) -> None:
    (collection / "top.png").write_bytes((collection / "sea" / "0.png").read_bytes())
    (collection / "sea" / "notes.jpg").write_text("Dear Sir")
    (collection / "sea" / "empty.png").touch()
    whole = (collection / "sea" / "0.png").read_bytes()
    (collection / "sea" / "half.png").write_bytes(whole[: len(whole) // 2])
    (collection / "sea" / ".DS_Store").write_text("x")
    (collection / "sea" / "._0.png").write_bytes(whole)
    (collection / ".thumbnails" / "sea").mkdir(parents=True)
    picture(0, 99).save(collection / ".thumbnails" / "sea" / "0.png")
    os.mkfifo(collection / "sea" / "pipe.png")
    (collection / "sea" / "broken.png").symlink_to("nowhere.png")
    table, rejected, *_ = collect(collection, memory)
    assert len(table) == 18
    assert set(table["category"]) == {"apple", "leaf", "sea"}
    found = reasons(rejected, collection)
    assert list(found) == sorted(found)
    assert found.pop("sea/half.png").startswith("damaged or truncated")
    assert found == {
        "top.png": "not in a category folder",
        "sea/notes.jpg": "not an image in a supported format",
        "sea/empty.png": "empty file",
        "sea/.DS_Store": "hidden",
        "sea/._0.png": "hidden",
        ".thumbnails/sea/0.png": "hidden",
        "sea/pipe.png": "not a regular file",
        "sea/broken.png": "does not exist",
    }


def test_duplicates_are_kept_once_and_conflicts_are_rejected(collection: Path, memory: Path) -> None:
    shutil.copy(collection / "sea" / "3.png", collection / "sea" / "1a.png")
    (collection / "sea" / "deep").mkdir()
    shutil.copy(collection / "sea" / "3.png", collection / "sea" / "deep" / "x.png")
    shutil.copy(collection / "leaf" / "5.png", collection / "apple" / "same.png")
    table, rejected, *_ = collect(collection, memory)
    assert reasons(rejected, collection) == {
        "sea/3.png": "duplicate of sea/1a.png",
        "sea/deep/x.png": "duplicate of sea/1a.png",
        "apple/same.png": "conflict: the same image in another category (leaf/5.png)",
        "leaf/5.png": "conflict: the same image in another category (apple/same.png)",
    }
    assert len(table) == 17
    assert table["sha256"].is_unique


def test_the_same_image_outside_a_category_is_no_conflict(collection: Path, memory: Path) -> None:
    # Named so that it comes before all categories.
    shutil.copy(collection / "sea" / "3.png", collection / "a.png")
    table, rejected, *_ = collect(collection, memory)
    assert reasons(rejected, collection) == {"a.png": "not in a category folder"}
    assert "sea/3.png" in set(table["image_id"])


def test_nested_folders_any_extension_and_any_name(tmp_path: Path, memory: Path) -> None:
    names = [
        "results/1.PNG",
        "results/a/b/2.JpG",
        "category/no extension",
        "..x/1.png",
        "ü 漢/new\nline.png",
        "category/x.png",
    ]
    for number, name in enumerate(names):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(0, number).save(path, "PNG")
    table, rejected, *_ = collect(tmp_path / "in", memory)
    assert table["image_id"].tolist() == [
        "category/no extension",
        "category/x.png",
        *sorted(names[:2]),
        "ü 漢/new\nline.png",
    ]
    assert table["category"].tolist() == ["category", "category", "results", "results", "ü 漢"]
    assert reasons(rejected, tmp_path / "in") == {"..x/1.png": "hidden"}
    tables.write_csv(tmp_path / "images.csv", table)
    read = tables.read_csv(tmp_path / "images.csv", IMAGE_COLUMNS)
    assert read.astype(object).to_numpy().tolist() == table.astype(object).to_numpy().tolist()
    # No image_id leads out of the collection.
    assert all(Path(path).resolve().is_relative_to((tmp_path / "in").resolve()) for path in table["path"])


def test_names_that_are_not_utf8_are_listed_as_rejected(collection: Path, memory: Path, tmp_path: Path) -> None:
    picture(0, 50).save(Path(os.fsdecode(os.fsencode(collection) + b"/sea/\xff.png")))
    table, rejected, *_ = collect(collection, memory)
    assert len(table) == 18
    assert reasons(rejected, collection) == {"sea/\\udcff.png": "its name is not UTF-8"}
    tables.write_csv(tmp_path / "rejected.csv", rejected)
    assert (
        tables.read_csv(tmp_path / "rejected.csv", REJECTED_COLUMNS).to_numpy().tolist() == rejected.to_numpy().tolist()
    )


def test_linked_images_and_categories(collection: Path, memory: Path, tmp_path: Path) -> None:
    write_collection(tmp_path / "other", ("x", "y", "z", "sand"), 2)
    (collection / "sand").symlink_to(tmp_path / "other" / "sand")
    (collection / "sea" / "again.png").symlink_to("0.png")
    table, rejected, *_ = collect(collection, memory)
    assert table["category"].value_counts().to_dict() == {"apple": 6, "leaf": 6, "sea": 6, "sand": 2}
    assert reasons(rejected, collection) == {"sea/again.png": "duplicate of sea/0.png"}


def require(folder: Path, memory: Path, **options: Any) -> None:
    how = {key: options[key] for key in options if key != "least"}
    require_categories(folder, collect(folder, memory, **how), "rejected.csv", **options)


@pytest.mark.parametrize("content", [None, b"Dear Sir"])
def test_a_category_without_images_is_named(collection: Path, memory: Path, content: bytes | None) -> None:
    (collection / "void").mkdir()
    if content:
        (collection / "void" / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"void holds no usable image.*: add images or remove the folder") as error:
        require(collection, memory)
    if content:
        assert "(1 not an image in a supported format; see rejected.csv)" in str(error.value)
    (collection / "empty").mkdir()
    with pytest.raises(InputError, match=r"folders .*/empty, .*/void hold no usable image"):
        require(collection, memory)
    require(collection, memory, exclude=["/void", "empty/"])


def test_a_hidden_folder_is_no_category(collection: Path, memory: Path) -> None:
    (collection / ".git").mkdir()
    assert len(collect(collection, memory)[0]) == 18


def test_a_folder_without_images_is_named(tmp_path: Path, memory: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist: set collection\.path"):
        collect(tmp_path / "nowhere", memory)
    (tmp_path / "in").mkdir()
    picture(0, 0).save(tmp_path / "in" / "0.png")
    with pytest.raises(
        InputError, match=r"in holds no usable image in a category folder \(1 not in a category folder; "
    ):
        require(tmp_path / "in", memory)


def test_the_result_does_not_depend_on_the_order_of_the_file_system(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(collection / "sea" / "3.png", collection / "sea" / "1a.png")
    first = collect(collection, tmp_path / "m1")
    walk = os.walk

    def backwards(*args: object, **kwargs: object) -> object:
        for parent, names, found in walk(*args, **kwargs):
            names.reverse()
            yield parent, names, found[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    again = collect(collection, tmp_path / "m2", workers=4)
    for one, other in zip(first[:4], again[:4], strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert again.ranges == first.ranges


def test_only_new_contents_are_decoded(collection: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = counted(monkeypatch)
    first, *_ = collect(collection, memory)
    assert len(seen) == 18
    (collection / "sea" / "0.png").rename(collection / "sea" / "renamed.png")
    picture(2, 70).save(collection / "sea" / "new.png")
    seen.clear()
    again, *_ = collect(collection, memory)
    assert len(seen) == 1
    assert len(again) == 19
    assert set(first["sha256"]) < set(again["sha256"])


def test_an_interrupted_run_continues(collection: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SAVE_EVERY", 5)
    seen = counted(monkeypatch)
    decode = images.decode

    def interrupted(data: bytes) -> Image.Image:
        if len(seen) == 12:
            raise KeyboardInterrupt
        return decode(data)

    with monkeypatch.context() as patch:
        patch.setattr(images, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect(collection, memory)
    seen.clear()
    table, *_ = collect(collection, memory)
    # Ten were saved in two blocks of five.
    assert len(seen) == 8
    pd.testing.assert_frame_equal(table, collect(collection, memory.parent / "fresh")[0])


def test_another_version_of_the_decoder_decodes_again(
    collection: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(collection, memory)
    seen = counted(monkeypatch)
    collect(collection, memory)
    assert seen == []
    monkeypatch.setattr("PIL.__version__", "0")
    collect(collection, memory)
    assert len(seen) == 18


@pytest.mark.parametrize("damage", ["", "[]", "[" * 99_999, "finding", "reason", "number", "hashes"])
def test_a_damaged_cache_is_ignored(collection: Path, memory: Path, damage: str) -> None:
    first, *_ = collect(collection, memory)
    path = memory / "decoded.json"
    if damage in ("finding", "reason", "number", "hashes"):
        saved = json.loads(path.read_text())
        good = next(iter(saved["images"].values()))
        wrong = {
            "finding": 5,
            "reason": {"reason": None},
            "number": good | {"width": "w", "height": None, "bytes": []},
            "hashes": good | {"hashes": ["", "", "", "x"]},
        }[damage]
        saved["images"] = dict.fromkeys(saved["images"], wrong)
        damage = json.dumps(saved)
    path.write_text(damage)
    pd.testing.assert_frame_equal(collect(collection, memory)[0], first)


def test_a_file_that_changes_while_it_is_read_is_not_cached_under_its_old_hash(
    collection: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection / "sea" / "0.png"
    old = path.read_bytes()
    read_bytes = images.read_bytes

    def replaced(name: Path) -> bytes:
        if Path(name) == path:
            path.write_bytes(b"replaced")
        return read_bytes(name)

    with monkeypatch.context() as patch:
        patch.setattr(images, "read_bytes", replaced)
        table, rejected, *_ = collect(collection, memory)
    assert len(table) == 17
    assert reasons(rejected, collection) == {"sea/0.png": "changed while it was read"}
    path.write_bytes(old)
    assert len(collect(collection, memory)[0]) == 18


def test_a_file_that_vanishes_while_it_is_read_is_decoded_when_it_is_back(
    collection: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection / "sea" / "0.png"
    old = path.read_bytes()
    read_bytes = images.read_bytes

    def vanished(name: Path) -> bytes:
        if Path(name) == path:
            path.unlink(missing_ok=True)
        return read_bytes(name)

    with monkeypatch.context() as patch:
        patch.setattr(images, "read_bytes", vanished)
        assert len(collect(collection, memory)[0]) == 17
    path.write_bytes(old)
    assert len(collect(collection, memory)[0]) == 18


def test_labels_are_positions_in_sorted_order() -> None:
    assert category_labels(pd.Series(["b", "ä", "a", "B", "b"])) == {"B": 0, "a": 1, "b": 2, "ä": 3}


def test_shards_divide_the_hashes_evenly_and_in_order() -> None:
    assert [shard_of(start + "0" * 63, 4) for start in "03478bcf"] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert shard_of("f" * 64, 4096) == 4095
    assert shard_of("f" * 64, 1) == 0


def test_the_size_is_that_after_exif_orientation(tmp_path: Path, memory: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    stream = io.BytesIO()
    Image.new("RGB", (20, 10)).save(stream, "JPEG", exif=exif)
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "1.jpg").write_bytes(stream.getvalue())
    table, *_ = collect(tmp_path / "in", memory)
    assert table[["width", "height"]].to_numpy().tolist() == [[10, 20]]


def test_folders_of_a_given_split(tmp_path: Path, memory: Path) -> None:
    for part in ("train", "Val", "test"):
        write_collection(tmp_path / "in" / part, ("x", "y"), 2)
    for number, path in enumerate(sorted((tmp_path / "in").glob("*/*/*"))):
        picture(0, 200 + number).save(path)
    picture(0, 99).save(tmp_path / "in" / "train" / "0.png")
    (tmp_path / "in" / "extra").mkdir()
    picture(0, 98).save(tmp_path / "in" / "extra" / "0.png")
    table, rejected, *_ = collect(tmp_path / "in", memory, layout="parts")
    assert list(table.columns) == [*IMAGE_COLUMNS, "split"]
    assert table["image_id"].tolist()[:2] == ["Val/x/0.png", "Val/x/1.png"]
    assert table["category"].value_counts().to_dict() == {"x": 6, "y": 6}
    assert table.groupby("split")["image_id"].count().to_dict() == {"test": 4, "train": 4, "val": 4}
    assert set(reasons(rejected, tmp_path / "in")) == {"extra/0.png", "train/0.png"}
    require(tmp_path / "in", memory, layout="parts")
    shutil.rmtree(tmp_path / "in" / "extra")
    (tmp_path / "in" / "train" / "0.png").unlink()
    with pytest.raises(InputError, match=r"\(Val, test, train\) are parts of a split.*split: \{from: folders\}"):
        require(tmp_path / "in", memory)
    # The same if the path is one folder above.
    (tmp_path / "above").mkdir()
    (tmp_path / "in").rename(tmp_path / "above" / "data")
    with pytest.raises(InputError, match=r"path to .*/above/data, and split\.from to folders"):
        require(tmp_path / "above", memory)


def test_the_folder_below_that_holds_the_categories_is_named(tmp_path: Path, memory: Path) -> None:
    write_collection(tmp_path / "in" / "data" / "images")
    with pytest.raises(InputError, match=r"one category only, 'data'.*path to .*/in/data/images, which holds several"):
        require(tmp_path / "in", memory)
    with pytest.raises(InputError, match=r"one category only, 'sea'.*give each category a sub-folder"):
        require(write_collection(tmp_path / "one", ("sea",)), memory)


def test_files_of_programs_are_skipped_and_counted(collection: Path, memory: Path) -> None:
    plain = collect(collection, memory).images
    write_collection(collection / "sea" / "@eaDir", ("0.png",), 3)
    write_collection(collection / "__MACOSX", ("sea",), 1)
    write_collection(collection / "$RECYCLE.BIN", ("S-1-5-18",), 1)
    (collection / "leaf" / "Thumbs.db").write_bytes(b"x")
    shutil.copy(collection / "leaf" / "0.png", collection / "leaf" / "0.png~")
    found = collect(collection, memory)
    pd.testing.assert_frame_equal(found.images, plain)
    assert reasons(found.rejected, collection) == {
        "sea/@eaDir": "folder of the system or of a program (Synology)",
        "__MACOSX": "folder of the system or of a program (macOS)",
        "$RECYCLE.BIN": "folder of the system or of a program (Windows)",
        "leaf/Thumbs.db": "file of the system or of a program (Windows)",
        "leaf/0.png~": "file of the system or of a program (an editor, a backup)",
    }
    require(collection, memory)


def test_all_small_categories_are_named_before_anything_is_encoded(collection: Path, memory: Path) -> None:
    for name in ("b", "c"):
        (collection / name).mkdir()
        picture(0, ord(name)).save(collection / name / "0.png")
    require(collection, memory)
    with pytest.raises(InputError, match=r"2 of 5 categories .*'b' has 1, 'c' has 1: add images, or set split\.small"):
        require(collection, memory, least=3)


def test_categories_that_are_spelt_alike_are_named(
    collection: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require(collection, memory)
    assert not caplog.messages
    for number, name in enumerate(("Sea", "polar bear", "Polar_Bear", "Caf\u00e9", "Cafe\u0301")):
        (collection / name).mkdir()
        picture(1, 300 + number).save(collection / name / "0.png")
    require(collection, memory)
    assert sorted(message.split(": ")[1].split(". ")[0] for message in caplog.messages) == [
        "Cafe\u0301 (accents apart, 1 images), Caf\u00e9 (composed, 1 images)",
        "Polar_Bear (1 images), polar bear (1 images)",
        "Sea (1 images), sea (6 images)",
    ]


def test_unusual_images_that_are_used_get_a_note(
    collection: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (50, 50), "navy").save(collection / "sea" / "flat.png")
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) % 256).save(collection / "sea" / "narrow.tif")
    for _ in range(2):
        found = collect(collection, memory)
        assert found.notes.to_numpy().tolist() == [
            [str(collection / "sea" / "flat.png"), "of one colour"],
            [
                str(collection / "sea" / "narrow.tif"),
                "values of 8 bits in a file of 16 bits that does not state its range: 255 is taken for white",
            ],
        ]
    require(collection, memory)
    assert "1 images: of one colour" in caplog.messages


def test_without_categories_every_image_at_any_depth_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "album"
    for number, name in enumerate(("top.png", "2024/a.png", "2024/sea/b.png", "2025/again.png", "@eaDir/thumb.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (0, 0, 200 if "a" in path.stem else 40 * number)).save(path)
    found = collect(folder, tmp_path / "memory", layout="none")
    assert list(found.images["image_id"]) == ["2024/a.png", "2024/sea/b.png", "top.png"]
    assert set(found.images["category"]) == {""} and set(found.images["label"]) == {-1}
    assert dict(found.rejected.to_numpy()) == {
        f"{folder}/2025/again.png": "duplicate of 2024/a.png",
        f"{folder}/@eaDir/": "folder of the system or of a program (Synology)",
    }
    # The folders are not checked as categories: neither for too few images nor for unusual names.
    require_categories(folder, found, "rejected.csv", layout="none", least=3)
    assert caplog.messages == ["3 images: of one colour"]
    single = found._replace(images=found.images.iloc[:1])
    with pytest.raises(InputError, match=r"holds a single usable image \(.*rejected.csv\): a search needs two"):
        require_categories(folder, single, "rejected.csv", layout="none")
    with pytest.raises(InputError, match=r"holds no usable image .*: a search needs two"):
        require_categories(folder, found._replace(images=found.images.iloc[:0]), "rejected.csv", layout="none")


def write_values(path: Path, largest: int, seed: int = 0) -> str:
    """Write 16-bit values up to ``largest``; return the file's SHA-256."""
    values = np.random.default_rng(seed).integers(0, largest, (20, 20)).astype(np.uint16)
    values[0, 0] = largest
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_that_do_not_state_their_range_share_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, memory = tmp_path / "in", tmp_path / "memory"
    dark = write_values(folder / "a" / "dark.png", 900)
    picture(0, 1).save(folder / "a" / "0.png")
    write_values(folder / "b" / "darker.png", 1000, 1)
    assert collect(folder, memory).ranges == ({16: [1023]}, {})
    # Another exposure of the same camera.
    bright = write_values(folder / "b" / "bright.png", 3000)
    found = collect(folder, memory)
    assert found.ranges.whites == {16: [4095]} and found.ranges.images[dark] == 4095
    assert len(found.ranges.images) == 2 and bright not in found.ranges.images
    note = "values of {} bits in a file of 16 bits that does not state its range: 4095 is taken for white{}"
    assert found.notes["note"].tolist() == [
        note.format(10, ", as in other such files"),
        note.format(12, ""),
        note.format(10, ", as in other such files"),
    ]
    require_categories(folder, found, "rejected.csv")
    assert f"2 images: {note.format(10, ', as in other such files')}" in caplog.messages
    assert not [message for message in caplog.messages if "different ones" in message]
    # An excluded image has no effect on the range.
    excluded = {"b/bright.png": {"verdict": "exclude", "category": ""}}
    assert collect(folder, memory, corrections=excluded).ranges == ({16: [1023]}, {})


def test_several_ranges_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, most in enumerate((200, 210, 3000)):
        write_values(tmp_path / "in" / "ab"[number % 2] / f"{number}.png", most, number)
    found = collect(tmp_path / "in", tmp_path / "memory")
    assert sorted(note.split(" bits that")[0] for note in found.notes["note"]) == [
        "values of 12 bits in a file of 16",
        *["values of 8 bits in a file of 16"] * 2,
    ]
    require_categories(tmp_path / "in", found, "rejected.csv")
    [warning] = [message for message in caplog.messages if "different ones" in message]
    assert "are read by 2 different ones (white is 4095, 255)" in warning and "sBIT of a PNG" in warning


def test_parts_without_categories_count_as_categories_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "in"
    write_collection(folder, ("train", "test"), 2)
    require(folder, tmp_path / "memory")
    [warning] = caplog.messages
    assert warning.startswith(f"The folders of {folder} (test, train) are called like the parts of a split")


def test_names_that_look_alike_are_described_by_their_difference(
    collection: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, name in enumerate(("sea ", "s\u200bea")):
        (collection / name).mkdir()
        picture(1, 300 + number).save(collection / name / "0.png")
    require(collection, memory)
    [warning] = caplog.messages
    assert (
        "sea  (with a space at its end, 1 images)" in warning and "(with an invisible character, 1 images)" in warning
    )


def test_the_error_of_a_single_category_counts_the_rejected_files(tmp_path: Path, memory: Path) -> None:
    folder = tmp_path / "in"
    write_collection(folder, ("cat", "dog"), 2)
    (folder / "wolf").symlink_to(folder / "dog")
    with pytest.raises(InputError, match=r"one category only, 'cat' \(4 with the same image in another category; see "):
        require(folder, memory)
