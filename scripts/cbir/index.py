"""The index of a method: a pickled SciPy KD-tree over its gallery, and a reader that runs no foreign code."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.spatial import KDTree

from cbir.errors import InputError
from cbir.files import atomic, read_json, sha256_file, write_json
from cbir.store import FeatureStore


def build(gallery: FeatureStore, path: str | Path, leafsize: int) -> None:
    """Build a KD-tree over a gallery's features and pickle it; say beside it (.json) what it was built from.

    The pickle is a plain ``scipy.spatial.KDTree``: ``pickle.load`` and ``.query`` work wherever SciPy is installed. Row
    i of the tree is row i of the store. The tree holds float64 (Bentley 1975; Maneewongvatana and Mount 1999, sliding
    midpoint).

    Args:
        gallery: the method's train features.
        path: where the pickle goes.
        leafsize: rows in a leaf, at most.
    """
    path = Path(path)
    tree = KDTree(gallery.features, leafsize=leafsize)
    with atomic(path) as temporary, temporary.open("wb") as stream:
        # Protocol 5 writes the arrays as they stand in memory, without a copy.
        _TreePickler(stream, protocol=5).dump(tree)
    about = {
        "kind": "scipy.spatial.KDTree",
        "method": gallery.about.get("method"),
        "rows": int(tree.n),
        "dimension": int(tree.m),
        "leafsize": leafsize,
        "features_sha256": gallery.about["features_sha256"],
        "pickle_sha256": sha256_file(path),
        "scipy": scipy.__version__,
        "numpy": np.__version__,
    }
    write_json(path.with_suffix(".json"), about)


def read(path: str | Path, gallery: FeatureStore) -> KDTree:
    """Read a pickled KD-tree that belongs to a gallery.

    Raises:
        InputError: when a file is missing or damaged, holds anything but a KD-tree, or was built over other vectors.
    """
    path = Path(path)
    side = path.with_suffix(".json")
    about = read_json(side)
    if not path.is_file():
        raise InputError(f"The index {path} does not exist: run the workflow first.")
    if not isinstance(about, dict) or about.get("features_sha256") != gallery.about.get("features_sha256"):
        raise InputError(
            f"The index {path} was built over other vectors than its feature store holds: remove it and run again."
        )
    if sha256_file(path) != about.get("pickle_sha256"):
        raise InputError(f"The index {path} is not the file that {side} describes: remove it and run again.")
    try:
        with path.open("rb") as stream:
            state = _TreeUnpickler(stream).load().state
        _check(state, gallery.features)
        tree = KDTree.__new__(KDTree)
        tree.__setstate__(state)
    # A damaged pickle raises nearly anything.
    except Exception as error:
        raise InputError(f"The index {path} is damaged ({error}): remove it and run again.") from error
    return tree


# A node of SciPy's compiled tree (scipy/spatial/ckdtree/src/ckdtree_decl.h). A leaf has split_dim -1. The pointers mean
# nothing in a file; __setstate__ makes them anew from the two numbers behind them, without a look at these.
_NODE = np.dtype(
    [
        ("split_dim", np.int64),
        ("children", np.int64),
        ("split", np.float64),
        ("start", np.int64),
        ("end", np.int64),
        ("less_pointer", np.uint64),
        ("greater_pointer", np.uint64),
        ("less", np.int64),
        ("greater", np.int64),
    ]
)


class _TreePickler(pickle.Pickler):
    """Leaves the pointers out, so that the same vectors give the same bytes."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not KDTree:
            return NotImplemented
        make, arguments, (nodes, *others) = value.__reduce_ex__(5)[:3]
        nodes = nodes.copy()
        for name in ("less_pointer", "greater_pointer"):
            nodes.view(_NODE)[name] = 0
        return make, arguments, (nodes, *others)


def _check(state: Any, vectors: NDArray[np.float32]) -> None:
    """Raise ValueError unless a tree's state holds ``vectors`` and all its numbers stay inside its own arrays.

    SciPy's compiled code trusts the state: a wrong number would have it read outside of memory it owns.
    """
    nodes, data, rows, columns, leafsize, largest, smallest, indices, boxsize, periodic = state
    if data.shape != vectors.shape or (rows, columns) != vectors.shape or not _equal(data, vectors):
        raise ValueError("it does not hold the vectors of its feature store")
    if not (boxsize is periodic is None and type(leafsize) is int and leafsize > 0):
        raise ValueError("its settings are not those of an index")
    if not (np.array_equal(largest, vectors.max(axis=0)) and np.array_equal(smallest, vectors.min(axis=0))):
        raise ValueError("its bounds are not those of its vectors")
    if indices.dtype != np.int64 or not np.array_equal(np.sort(indices), np.arange(rows)):
        raise ValueError("its rows are not each there once")
    tree = np.frombuffer(nodes.tobytes(), _NODE)
    number = np.arange(len(tree))
    inner = tree[tree["split_dim"] != -1]
    before = number[tree["split_dim"] != -1]
    inside = (tree["start"] >= 0) & (tree["start"] <= tree["end"]) & (tree["end"] <= rows)
    # Nodes are stored parents first, so children that come later can form no circle.
    children = (inner["less"] > before) & (inner["greater"] > before)
    children &= (inner["less"] < len(tree)) & (inner["greater"] < len(tree))
    axes = (inner["split_dim"] >= 0) & (inner["split_dim"] < columns)
    if not (len(tree) and inside.all() and children.all() and axes.all()):
        raise ValueError("its nodes are not those of a tree")


def _equal(data: NDArray[Any], vectors: NDArray[Any], step: int = 1024) -> bool:
    """Compare as NumPy does, which converts both, but never more than a few rows at once."""
    return all(np.array_equal(data[row : row + step], vectors[row : row + step]) for row in range(0, len(data), step))


class _State:
    """Stands for a KD-tree while its pickle is read: nothing reaches SciPy before it is checked."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


@dataclass
class _Type:
    """Stands for a NumPy dtype while a pickle is read."""

    code: str
    align: bool
    copy: bool

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|"):
            raise ValueError("its numbers are not little-endian")


def _array(buffer: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> NDArray[Any]:
    if kind.code not in ("f8", "i8", "S1") or order != "C":
        raise ValueError("it holds arrays that no KD-tree needs")
    return np.frombuffer(buffer, kind.code).reshape(shape)


class _TreeUnpickler(pickle._Unpickler):
    """Admits only what a pickled KD-tree consists of, as the Python documentation advises for restricting globals.

    It is Python's own implementation, because the compiled one allocates whatever a memo number claims.
    """

    _ADMITTED: ClassVar = {
        ("scipy.spatial._kdtree", "KDTree"): _State,
        ("numpy", "dtype"): _Type,
        ("numpy._core.numeric", "_frombuffer"): _array,
    }

    # The original makes three copies of an array's bytes.
    def load_bytearray8(self: Any) -> None:
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    dispatch: ClassVar[dict[int, Any]] = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: load_bytearray8}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise ValueError(f"it holds {module}.{name}, which no KD-tree needs, and was not opened")
        return self._ADMITTED[module, name]
