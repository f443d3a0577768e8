"""Reader for Qt's binary resource files (``.rcc``), in which applications ship their pictures.

The format has no published standard; this follows ``qresource.cpp`` and ``rcc.cpp`` of Qt 5.15 and 6. All integers are
big-endian and unsigned. The header holds the offsets of three blocks: the tree of nodes, the data entries, the names.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from cbir.files.errors import InputError

MAX_FILE_BYTES = 256 * 2**20
"""A larger resource file is refused before it is read."""
MAX_ENTRY_BYTES = 64 * 2**20
"""An entry that unpacks to more is refused."""
MAX_TOTAL_BYTES = 2**30
"""A file whose entries unpack to more together is refused."""
MAX_DEPTH = 64
"""Folders nested deeper are refused."""

_ZLIB, _FOLDER, _ZSTANDARD = 1, 2, 4


def read_resources(path: str | Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield each file inside a Qt resource file, in the order of its tree, unpacked one at a time.

    Versions 1 to 3 are read, with uncompressed entries and those compressed by zlib. Nothing is written. A part of a
    path that is empty, ``.`` or ``..``, or contains a slash, a backslash or a control character, is refused, so that no
    path leads out of the folder to which it is appended. The same path comes several times if the file holds variants
    for several languages.

    Args:
        path: the resource file.

    Yields:
        The entry's relative path inside the file, and its bytes.

    Raises:
        InputError: when the file is missing, damaged, of another kind or unreasonably large; the entries before the
            damage may have been yielded.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not a file: check the path.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path} is larger than {MAX_FILE_BYTES} bytes: give a resource file of pictures.")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): allow reading it.") from error
    try:
        yield from _Resources(data)
    except _DamagedError as error:
        raise InputError(f"{path} is not a readable Qt resource file ({error}): obtain it again.") from error


class _DamagedError(Exception):
    """The bytes are not a valid resource file; the caller adds the file's name to the message."""


class _Resources:
    tree: int
    entries: int
    names: int

    def __init__(self, data: bytes) -> None:
        self.data = data
        magic, version, self.tree, self.entries, self.names = self._unpack(">4s4I", 0)
        if magic != b"qres":
            raise _DamagedError("it does not start with 'qres'")
        if version not in (1, 2, 3):
            raise _DamagedError(f"its version {version} is unknown")
        # Version 2 added a modification time of 8 bytes to each node.
        self.node_size = 14 if version == 1 else 22
        self.visited = bytearray(max(0, len(data) - self.tree) // self.node_size)
        self.total = 0

    def __iter__(self) -> Iterator[tuple[PurePosixPath, bytes]]:
        _, flags = self._node(0)
        if not flags & _FOLDER:
            raise _DamagedError("its root is not a folder")
        yield from self._folder(0, PurePosixPath())

    def _folder(self, folder: int, parent: PurePosixPath) -> Iterator[tuple[PurePosixPath, bytes]]:
        if len(parent.parts) >= MAX_DEPTH:
            raise _DamagedError(f"its folders are nested deeper than {MAX_DEPTH}")
        count, first = self._unpack(">2I", self._position(folder) + 6)
        if first + count > len(self.visited):
            raise _DamagedError("a folder lists more entries than the file has")
        for node in range(first, first + count):
            name, flags = self._node(node)
            path = parent / self._name(name)
            if flags & _FOLDER:
                yield from self._folder(node, path)
            else:
                # Before the offset come two bytes of territory and two of language.
                (offset,) = self._unpack(">I", self._position(node) + 10)
                yield path, self._entry(self.entries + offset, flags)

    def _node(self, index: int) -> tuple[int, int]:
        """Return the offset of a node's name and its flags."""
        if index >= len(self.visited):
            raise _DamagedError("it has no tree")
        # A second visit means a cycle or a shared branch, which might never end.
        if self.visited[index]:
            raise _DamagedError("an entry is in two folders")
        self.visited[index] = 1
        name, flags = self._unpack(">IH", self._position(index))
        return name, flags

    def _position(self, node: int) -> int:
        return self.tree + node * self.node_size

    def _name(self, offset: int) -> str:
        start = self.names + offset
        (length,) = self._unpack(">H", start)
        try:
            # The four bytes between the length and the characters are a hash that Qt uses to find names.
            name = self._slice(start + 6, 2 * length).decode("utf-16-be")
        except UnicodeDecodeError:
            raise _DamagedError("a name is not UTF-16") from None
        if name in ("", ".", "..") or any(letter in "/\\\x7f" or letter < " " for letter in name):
            raise _DamagedError(f"{name!r} is not a file name")
        return name

    def _entry(self, offset: int, flags: int) -> bytes:
        (length,) = self._unpack(">I", offset)
        content = self._slice(offset + 4, length)
        if flags & _ZSTANDARD:
            raise _DamagedError("an entry is packed by Zstandard, which is not supported")
        if flags & _ZLIB:
            content = _inflate(content)
        self.total += len(content)
        if self.total > MAX_TOTAL_BYTES:
            raise _DamagedError(f"its entries unpack to more than {MAX_TOTAL_BYTES} bytes")
        return content

    def _slice(self, offset: int, length: int) -> bytes:
        if offset + length > len(self.data):
            raise _DamagedError(f"it ends before byte {offset + length}")
        return self.data[offset : offset + length]

    def _unpack(self, form: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(form, self._slice(offset, struct.calcsize(form)))


def _inflate(packed: bytes) -> bytes:
    """Decompress the output of Qt's ``qCompress``: four bytes with the decompressed length, then a zlib stream."""
    if len(packed) < 4:
        raise _DamagedError("a packed entry has no length")
    size = int.from_bytes(packed[:4], "big")
    if size > MAX_ENTRY_BYTES:
        raise _DamagedError(f"an entry unpacks to more than {MAX_ENTRY_BYTES} bytes")
    stream = zlib.decompressobj()
    try:
        # One byte more than stated is enough to detect a wrong length.
        content = stream.decompress(packed[4:], size + 1)
    except zlib.error as error:
        raise _DamagedError(f"an entry does not unpack: {error}") from None
    if len(content) != size or not stream.eof:
        raise _DamagedError("an entry does not unpack to the length that it states")
    return content
