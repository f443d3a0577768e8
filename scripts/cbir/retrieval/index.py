"""The index of a method: a SciPy KD-tree over its gallery, pickled for other programs and never unpickled here."""

import hashlib
import pickle
import platform
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.spatial import KDTree

from cbir.features.store import FeatureStore
from cbir.files.atomic import atomic
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_json, write_json


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
        _pickle(tree, stream)
    about = {
        "kind": "scipy.spatial.KDTree",
        "method": gallery.about.get("method"),
        "rows": int(tree.n),
        "dimension": int(tree.m),
        "leafsize": leafsize,
        "features_sha256": gallery.about["features_sha256"],
        "pickle_sha256": sha256_file(path),
        **_versions(),
    }
    write_json(path.with_suffix(".json"), about)


def read(path: str | Path, gallery: FeatureStore) -> KDTree:
    """Return the KD-tree of a gallery, having checked that a pickled one is the same.

    A pickle can run any code, and SciPy trusts whatever numbers a pickled tree holds. So the file is not opened: the
    tree is built again from the gallery's vectors, which takes less time than checking a pickle, and the file must have
    the bytes that pickling this tree gives.

    Raises:
        InputError: when a file is missing, was built over other vectors or by other versions of SciPy, NumPy or Python,
            or is any other file than the pickle of this tree.
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
    leafsize = about.get("leafsize")
    if type(leafsize) is not int or not 0 < leafsize < 2**31:
        raise InputError(f"{side} lacks 'leafsize', or holds something else there: remove it and run again.")
    tree = KDTree(gallery.features, leafsize=leafsize)
    hashed = _Hashed()
    _pickle(tree, hashed)
    if hashed.digest.hexdigest() != about["pickle_sha256"]:
        made_by = {name: about.get(name) for name in _versions()}
        if made_by != _versions():
            reason = f"was built by {_in_words(made_by)}, and this is {_in_words(_versions())}"
        else:
            reason = "is not the KD-tree of the vectors in its feature store"
        raise InputError(f"The index {path} {reason}: remove it and run again.")
    return tree


def _versions() -> dict[str, str]:
    """Return what the bytes of a pickled tree depend on."""
    return {"scipy": scipy.__version__, "numpy": np.__version__, "python": platform.python_version()}


def _in_words(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _pickle(tree: KDTree, stream: Any) -> None:
    # Protocol 5 writes the arrays from where they are in memory, without a copy.
    _TreePickler(stream, protocol=5).dump(tree)


class _Hashed:
    """A file that keeps nothing but the SHA-256 of what is written to it."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> None:
        self.digest.update(data)


# A node of SciPy's compiled tree (scipy/spatial/ckdtree/src/ckdtree_decl.h), of which only the size and the place of
# the two pointers matter here.
_NODE = np.dtype(
    {"names": ["less_pointer", "greater_pointer"], "formats": ["u8", "u8"], "offsets": [40, 48], "itemsize": 72}
)


class _TreePickler(pickle.Pickler):
    """Writes zeros for the pointers in the nodes, so that the same vectors give the same bytes.

    They mean nothing outside the process; SciPy makes them anew when it reads a tree.
    """

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not KDTree:
            return NotImplemented
        make, arguments, (nodes, *others) = value.__reduce_ex__(5)[:3]
        nodes = nodes.copy()
        for name in ("less_pointer", "greater_pointer"):
            nodes.view(_NODE)[name] = 0
        return make, arguments, (nodes, *others)
