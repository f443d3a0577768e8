"""Change the types in an artifact instead of its bytes: another dtype, shape, storage, nesting or architecture.

Each function takes a random generator and the bytes of a file, and returns a file that the library of its format opens.
The contents are those of a crafted file: chunks that decompress to gigabytes, many attributes that share one long text,
links that point outside, layers that would take all memory, code.
"""

import functools
import io
import json
import pickle
import random
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

UNFOLDED = 1_900_000_000
"""The bytes to which a compressed chunk of about 2 MB decompresses."""
LONG = 20_000_000
"""The number of characters of a text in an attribute."""
_DTYPES: list[Any] = [
    *("f2", "f4", "f8", ">f4", ">f8", "i1", "i4", "i8", "u8", ">i8", "?", "c8", "c16", "S1", "S64", "S5000", "V8"),
    np.dtype([("a", "f4"), ("b", "i8")]), np.dtype(("f4", (3,))), np.dtype(("i8", (1000,))),
    h5py.string_dtype(), h5py.vlen_dtype(np.float32), h5py.ref_dtype, h5py.enum_dtype({"a": 0, "b": 1}),
]  # fmt: skip
_SHAPES: list[tuple[int, ...]] = [
    *((), (0,), (1,), (3,), (7, 1), (1, 7), (2, 3, 4), (1,) * 30, (0, 10**12), (10**12, 0), (2**40,), (2**31, 2**8)),
]


