"""The index of a method: a pickled SciPy KD-tree over its gallery, and a reader that runs no foreign code."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.spatial import KDTree

from cbir.errors import InputError
from cbir.files import atomic, read_json, sha256_file, write_json
from cbir.store import FeatureStore


def build(gallery: FeatureStore, path: str | Path, leafsize: int) -> None:
    """Build a KD-tree over a gallery's features and pickle it; say beside it (.json) what it was built from.

    The pickle is a plain ``scipy.spatial.KDTree``: ``pickle.load`` and ``.query`` work wherever SciPy is installed. Row i of
    the tree is row i of the store. The tree holds float64 (Bentley 1975; Maneewongvatana and Mount 1999, sliding midpoint).

    Args:
        gallery: the method's train features.
        path: where the pickle goes.
        leafsize: rows in a leaf, at most.
    """
    path = Path(path)
    tree = KDTree(gallery.features, leafsize=leafsize)
    with atomic(path) as temporary:
        temporary.write_bytes(pickle.dumps(tree, protocol=5))
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
    about = read_json(path.with_suffix(".json"))
    if not path.is_file():
        raise InputError(f"The index {path} does not exist: run the workflow first.")
    if about.get("features_sha256") != gallery.about.get("features_sha256"):
        raise InputError(f"The index {path} was built over other vectors than its feature store holds: remove it and run again.")
    if sha256_file(path) != about.get("pickle_sha256"):
        raise InputError(f"The index {path} is not the file that {path.with_suffix('.json')} describes: remove it and run again.")
    try:
        tree = _TreeUnpickler(io.BytesIO(path.read_bytes())).load()
    except InputError as error:
        raise InputError(f"The index {path} {error}: remove it and run again.") from None
    # A damaged pickle raises nearly anything.
    except Exception as error:
        raise InputError(f"The index {path} is damaged ({' '.join(str(error).split())}): remove it and run again.") from error
    if not isinstance(tree, KDTree) or not np.array_equal(tree.data, gallery.features.astype(np.float64)):
        raise InputError(f"The index {path} does not hold the vectors of its feature store: remove it and run again.")
    return tree


class _TreeUnpickler(pickle.Unpickler):
    """Admits only what a pickled KD-tree consists of, as the Python documentation advises for restricting globals."""

    _ADMITTED = {
        ("scipy.spatial._kdtree", "KDTree"),
        ("numpy", "dtype"),
        ("numpy._core.numeric", "_frombuffer"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ADMITTED:
            raise InputError(f"holds {module}.{name}, which no KD-tree needs, and was not opened")
        return super().find_class(module, name)
