import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import background
import odd_files
from cbir.files import atomic, hashes, tables
from cbir.files.errors import InputError

HOSTILE = [
    "a,b",
    'quo"te',
    "new\nline",
    "carriage\rreturn",
    "both\r\n",
    " spaces ",
    "NA",
    "",
    "007",
    "1e3",
    "é漢",
    "#x",
    "\\n",
]


def test_csv_is_read_back_with_any_characters_in_names(tmp_path: Path) -> None:
    table = pd.DataFrame({"image_id": HOSTILE, "label": range(len(HOSTILE))})
    tables.write_csv(tmp_path / "t.csv", table)
    read = tables.read_csv(tmp_path / "t.csv", ["image_id", "label"])
    assert read["image_id"].tolist() == HOSTILE
    assert read["label"].tolist() == list(range(len(HOSTILE)))


def test_ordinary_csv_has_no_quotes_and_bare_newlines(tmp_path: Path) -> None:
    tables.write_csv(tmp_path / "t.csv", pd.DataFrame({"image_id": ["a/1.png"], "label": [0]}))
    assert (tmp_path / "t.csv").read_bytes() == b"image_id,label\na/1.png,0\n"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff\xfe\x00", b'a,b\n1,2\n3,4,5,6\n"', b"other\n1\n", b"image_id,label\na,1,2\n"),
        *(b"image_id,label\na,x\n", b"image_id,label\na,1.5\n", b"image_id,label\na\n"),
    ],
    ids=["empty", "binary", "ragged", "column", "shifted", "text", "fraction", "short"],
)
def test_an_unusable_csv_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv"):
        tables.read_csv(path, ["image_id", "label"])


JSON = {
    "text": b"{",
    "binary": b"\xff",
    "deep": b"[" * 200_000,
    "long integer": b"9" * 10_000,
}


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_an_unusable_json_file_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.json is not valid JSON"):
        tables.read_json(path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"rows": "1"}', '{"rows": true}', '{"rows": null}', "1", "null"])
def test_a_json_file_of_another_kind_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"rows": 1, "more": 2}')
    assert tables.read_json(path, {"rows": int}) == {"rows": 1, "more": 2}
    path.write_text(content)
    with pytest.raises(InputError, match=r"t\.json lacks 'rows'"):
        tables.read_json(path, {"rows": int})


def test_a_path_that_is_not_a_file_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, state in (
        (tmp_path / "fifo", "is not a file"),
        (tmp_path, "is not a file"),
        (tmp_path / "x", "does not"),
    ):
        with pytest.raises(InputError, match=state):
            tables.read_json(path)
        with pytest.raises(InputError, match=state):
            tables.read_csv(path, [])


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    tables.write_json(path, {"b": 1, "a": "é"})
    with pytest.raises(ValueError, match="JSON compliant"):
        tables.write_json(path, float("nan"))
    assert path.read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "é"\n}\n'


