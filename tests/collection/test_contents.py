import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cbir.collection import contents
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file

Seen = list[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/1", "a/2", "b/deep/3"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "in"


@pytest.fixture
def hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[dict[str, str], Seen]]:
    """Hash the folder as if its files were old; return the hashes and the names of the files that were read."""
    monkeypatch.setattr(contents, "_SETTLED_SECONDS", -60.0)

    def run() -> tuple[dict[str, str], Seen]:
        seen: Seen = []

        def count(path: Path) -> str:
            seen.append(path.relative_to(folder).as_posix())
            return sha256_file(path)

        with monkeypatch.context() as patch:
            patch.setattr(contents, "sha256_file", count)
            return contents.hash_folder(folder, folder.parent / "memory.json"), sorted(seen)

    return run


Hashed = Callable[[], tuple[dict[str, str], Seen]]


def test_all_files_are_read_once(hashed: Hashed) -> None:
    hashes, seen = hashed()
    assert seen == list(hashes) == ["a/1", "a/2", "b/deep/3"]
    # printf a/1 | sha256sum
    assert hashes["a/1"] == "773232abe9343f0e102f8248423fc6ceec7d0ac3f4f0144ab3bd88a0611be529"
    assert hashed() == (hashes, [])


def test_a_touched_file_is_read_again_but_hashes_the_same(hashed: Hashed, folder: Path) -> None:
    first, _ = hashed()
    os.utime(folder / "a/1", ns=(1, 1))
    again, seen = hashed()
    assert seen == ["a/1"]
    assert again == first
    assert hashed()[1] == []