@functools.cache
def _zeros() -> bytes:
    packer, part = zlib.compressobj(1), bytes(10_000_000)
    return b"".join([*(packer.compress(part) for _ in range(UNFOLDED // len(part))), packer.flush()])


def hdf5(chosen: random.Random, data: bytes) -> bytes:
    """Change one dataset, attribute or group of an HDF5 file."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+", libver=chosen.choice(["earliest", "latest"])) as file:
        places: list[str] = []
        file.visit(places.append)
        datasets = [name for name in places if isinstance(file[name], h5py.Dataset)]
        holders = [file, *(file[name] for name in places)]
        with_attributes = [(holder, name) for holder in holders for name in holder.attrs]
        # The transform of a step without parameters, such as `l2`, has no datasets.
        if with_attributes and (chosen.random() < 0.4 or not datasets):
            _attribute(chosen, *chosen.choice(with_attributes))
        elif chosen.random() < 0.15:
            _nest(chosen, file, chosen.choice(places))
        else:
            _dataset(chosen, file, chosen.choice(datasets))
    return stream.getvalue()


def _dataset(chosen: random.Random, file: h5py.File, name: str) -> None:
    before = file[name]
    shape, dtype, values = before.shape, before.dtype, before[()]
    del file[name]
    match chosen.randrange(11):
        case 0:
            # Another type, with the values converted if possible.
            wanted = chosen.choice(_DTYPES)
            found = file.create_dataset(name, shape, wanted)
            numbers = np.dtype(wanted).kind in "fiub" and h5py.check_enum_dtype(np.dtype(wanted)) is None
            if numbers and values.dtype.kind in "fiub":
                found[...] = values
        case 1:
            file.create_dataset(name, chosen.choice(_SHAPES), dtype)
        case 2:
            file.create_dataset(name, chosen.choice(_SHAPES), chosen.choice(_DTYPES))
        case 3:
            file[name] = values.reshape(chosen.choice([(1, *shape), (*shape, 1), shape[::-1], (-1,)]))
        case 4:
            options = chosen.choice(
                [{}, {"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}, {"lzf": True}]
            )
            if options.pop("lzf", False):
                options = {"compression": "lzf"}
            file.create_dataset(name, data=np.atleast_1d(values), chunks=True, **options)
        case 5:
            size = dtype.itemsize * max(int(np.prod(shape[1:])), 1)
            rows = max(UNFOLDED // size, 1)
            chunk = (rows, *shape[1:])
            # With as few rows as before, or as many as the chunk decompresses to.
            seen = chosen.choice([chunk, shape if shape else (1,)])
            found = file.create_dataset(
                name, seen, dtype, maxshape=(None, *shape[1:]), chunks=chunk, compression="gzip", fillvalue=None
            )
            found.id.write_direct_chunk((0,) * len(found.shape), _zeros())
        case 6:
            # A long text in every row.
            text = "x" * (LONG // 20)
            file.create_dataset(name, data=[text] * max(shape[0] if shape else 1, 1), dtype=h5py.string_dtype())
        case 7:
            file.create_dataset(name, shape or (1,), "f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])
        case 8:
            layout = h5py.VirtualLayout(shape or (1,), dtype)
            layout[...] = h5py.VirtualSource(chosen.choice([".", "/etc/passwd", "other.h5"]), name, shape or (1,))
            file.create_virtual_dataset(name, layout)
        case 9:
            file[name] = chosen.choice([h5py.SoftLink("/"), h5py.SoftLink(name), h5py.ExternalLink("/etc/passwd", "/")])
        case _:
            others: list[str] = []
            file.visit(others.append)
            file[name] = file[chosen.choice(others)] if others and chosen.random() < 0.5 else file["/"]


def _attribute(chosen: random.Random, holder: Any, name: str) -> None:
    del holder.attrs[name]
    match chosen.randrange(6):
        case 0:
            for number in range(chosen.choice([1, 20, 150])):
                holder.attrs[name if number == 0 else f"more {number}"] = "x" * (LONG if number == 0 else 10)
        case 1:
            holder.attrs.create(name, np.zeros(()), dtype="f8") if chosen.random() < 0.5 else None
        case 2:
            holder.attrs[name] = chosen.choice([True, -1, 2**63, 1e308, float("nan"), 1j, h5py.Empty("f"), holder.ref])
        case 3:
            holder.attrs[name] = np.zeros(chosen.choice(_SHAPES[:8]), chosen.choice(_DTYPES[:17]))
        case 4:
            holder.attrs[name] = chosen.choice(
                [np.bytes_(b"\xff\xfe"), np.bytes_(b"[" * 5000), np.bytes_(b"x" * 60_000), ["a", "b"], "x"]
            )
        case _:
            holder.attrs[name] = np.zeros(chosen.choice([(), (2,)]), [("a", "f4"), ("b", "S9")])


def _nest(chosen: random.Random, file: h5py.File, place: str) -> None:
    match chosen.randrange(3):
        case 0:
            del file[place]
            group = file.create_group(place)
            group["again"] = group
        case 1:
            file.move(place, "/".join([*"abcdefgh" * 40, "x"]))
        case _:
            parent = file[place].parent
            for number in range(3000):
                if f"{number}" not in parent:
                    parent[f"{number}"] = file["/"]


def index(chosen: random.Random, data: bytes) -> bytes:
    """Change one part of a pickled KD-tree's state, or pickle something else."""
    state = list(pickle.loads(data).__getstate__())  # This file comes from the run, so it can be unpickled.
    place = chosen.randrange(len(state))
    value = state[place]
    match chosen.randrange(5):
        case 0 if isinstance(value, np.ndarray):
            # The nodes are bytes without a numeric type, which can be converted to objects or to text only.
            kinds = ["f4", "f8", "i4", "i8", "c16", "?"] if value.dtype.kind in "fi" else []
            state[place] = value.astype(chosen.choice([*kinds, "O", "S2"]))
        case 1 if isinstance(value, np.ndarray) and len(value):
            state[place] = np.frombuffer(chosen.randbytes(value.nbytes), value.dtype).reshape(value.shape)
        case 2:
            state[place] = functools.reduce(lambda inner, _: (inner,) * 10, range(8), (0.0,))
        case 3:
            state[place] = chosen.choice(
                [None, -1, 0, 2**31, 2**63, True, "x", [], {}, np.zeros(0), np.zeros((9, 9, 9))]
            )
        case _:
            layers: Any = {}
            for _ in range(30):
                layers = {1: layers, 2: layers}
            return pickle.dumps(layers)
    head = b"\x80\x05\x8c\x15scipy.spatial._kdtree\x8c\x06KDTree\x93)\x81"
    return head + pickle.dumps(tuple(state), protocol=2)[2:-1] + b"b."


_LAYERS: list[dict[str, Any]] = [
    {"class_name": "Dense", "config": {"name": "wide", "units": 150_000_000}},
    {"class_name": "Lambda", "config": {"name": "code", "function": "4wEAAAAA"}},
    {"class_name": "TFSMLayer", "config": {"name": "saved", "filepath": "/etc"}},
    {"class_name": "Conv2D", "config": {"name": "big", "filters": 2**31, "kernel_size": [9999, 9999]}},
    {"class_name": "Functional", "config": {"name": "inner", "layers": []}},
    {"class_name": "os", "module": "os", "config": {"name": "system"}},
    {"class_name": "X" * 1_000_000, "config": {"name": "long"}},
    {"class_name": 1, "config": {"name": []}},
]


def network(chosen: random.Random, data: bytes) -> bytes:
    """Change the architecture, the weights or the packing of a Keras archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    packing = zipfile.ZIP_STORED
    match chosen.randrange(4):
        case 0:
            members["model.weights.h5"] = hdf5(chosen, members["model.weights.h5"])
        case 1:
            config = json.loads(members["config.json"])
            layers = config["config"]["layers"]
            match chosen.randrange(6):
                case 0:
                    layers.insert(chosen.randrange(len(layers) + 1), chosen.choice(_LAYERS))
                case 1:
                    layers[chosen.randrange(len(layers))]["class_name"] = chosen.choice(["Dense", "Lambda", "Conv2D"])
                case 2:
                    layers += layers * chosen.choice([1, 100])
                case 3:
                    layer = chosen.choice(layers)["config"]
                    layer[chosen.choice(list(layer))] = chosen.choice([150_000_000, -1, [2**31] * 4, "x", None, layers])
                case 4:
                    chosen.shuffle(layers)
                case _:
                    config["config"]["layers"] = functools.reduce(lambda inner, _: [inner], range(60), layers)
            members["config.json"] = json.dumps(config, check_circular=False).encode()
        case 2:
            packing = chosen.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            members[chosen.choice(list(members))] += b" " * chosen.choice([0, 200_000_000])
        case _:
            name = chosen.choice(list(members))
            members[name] = chosen.choice(
                [b"", b"{}", b"[" * 100_000, b'{"config":{"layers":{}}}', members["config.json"]]
            )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def arrays(chosen: random.Random, data: bytes) -> bytes:
    """Change the dtype, shape or packing of an array in a NumPy archive."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        found = dict(stored)
    name = chosen.choice(list(found))
    match chosen.randrange(4):
        case 0:
            wanted = chosen.choice(["f2", "f8", ">f4", "i8", "S9", "U9", "c16", "V3", "?"])
            found[name] = np.zeros(found[name].shape, wanted)
        case 1:
            found[name] = np.zeros(chosen.choice(_SHAPES[:8]), found[name].dtype)
        case 2:
            found[name] = np.array([object()], object)
        case _:
            found[name] = np.zeros(chosen.choice([10, 50_000_000]))
            stream = io.BytesIO()
            np.savez_compressed(stream, **found)
            return stream.getvalue()
    stream = io.BytesIO()
    np.savez(stream, **found)
    return stream.getvalue()


CHANGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    ".h5": hdf5,
    ".pkl": index,
    ".keras": network,
    ".npz": arrays,
}
"""The function for each suffix of a file."""
