import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from cbir import index
from cbir.errors import InputError
from cbir.files import sha256_file
from cbir.store import FeatureStore


def gallery(rows: int = 60, columns: int = 3, seed: int = 0) -> FeatureStore:
    features = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    names = np.array([f"a/{row}.png" for row in range(rows)], object)
    about = {"method": "m", "features_sha256": f"vectors {seed}"}
    return FeatureStore(features, names, np.zeros(rows, np.int64), names, about)


GALLERY = gallery()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    index.build(GALLERY, tmp_path / "m.pkl", leafsize=4)
    return tmp_path / "m.pkl"


def agree(path: Path) -> None:
    """Make the side file describe the pickle as it is now, as whoever hands in both would."""
    side = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(side | {"pickle_sha256": sha256_file(path)}))


def test_the_index_gives_the_neighbours(path: Path) -> None:
    query = np.array([0.1, -0.2, 0.3], np.float32)
    distances, rows = index.read(path, GALLERY).query(query, k=5)
    exact = np.linalg.norm(GALLERY.features.astype(float) - query, axis=1)
    assert rows.tolist() == np.argsort(exact)[:5].tolist()
    assert np.allclose(distances, np.sort(exact)[:5], rtol=1e-12)


def test_the_side_file_says_what_it_was_built_from(path: Path) -> None:
    about = json.loads(path.with_suffix(".json").read_text())
    assert (about["method"], about["rows"], about["dimension"], about["leafsize"]) == ("m", 60, 3, 4)
    assert about["features_sha256"] == "vectors 0"
    assert about["pickle_sha256"] == sha256_file(path)


def test_a_notebook_opens_it_without_this_project(path: Path) -> None:
    code = (
        "import pickle, sys\n"
        "tree = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(type(tree).__module__, tree.n, tree.query(tree.data[7], k=1))\n"
        "assert not any(name.startswith('cbir') for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(path)], cwd=path.parent, capture_output=True, text=True, check=True
    )
    assert "scipy.spatial" in done.stdout
    assert "60" in done.stdout
    assert "7)" in done.stdout.replace("np.int64(", "")


@pytest.mark.parametrize("rows", [1, 3, 25])
def test_small_galleries_and_equal_vectors(tmp_path: Path, rows: int) -> None:
    few = gallery(rows)
    few.features[:] = 1
    index.build(few, tmp_path / "few.pkl", leafsize=2)
    distances, found = index.read(tmp_path / "few.pkl", few).query([1, 1, 1], k=[1])
    assert distances.tolist() == [0]
    assert found[0] < rows


def test_equal_inputs_give_equal_answers_and_bytes(path: Path, tmp_path: Path) -> None:
    index.build(GALLERY, tmp_path / "again.pkl", leafsize=4)
    assert path.read_bytes() == (tmp_path / "again.pkl").read_bytes()
    ours, others = index.read(path, GALLERY), index.read(tmp_path / "again.pkl", GALLERY)
    queries = np.random.default_rng(1).normal(size=(20, 3))
    assert np.array_equal(ours.query(queries, k=60)[1], others.query(queries, k=60)[1])


class Exploit:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def refused(path: Path, reason: str, store: FeatureStore = GALLERY) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        index.read(path, store)
    assert "m.pkl" in str(caught.value) or "m.json" in str(caught.value)


def test_a_pickle_that_would_run_something_does_not(path: Path, tmp_path: Path) -> None:
    path.write_bytes(pickle.dumps(Exploit(tmp_path / "touched")))
    agree(path)
    refused(path, r"which no KD-tree needs, and was not opened")
    assert not (tmp_path / "touched").exists()
    # It would have, otherwise.
    pickle.loads(path.read_bytes())
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cscipy.spatial._kdtree\nKDTree.query\n.",
        b"cnumpy._core.numeric\n_frombuffer\n(S'12345678'\ncnumpy\ndtype\n(S'O8'\nI00\nI01\ntR(I1\ntS'C'\ntR.",
        # A memo number of four thousand million, for which the compiled reader would allocate.
        b"N" + b"r\xff\xff\xff\xff" + b".",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.",
        b"I5\n.",
        b"",
        b"P0\n.",
    ],
)
def test_whatever_else_a_pickle_says_is_refused(path: Path, code: bytes) -> None:
    path.write_bytes(code)
    agree(path)
    refused(path, "damaged")