def test_changed_content_of_the_same_size_and_time_is_detected(hashed: Hashed, folder: Path) -> None:
    path = folder / "a/1"
    first, _ = hashed()
    before = path.stat()
    path.write_text("A/1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    again, seen = hashed()
    assert seen == ["a/1"]
    assert again["a/1"] != first["a/1"]


def test_hashes_of_files_that_may_still_change_are_not_cached(hashed: Hashed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_SETTLED_SECONDS", 3600.0)
    hashed()
    assert len(hashed()[1]) == 3


def test_new_and_removed_files(hashed: Hashed, folder: Path) -> None:
    first, _ = hashed()
    (folder / "a/1").unlink()
    (folder / "a/0").write_text("new")
    again, seen = hashed()
    assert list(again) == ["a/0", "a/2", "b/deep/3"]
    assert seen == ["a/0"]
    assert contents.fingerprint(first) != contents.fingerprint(again)
    assert "a/1" not in (folder.parent / "memory.json").read_text()


@pytest.mark.parametrize(
    "memory",
    [
        "",
        "{",
        "[]",
        "3",
        '{"files": 3}',
        '{"files": {"a/1": 3}}',
        '{"files": {"a/1": []}}',
        '{"files": {"a/1": [[1]]}}',
        '{"files": {"a/1": [[1], 5]}}',
        '{"files": {"a/1": [[1], "zz"]}}',
        '{"files": [["a/1", 5]]}',
        "[" * 100_000,
        "9" * 10_000,
    ],
)
def test_a_damaged_cache_is_ignored(hashed: Hashed, folder: Path, memory: str) -> None:
    first, _ = hashed()
    (folder.parent / "memory.json").write_text(memory)
    assert hashed() == (first, list(first))


def test_a_cached_value_that_is_no_hash_is_ignored(hashed: Hashed, folder: Path) -> None:
    first, _ = hashed()
    path = folder.parent / "memory.json"
    saved = json.loads(path.read_text())
    saved["files"]["a/1"][1] = "../../etc/passwd"
    path.write_text(json.dumps(saved))
    assert hashed() == (first, ["a/1"])


def test_a_cache_that_cannot_be_written_is_no_error(folder: Path) -> None:
    assert len(contents.hash_folder(folder, folder / "a/1" / "memory.json")) == 3


def test_a_temporary_error_is_not_cached(hashed: Hashed, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(contents, "sha256_file", fail)
    monkeypatch.setattr(contents, "_SETTLED_SECONDS", -60.0)
    broken = contents.hash_folder(folder, folder.parent / "memory.json")
    assert set(broken.values()) == {""}
    hashes, seen = hashed()
    assert len(seen) == 3
    assert "" not in hashes.values()


def test_special_files_are_not_read_and_do_not_block(hashed: Hashed, folder: Path) -> None:
    os.mkfifo(folder / "a/fifo")
    (folder / "a/broken").symlink_to("nowhere")
    hashes, seen = hashed()
    assert hashes["a/fifo"] == hashes["a/broken"] == ""
    assert "a/fifo" not in seen


def test_file_names_of_any_characters(hashed: Hashed, folder: Path) -> None:
    names = [b"with space", b"new\nline", "é漢\u202e".encode(), b"\xff\xfe", b"-rf", b'"', b"a\\b"]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/a/" + name)).write_bytes(name)
    hashes, _ = hashed()
    assert {os.fsencode(name) for name in hashes} == {b"a/1", b"a/2", b"b/deep/3", *(b"a/" + name for name in names)}
    assert "" not in hashes.values()
    assert hashed() == (hashes, [])
    assert len(contents.fingerprint(hashes)) == 64


def test_the_timestamp_file_of_snakemake_is_ignored(folder: Path) -> None:
    before = contents.list_files(folder)
    (folder / ".snakemake_timestamp").touch()
    assert contents.list_files(folder) == before


def test_circular_links_end(folder: Path) -> None:
    (folder / "a/up").symlink_to("..")
    (folder / "a/self").symlink_to(".")
    (folder / "b/deep/top").symlink_to(folder)
    (folder / "b/deep/again").symlink_to("../../b")
    (folder / "round").symlink_to("round")
    assert contents.list_files(folder) == ["a/1", "a/2", "b/deep/3", "round"]


def test_folders_that_all_link_to_each_other_are_entered_once(tmp_path: Path) -> None:
    # 12 folders could be entered in 12! orders.
    for here in range(12):
        (tmp_path / f"{here}").mkdir()
        (tmp_path / f"{here}" / "file").touch()
        for there in range(12):
            (tmp_path / f"{here}" / f"to{there}").symlink_to(f"../{there}")
    # Each category reaches each of the 12 files once.
    assert len(contents.list_files(tmp_path)) == 144


def test_a_linked_folder_and_a_linked_file_are_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "4").touch()
    (folder / "c").symlink_to(tmp_path / "elsewhere")
    (folder / "a/4").symlink_to(tmp_path / "elsewhere" / "4")
    assert contents.list_files(folder) == ["a/1", "a/2", "a/4", "b/deep/3", "c/4"]


def test_a_missing_folder_and_a_file_in_its_place(folder: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist: set collection\.path"):
        contents.list_files(folder / "nowhere")
    with pytest.raises(InputError, match=r"a/1 is not a folder: set collection\.path"):
        contents.list_files(folder / "a/1")
    with pytest.raises(InputError, match="does not exist"):
        contents.list_files(folder / ("x" * 300))


def test_an_unreadable_folder_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"b/deep cannot be read \(Permission denied\): allow reading it"):
        contents.list_files(folder)


@pytest.mark.slow
def test_a_folder_that_is_too_deep_is_listed_and_not_entered(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    # Deeper than the longest path and than Python's limit of recursion.
    for _ in range(2500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    (tmp_path / "d/1").touch()
    (tmp_path / ("e" * 250)).mkdir()
    assert contents.list_files(tmp_path) == ["d/1", "/".join("d" * 101)]
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_a_folder_with_too_long_a_path_is_listed_and_not_entered(tmp_path: Path) -> None:
    here, names = os.open(tmp_path, os.O_RDONLY), [letter * 250 for letter in "abcdefghijklmnopqrst"]
    for name in names:
        os.mkdir(name, dir_fd=here)
        here = os.open(name, os.O_RDONLY, dir_fd=here)
    [listed] = contents.list_files(tmp_path)
    assert listed == "/".join(names[: listed.count("/") + 1])
    assert 3500 < len(f"{tmp_path}/{listed}") < 4000


def test_files_that_are_too_large_or_state_size_0_are_not_read(hashed: Hashed, folder: Path) -> None:
    with (folder / "a/vast").open("wb") as file:
        file.truncate(10**12)
    (folder / "a/kernel").symlink_to("/proc/self/status")
    hashes, seen = hashed()
    assert (hashes["a/vast"], hashes["a/kernel"]) == ("", "")
    assert seen == ["a/1", "a/2", "b/deep/3"]
