"""A SciPy KD-tree over the gallery. It is pickled for use by other programs; this project never unpickles it.

The pickle is a plain ``scipy.spatial.KDTree``: ``pickle.load`` and ``.query`` work wherever SciPy is installed. The
tree holds float64 values (Bentley 1975; splits by sliding midpoint, Maneewongvatana and Mount 1999).
"""

import hashlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cbir.files import threads
from cbir.files.errors import InputError

if TYPE_CHECKING:
    from scipy.spatial import KDTree

LABEL = "KD-tree"
SUFFIX = ".pkl"


def build(features: NDArray[Any], *, leafsize: int) -> "KDTree":
    """Return a KD-tree over the features; ``leafsize`` is the most rows of a leaf."""
    # Imported here, because planning the workflow imports this module and does not need SciPy.
    from scipy.spatial import KDTree

    return KDTree(features, leafsize=leafsize)


def save(tree: "KDTree", path: Path) -> None:
    """Pickle a KD-tree."""
    with path.open("wb") as stream:
        _pickle(tree, stream)


def open(path: Path, features: NDArray[Any], about: dict[str, Any]) -> "KDTree":
    """Build the KD-tree of the features again, and check that the file is its pickle.

    Unpickling can run arbitrary code, and SciPy does not validate the nodes of a pickled tree. So the file is not
    opened: the tree is built from the vectors, which is faster than validating a pickle, and the file must have the
    hash of this tree's pickle.

    Raises:
        InputError: when the side file lacks the leafsize, or the file is not the pickle of this tree.
    """
    leafsize = about.get("leafsize")
    if type(leafsize) is not int or not 0 < leafsize < 2**31:
        side = path.with_suffix(".json")
        raise InputError(f"{side} lacks 'leafsize', or holds something else there: remove it and run again.")
    tree = build(features, leafsize=leafsize)
    hashed = _Hashed()
    _pickle(tree, hashed)
    if hashed.digest.hexdigest() != about["file_sha256"]:
        raise InputError(
            f"The index {path} is not the KD-tree of the vectors in its feature store: remove it and run again."
        )
    return tree


def search(tree: "KDTree", queries: NDArray[Any], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distances and rows of the k nearest."""
    distances, rows = tree.query(queries, k=list(range(1, k + 1)), workers=threads.count())
    return distances, rows


def _pickle(tree: "KDTree", stream: Any) -> None:
    # Protocol 5 writes the arrays from where they are in memory, without a copy.
    _TreePickler(stream, protocol=5).dump(tree)


class _Hashed:
    """A file object that computes the SHA-256 of what is written to it and stores nothing."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> None:
        self.digest.update(data)


# The layout of a node of SciPy's compiled tree (scipy/spatial/ckdtree/src/ckdtree_decl.h): only its size and the
# offsets of its two pointers matter here.
_NODE = np.dtype(
    {"names": ["less_pointer", "greater_pointer"], "formats": ["u8", "u8"], "offsets": [40, 48], "itemsize": 72}
)


class _TreePickler(pickle.Pickler):
    """Writes zeros for the pointers in the nodes, so that the same vectors give the same bytes.

    The pointers are addresses of this process; SciPy sets them again when it unpickles a tree.
    """

    def reducer_override(self, value: Any) -> Any:
        from scipy.spatial import KDTree

        if type(value) is not KDTree:
            return NotImplemented
        make, arguments, (nodes, *others) = value.__reduce_ex__(5)[:3]
        nodes = nodes.copy()
        for name in ("less_pointer", "greater_pointer"):
            nodes.view(_NODE)[name] = 0
        return make, arguments, (nodes, *others)