def test_an_index_of_other_vectors_is_refused(path: Path, tmp_path: Path) -> None:
    refused(path, "built over other vectors", gallery(seed=1))
    # The side file alone cannot make it fit.
    other = gallery(seed=1)
    index.build(other, tmp_path / "other.pkl", leafsize=4)
    path.write_bytes((tmp_path / "other.pkl").read_bytes())
    refused(path, r"not the file that .*m\.json describes")
    agree(path)
    refused(path, "does not hold the vectors of its feature store")


def test_an_edited_pickle_is_refused(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    refused(path, r"not the file that .*m\.json describes")


def test_missing_and_foreign_side_files(path: Path) -> None:
    side = path.with_suffix(".json")
    side.write_text("[]")
    refused(path, "built over other vectors")
    side.unlink()
    refused(path, r"m\.json does not exist")


def test_a_missing_index_is_named(path: Path) -> None:
    path.unlink()
    refused(path, r"m\.pkl does not exist: run the workflow first")


Edit = Callable[[np.ndarray], None]


def edited(name: str, row: int, value: float) -> Edit:
    def edit(nodes: np.ndarray) -> None:
        nodes[name][row] = value

    return edit


NODES: dict[str, Edit] = {
    "axis too high": edited("split_dim", 0, 3),
    "axis far off": edited("split_dim", 0, 2**40),
    "axis negative": edited("split_dim", 0, -2),
    "child beyond the nodes": edited("less", 0, 10**9),
    "child negative": edited("greater", 0, -5),
    "circle": edited("less", 1, 0),
    "itself": edited("greater", 0, 0),
    "leaf beyond the rows": edited("end", -1, 10**12),
    "leaf before the rows": edited("start", -1, -(10**12)),
}


def tampered(path: Path, place: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change one part of the tree's state, in a way that SciPy itself would not look at, and pickle it again."""
    state = list(KDTree(GALLERY.features, leafsize=4).__getstate__())
    state[place] = change(np.array(state[place]))
    # Without protocol and frame in front (2 and 9 bytes) and the stop behind: the state's opcodes alone.
    body = pickle.dumps(tuple(state), protocol=5)[11:-1]
    path.write_bytes(b"\x80\x05\x8c\x15scipy.spatial._kdtree\x8c\x06KDTree\x93)\x81" + body + b"b.")
    agree(path)


@pytest.mark.parametrize("edit", NODES.values(), ids=NODES)
def test_a_tree_whose_nodes_point_outside_is_refused(path: Path, edit: Edit) -> None:
    def change(raw: np.ndarray) -> np.ndarray:
        nodes = np.frombuffer(raw.tobytes(), index._NODE).copy()
        edit(nodes)
        return np.frombuffer(nodes.tobytes(), "S1")

    tampered(path, 0, lambda raw: raw)
    assert index.read(path, GALLERY).n == 60
    tampered(path, 0, change)
    refused(path, "its nodes are not those of a tree")


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        (0, lambda nodes: nodes[:0], "nodes"),
        (0, lambda nodes: nodes[:-1], "damaged"),
        (1, lambda data: data + 1, "vectors"),
        (1, lambda data: data[:30], "vectors"),
        (5, lambda bound: bound[:1], "bounds"),
        (6, lambda bound: bound - 1, "bounds"),
        (7, lambda rows: rows + 10**9, "rows"),
        (7, lambda rows: np.zeros_like(rows), "rows"),
        (7, lambda rows: rows[:10], "rows"),
    ],
)
def test_a_tree_with_another_part_tampered_with_is_refused(
    path: Path, place: int, change: Callable[[np.ndarray], np.ndarray], reason: str
) -> None:
    tampered(path, place, change)
    refused(path, reason)
