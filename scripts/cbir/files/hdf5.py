"""HDF5 files of plain parts only: numbers and texts of fixed length, each stored in one piece.

HDF5 can do far more: compressed pieces that unfold to any size, texts that many places share, links and data in other
files. A file that was made elsewhere could fill the memory with them or read other files, so the readers look at the
type of each part, by name, before they read it, and refuse all but what the writers here write. Nothing is read that
is larger than the file.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5s, h5t
from numpy.typing import DTypeLike, NDArray

_MOST_ATTRIBUTE_BYTES = 65_536
"""HDF5 itself stores no larger attribute beside its object."""


@contextmanager
def opened(source: str | Path | bytes) -> Iterator[h5py.File]:
    """Open a file, or the bytes of one, for reading.

    Raises:
        ValueError: when it is no regular file.
        OSError: when it is no HDF5 file.
    """
    # Opening a pipe would wait for somebody to write to it.
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise ValueError("it is no file")
    with h5py.File(BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
        yield file


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group that stands in the same file.

    Raises:
        ValueError: when it is missing or something else.
    """
    found = _linked(parent, name)
    if not isinstance(found, h5py.Group):
        raise ValueError(f"it lacks the group {name!r}")
    return found


def dataset(parent: h5py.Group, name: str, wanted: DTypeLike, *dimensions: int) -> h5py.Dataset:
    """Return a dataset, not yet read, that is stored in one piece in the same file.

    Args:
        parent: the file or group that holds it.
        name: its name there.
        wanted: what its values must be; ``"S"`` admits texts of any fixed length.
        dimensions: how many it may have.

    Raises:
        ValueError: when it is missing or is stored in any other way.
    """
    found = _linked(parent, name)
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"it lacks the dataset {name!r}")
    layout = found.id.get_create_plist()
    if layout.get_layout() != h5d.CONTIGUOUS or layout.get_nfilters() or layout.get_external_count():
        raise ValueError(f"the dataset {name!r} is not stored in one piece in this file")
    wanted = np.dtype(wanted)
    if not (_is_text(found.id.get_type()) if wanted.kind == "S" else _is_number(found.id.get_type(), wanted)):
        raise ValueError(f"the dataset {name!r} holds something else than {_in_words(wanted)}")
    if found.ndim not in dimensions:
        raise ValueError(f"the dataset {name!r} has {found.ndim} dimensions")
    # Python's integers cannot overflow, HDF5's can. A dataset that was never written has no offset.
    size = math.prod(found.shape) * found.id.get_type().get_size()
    if size and (found.id.get_offset() is None or found.id.get_offset() + size > found.file.id.get_filesize()):
        raise ValueError(f"the dataset {name!r} claims more bytes than the file has")
    return found


def dtype(parent: h5py.Group, name: str) -> np.dtype[Any] | None:
    """Return the type of a dataset that stands in the same file; None where there is none."""
    found = _linked(parent, name)
    return found.dtype if isinstance(found, h5py.Dataset) else None


def arrays(parent: h5py.Group) -> dict[str, NDArray[Any]]:
    """Return everything that a group holds: numbers of at most two dimensions.

    Raises:
        ValueError: when it holds anything else.
    """
    found = {}
    for name in parent:
        linked = _linked(parent, name)
        plain = isinstance(linked, h5py.Dataset) and linked.dtype.kind in "fiu"
        found[name] = np.asarray(dataset(parent, name, linked.dtype if plain else np.float64, 0, 1, 2)[()])
    return found


def texts(found: h5py.Dataset) -> NDArray[np.object_]:
    """Return the texts (n,) of a `dataset`, as Python's own."""
    return np.array([text.decode() for text in found[()].tolist()], object)


def attributes(parent: h5py.Group, names: Iterable[str]) -> dict[str, Any]:
    """Return those of the named attributes that are there; each is one text or one number.

    Raises:
        ValueError: when one of them is anything else.
    """
    return {name: _attribute(parent, name) for name in names if h5a.exists(parent.id, name.encode())}


def _attribute(parent: h5py.Group, name: str) -> str | int | float:
    found = h5a.open(parent.id, name.encode())
    kind = found.get_type()
    plain = _is_text(kind) or isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID)
    if not plain or found.get_space().get_simple_extent_type() != h5s.SCALAR:
        raise ValueError(f"the attribute {name!r} is neither a text of fixed length nor a number")
    if kind.get_size() > _MOST_ATTRIBUTE_BYTES:
        raise ValueError(f"the attribute {name!r} is longer than {_MOST_ATTRIBUTE_BYTES:,} bytes")
    value = np.empty((), found.dtype)
    found.read(value)
    plain_value = value.item()
    return plain_value.decode() if isinstance(plain_value, bytes) else plain_value


def listed(parent: h5py.Group, name: str) -> list[str]:
    """Return an attribute that is a list of texts, or the pieces NAME0, NAME1, ... that Keras cuts a long one into.

    Raises:
        ValueError: when it is anything else; a missing one is an empty list.
    """
    found: list[str] = []
    pieces = [name] if h5a.exists(parent.id, name.encode()) else [f"{name}{i}" for i in range(len(parent.attrs))]
    for piece in pieces:
        if not h5a.exists(parent.id, piece.encode()):
            break
        attribute = h5a.open(parent.id, piece.encode())
        values = np.empty(attribute.shape, attribute.dtype)
        if values.size and (not _is_text(attribute.get_type()) or attribute.get_storage_size() > _MOST_ATTRIBUTE_BYTES):
            raise ValueError(f"the attribute {piece!r} is no list of texts of fixed length")
        if values.size:
            attribute.read(values)
            found += [text.decode() for text in values.ravel().tolist()]
    return found


def write_texts(parent: h5py.Group, name: str, values: Sequence[str]) -> None:
    """Write texts (n,) as UTF-8 of one length, that of the longest; shorter ones are filled up with zero bytes."""
    data = [value.encode() for value in values]
    kind = h5py.string_dtype("utf-8", max(map(len, data), default=0) or 1)
    parent.create_dataset(name, data=np.array(data, kind))


def write_attributes(parent: h5py.Group, values: dict[str, Any]) -> None:
    """Write attributes that `attributes` reads: texts as UTF-8 of fixed length, truth values as 0 or 1, and numbers."""
    for name, value in values.items():
        if isinstance(value, str):
            data = value.encode()
            parent.attrs.create(name, data, dtype=h5py.string_dtype("utf-8", len(data) or 1))
        else:
            parent.attrs[name] = int(value) if isinstance(value, bool) else value


def _linked(parent: h5py.Group, name: str) -> Any:
    """Return what has a name, without following a link to elsewhere; None if nothing has."""
    return parent[name] if isinstance(parent.get(name, getlink=True), h5py.HardLink) else None


def _is_text(kind: h5t.TypeID) -> bool:
    return isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()


def _is_number(kind: h5t.TypeID, wanted: np.dtype[Any]) -> bool:
    return isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID) and kind.dtype == wanted


def _in_words(dtype: np.dtype[Any]) -> str:
    return "texts of fixed length" if dtype.kind == "S" else f"numbers of the type {dtype}"
