"""Qt resource files are built by hand here, field by field, after Qt's ``rcc.cpp``."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cbir.collection import rcc
from cbir.files.errors import InputError

Tree = dict[str, "bytes | Tree"]

# A file of version 1 written by hand: a folder "a" with a file "b" that contains "hi". The header takes 20 bytes; the
# entry is at 20, the names at 26 ("a") and 34 ("b"), the tree at 42.
BY_HAND = bytes.fromhex(
    "71726573 00000001 0000002a 00000014 0000001a"  # "qres", version 1, tree 42, data 20, names 26
    "00000002 6869"  # two bytes: "hi"
    "0001 00000061 0061"  # one letter, its hash, "a"
    "0001 00000062 0062"  # one letter, its hash, "b"
    "00000000 0002 00000001 00000001"  # root: folder, 1 child from node 1
    "00000000 0002 00000001 00000002"  # "a" (name 0): folder, 1 child from node 2
    "00000008 0000 0000 0000 00000000"  # "b" (name 8): file, any territory, any language, data 0
)


def build(tree: Tree, version: int = 3, packed: bool = False) -> bytes:
    """Lay out nodes breadth first as Qt does: the children of a folder are adjacent."""
    nodes: list[tuple[int, int, int, int]] = []
    names, entries = b"", b""
    queue: list[tuple[str, bytes | Tree]] = [("", tree)]
    following = 1
    while queue:
        name, content = queue.pop(0)
        at = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        if isinstance(content, dict):
            nodes.append((at, 2, len(content), following))
            following += len(content)
            queue += content.items()
        else:
            nodes.append((at, int(packed), 0, len(entries)))
            data = struct.pack(">I", len(content)) + zlib.compress(content) if packed else content
            entries += struct.pack(">I", len(data)) + data
    stamp = b"" if version == 1 else bytes(8)
    body = b"".join(struct.pack(">IHII", *node) + stamp for node in nodes)
    start = 24 if version == 3 else 20
    header = struct.pack(">4s4I", b"qres", version, start + len(entries) + len(names), start, start + len(entries))
    return header + bytes(start - 20) + entries + names + body


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "some.rcc"
        path.write_bytes(data)
        return path

    return write


def test_reads_a_file_written_by_hand(write: Callable[[bytes], Path]) -> None:
    assert list(rcc.read_resources(write(BY_HAND))) == [(PurePosixPath("a/b"), b"hi")]


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("packed", [False, True])
def test_reads_every_version_in_the_order_of_the_tree(
    write: Callable[[bytes], Path], version: int, packed: bool
) -> None:
    tree: Tree = {"z": {"fisch €.webp": b"\0\xff" * 9, "empty": b""}, "a": b"x" * 1000, "none": {}}
    assert [(str(name), content) for name, content in rcc.read_resources(write(build(tree, version, packed)))] == [
        ("z/fisch €.webp", b"\0\xff" * 9),
        ("z/empty", b""),
        ("a", b"x" * 1000),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it ends before byte 20"),
        (b"PK" + BY_HAND[2:], "does not start with 'qres'"),
        (BY_HAND[:7] + b"\x09" + BY_HAND[8:], "version 9 is unknown"),
        (BY_HAND[:-14], "lists more entries than the file has"),
        (BY_HAND[:42], "it has no tree"),
        (BY_HAND[:-1] + b"\xf0", "it ends before byte"),
        (build({"a": b"x"}).replace(b"\0\0\0\1x", b"\x7f\0\0\1x"), "it ends before byte"),
        # The one child of "a" is "a" itself.
        (BY_HAND[:69] + b"\x01" + BY_HAND[70:], "is in two folders"),
        # The root is its own child.
        (BY_HAND[:55] + b"\x00" + BY_HAND[56:], "is in two folders"),
        (BY_HAND[:47] + b"\x00" + BY_HAND[48:], "root is not a folder"),
        (BY_HAND[:75] + b"\x04" + BY_HAND[76:], "packed by Zstandard"),
        (BY_HAND[:75] + b"\x01" + BY_HAND[76:], "has no length"),
        (build({"..": b""}), "'..' is not a file name"),
        (build({"a": {".": b""}}), "'.' is not a file name"),
        (build({"": b""}), "'' is not a file name"),
        (build({"a/b": b""}), "'a/b' is not a file name"),
        (build({"a\\b": b""}), "is not a file name"),
        (build({"a\nb": b""}), "is not a file name"),
        (build({"a\0b": b""}), "is not a file name"),
        (build({"X": b""}).replace(b"\0X", b"\xd8\0"), "a name is not UTF-16"),
        (build({"a": b"abc"}, packed=True).replace(zlib.compress(b"abc"), bytes(11)), "does not unpack"),
        # The length before the zlib stream says 2 or 4 instead of 3.
        (build({"a": b"abc"}, packed=True).replace(b"\0\0\0\3x", b"\0\0\0\2x"), "to the length that it states"),
        (build({"a": b"abc"}, packed=True).replace(b"\0\0\0\3x", b"\0\0\0\4x"), "to the length that it states"),
    ],
)
def test_a_damaged_file_is_an_input_error_that_names_it(
    write: Callable[[bytes], Path], data: bytes, message: str
) -> None:
    path = write(data)
    with pytest.raises(InputError) as error:
        list(rcc.read_resources(path))
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_entries_that_decompress_to_too_much_are_refused(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(build({"a": bytes(1000), "b": bytes(1000)}, packed=True))
    monkeypatch.setattr(rcc, "MAX_TOTAL_BYTES", 2000)
    assert len(list(rcc.read_resources(path))) == 2
    monkeypatch.setattr(rcc, "MAX_TOTAL_BYTES", 1999)
    with pytest.raises(InputError, match="more than 1999 bytes"):
        list(rcc.read_resources(path))
    monkeypatch.setattr(rcc, "MAX_ENTRY_BYTES", 999)
    with pytest.raises(InputError, match="more than 999 bytes"):
        list(rcc.read_resources(path))
    monkeypatch.setattr(rcc, "MAX_FILE_BYTES", 10)
    with pytest.raises(InputError, match="larger than 10 bytes"):
        list(rcc.read_resources(path))


def test_an_entry_is_decompressed_no_further_than_its_stated_length(
    write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    real = zlib.decompressobj

    class Spy:
        def __init__(self) -> None:
            self.stream = real()

        def decompress(self, data: bytes, limit: int) -> bytes:
            limits.append(limit)
            return self.stream.decompress(data, limit)

        @property
        def eof(self) -> bool:
            return self.stream.eof

    monkeypatch.setattr(zlib, "decompressobj", Spy)
    honest = build({"a": bytes(10**6)}, packed=True)
    with pytest.raises(InputError, match="to the length that it states"):
        list(rcc.read_resources(write(honest.replace(struct.pack(">I", 10**6), struct.pack(">I", 10)))))
    assert limits == [11]


def test_deeply_nested_folders_are_refused(write: Callable[[bytes], Path]) -> None:
    def nested(depth: int) -> Tree:
        return {"a": nested(depth - 1)} if depth else {"file": b""}

    assert len(list(rcc.read_resources(write(build(nested(rcc.MAX_DEPTH - 1)))))) == 1
    with pytest.raises(InputError, match="nested deeper"):
        list(rcc.read_resources(write(build(nested(rcc.MAX_DEPTH)))))


def test_a_missing_file_or_a_folder_is_an_input_error(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.rcc", tmp_path):
        with pytest.raises(InputError, match="is not a file: check the path"):
            list(rcc.read_resources(path))


SEEDS = [
    BY_HAND,
    build({"d": {"x": b"123", "y": b"4"}, "e": b"5" * 40}, packed=True),
    build({"a": {"b": {"c": b""}}}, 2),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.one_of(st.integers(0, 8), st.integers(0, 255)))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


@given(st.one_of(damaged(), st.binary(max_size=80).map(lambda tail: b"qres\0\0\0\3" + tail), st.binary(max_size=60)))
@example(b"qres" + b"\xff" * 60)
def test_damaged_bytes_raise_only_input_errors(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.rcc"
    path.write_bytes(data)
    try:
        names = [name for name, _ in rcc.read_resources(path)]
    except InputError:
        return
    assert not any(name.is_absolute() or ".." in name.parts for name in names)