def test_atomic_replaces_at_the_end_only_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "made" / "x.h5"
    with atomic.atomic(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".h5"
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(RuntimeError), atomic.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["x.h5"]


def test_atomic_sets_the_permissions_of_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        tables.write_text(tmp_path / "x", "")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_permissions_of_files_of_other_threads_do_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The umask belongs to the whole process: setting it affects files that other threads create meanwhile.
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask is changed"))
    tables.write_text(tmp_path / "x", "")


@pytest.mark.parametrize("kind", odd_files.KINDS)
def test_only_a_regular_file_is_written_in_place(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".x.lock"
    odd = odd_files.Odd(path, kind)
    with pytest.raises(InputError, match="is a link or no regular file, and is not written to: remove it"):
        atomic.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with pytest.raises(InputError, match=r"\.x\.lock is a link or no regular file"), atomic.sole_writer(tmp_path / "x"):
        pass
    assert odd.is_untouched()


def test_replacing_a_link_does_not_change_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "x").symlink_to("precious")
    tables.write_text(tmp_path / "x", "new")
    assert (tmp_path / "precious").read_text() == "kept" and (tmp_path / "x").read_text() == "new"


def test_a_folder_is_created_but_not_through_a_link(tmp_path: Path) -> None:
    atomic.make_folder(tmp_path / "a/b")
    atomic.make_folder(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    for name, target in (("link", "a"), ("dangling", "absent")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(InputError, match=f"{name} is a link"):
            atomic.make_folder(tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be written"):
        atomic.make_folder(tmp_path / "file")


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/x cannot be written"):
        tables.write_text(tmp_path / "file" / "x", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder cannot be written"):
        tables.write_text(tmp_path / "folder", "")


def test_a_full_disk_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No space left"), atomic.atomic(tmp_path / "x"):
        Path("/dev/full").write_text("x")


def test_hashes_equal_those_of_the_standard(tmp_path: Path) -> None:
    # FIPS 180-2, appendix B.1.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert hashes.sha256_file(tmp_path / "abc") == abc
    # The canonical form of the text abc is "abc" with quotes: printf '"abc"' | sha256sum.
    assert hashes.sha256_json("abc") == "6cc43f858fbb763301637b5af970e2a46b46f461f27e5a0f41e009c59b827b25"
    assert hashes.sha256_json({"b": [1], "a": 2}) == hashes.sha256_json({"a": 2, "b": [1]})
    assert hashes.sha256_json({"a": 1}) != hashes.sha256_json({"a": 2})


def test_names_that_are_no_utf8_can_be_hashed() -> None:
    assert hashes.sha256_json(os.fsdecode(b"\xff")) != hashes.sha256_json(os.fsdecode(b"\xfe"))


def test_a_message_is_one_printable_line() -> None:
    error = InputError(f"x\n\u202ey{os.fsdecode(bytes([255]))} é")
    assert str(error) == "x\\n\\u202ey\\udcff é"


def test_a_killed_writer_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    tables.write_json(path, "old")
    code = (
        "import os, signal, sys; from cbir.files.atomic import atomic\n"
        "with atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    scripts = Path(atomic.__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(scripts)}, check=False)
    assert killed.returncode == -9
    assert json.loads(path.read_text()) == "old"


def test_missing_disk_space_is_reported_before_anything_is_written(tmp_path: Path) -> None:
    entered = []
    with (
        pytest.raises(InputError, match=r"x\.h5 cannot be written \(No space left.* MB are free\): free space on"),
        atomic.atomic(tmp_path / "x.h5", size=10**18) as temporary,
    ):
        entered.append(temporary)
    assert not entered and not os.listdir(tmp_path)


def test_a_full_disk_is_recognised_by_the_message_too(tmp_path: Path) -> None:
    # HDF5 reports it by a general type of error.
    words = "Can't decrement id ref count (file write failed: errno = 28, error message = 'No space left on device')"
    with pytest.raises(InputError, match="free space on the disk or in the quota of"), atomic.atomic(tmp_path / "x"):
        raise RuntimeError(words)
    with pytest.raises(RuntimeError, match="another"), atomic.atomic(tmp_path / "x"):
        raise RuntimeError("another fault")


WRITE = """
import logging, sys
from cbir.files.atomic import sole_writer
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
with sole_writer(sys.argv[1]):
    print("writes", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_waits_for_the_first_even_if_that_is_killed(tmp_path: Path) -> None:
    assert not atomic.is_being_written(tmp_path / "made/0.h5")
    first = background.start(WRITE, tmp_path / "made/0.h5")
    assert background.line(first) == "writes"
    assert atomic.is_being_written(tmp_path / "made/0.h5")
    second = background.start(WRITE, tmp_path / "made/0.h5")
    assert "another job is writing" in background.line(second)
    first.kill()
    assert background.line(second) == "writes"
    second.communicate()
    first.communicate()
    assert second.returncode == 0
    assert not atomic.is_being_written(tmp_path / "made/0.h5")


@pytest.mark.parametrize("name", ["a.h5", "a.12345678.h5", "a.abcdefgh", "no_suffix", "two.parts.csv"])
def test_the_name_of_a_temporary_file_contains_that_of_its_target(tmp_path: Path, name: str) -> None:
    with atomic.atomic(tmp_path / name) as temporary:
        assert atomic.replaced_name(temporary.name) == name
    assert atomic.replaced_name(name) == name
