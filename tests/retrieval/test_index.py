import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

import extension
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.retrieval import index
from cbir.retrieval.indexes import REGISTRY, is_approximate, of_methods, options


def gallery(rows: int = 60, columns: int = 3, seed: int = 0) -> FeatureStore:
    features = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    names = np.array([f"a/{row}.png" for row in range(rows)], object)
    about = {"method": "m", "features_sha256": f"vectors {seed}"}
    return FeatureStore(features, names, np.zeros(rows, np.int64), names, about)


GALLERY = gallery()
# Options of all kinds.
SETTINGS = {"leafsize": 4, "links": 4, "ef_construction": 16, "lists": None, "code_bytes": None, "memory_mb": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    index.build(GALLERY, tmp_path / "m.pkl", leafsize=4)
    return tmp_path / "m.pkl"


def agree(path: Path) -> None:
    """Update the side file so that it describes the current pickle, as an attacker would who writes both."""
    side = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(side | {"file_sha256": sha256_file(path)}))


def test_the_index_finds_the_nearest_neighbours(path: Path) -> None:
    query = np.array([0.1, -0.2, 0.3], np.float32)
    (distances,), (rows,) = index.read(path, GALLERY).search(query[None], 5)
    exact = np.linalg.norm(GALLERY.features.astype(float) - query, axis=1)
    assert rows.tolist() == np.argsort(exact)[:5].tolist()
    assert np.allclose(distances, np.sort(exact)[:5], rtol=1e-12)


def test_the_side_file_says_what_it_was_built_from(path: Path) -> None:
    about = json.loads(path.with_suffix(".json").read_text())
    assert (about["method"], about["rows"], about["dimension"], about["leafsize"]) == ("m", 60, 3, 4)
    assert about["features_sha256"] == "vectors 0"
    assert about["file_sha256"] == sha256_file(path)


def test_an_option_that_the_kind_does_not_take_is_refused_if_a_person_set_it() -> None:
    settings = {"kind": "exact", "leafsize": 32, "recall": 0.95}
    assert of_methods(settings, {"kind": "exact"}, ["m"]) == {"m": ("exact", {}, 1.0, 0.0)}
    with pytest.raises(InputError, match=r"index\.leafsize is set, but index\.kind exact does not take it"):
        of_methods(settings, settings, ["m"])
    tree = settings | {"kind": "kdtree"}
    assert of_methods(tree, {"leafsize": 32}, ["m"]) == {"m": ("kdtree", {"leafsize": 32}, 1.0, 0.0)}


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
    distances, found = index.read(tmp_path / "few.pkl", few).search(np.ones((1, 3)), 1)
    assert distances.tolist() == [[0]]
    assert found[0, 0] < rows


def test_equal_inputs_give_equal_answers_and_bytes(path: Path, tmp_path: Path) -> None:
    index.build(GALLERY, tmp_path / "again.pkl", leafsize=4)
    assert path.read_bytes() == (tmp_path / "again.pkl").read_bytes()
    ours, others = index.read(path, GALLERY), index.read(tmp_path / "again.pkl", GALLERY)
    queries = np.random.default_rng(1).normal(size=(20, 3))
    assert np.array_equal(ours.search(queries, 60)[1], others.search(queries, 60)[1])


class Exploit:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def refused(path: Path, reason: str, store: FeatureStore = GALLERY) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        index.read(path, store)
    assert "m.pkl" in str(caught.value) or "m.json" in str(caught.value)


def test_a_pickle_that_would_run_code_does_not(path: Path, tmp_path: Path) -> None:
    path.write_bytes(pickle.dumps(Exploit(tmp_path / "touched")))
    agree(path)
    refused(path, r"is not the KD-tree of the vectors in its feature store: remove it and run again")
    assert not (tmp_path / "touched").exists()
    # Unpickling it would have run the code.
    pickle.loads(path.read_bytes())
    assert (tmp_path / "touched").exists()


# A dictionary that holds itself in 40 layers, in a few hundred bytes: comparing or hashing it would not end.
NESTED = b"}" + b"".join(b"(K\x01}K\x02}u" for _ in range(40)) + b"."


@pytest.mark.parametrize(
    "code", [b"", b"I5\n.", b"cos\nsystem\n(S'true'\ntR.", NESTED, b"N" + b"r\xff\xff\xff\xff" + b"."]
)
def test_no_pickle_is_read_at_all(path: Path, code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("it was read"))
    path.write_bytes(code)
    agree(path)
    refused(path, "is not the KD-tree of the vectors")


@pytest.mark.parametrize("place", range(11))
def test_a_tree_with_any_part_changed_is_refused(path: Path, place: int) -> None:
    """SciPy would accept numbers of another type, nodes out of range and another order of rows."""
    tree = KDTree(GALLERY.features, leafsize=4)
    state = list(tree.__getstate__())
    state[place % 10] = np.asarray(state[place % 10]).astype("f4" if place == 7 else "O") if place < 10 else None
    path.write_bytes(pickle.dumps((KDTree, state), protocol=5))
    agree(path)
    refused(path, "is not the KD-tree of the vectors")


def test_an_index_of_other_vectors_is_refused(path: Path, tmp_path: Path) -> None:
    refused(path, "built over other vectors", gallery(seed=1))
    # A matching side file is not enough.
    other = gallery(seed=1)
    index.build(other, tmp_path / "other.pkl", leafsize=4)
    path.write_bytes((tmp_path / "other.pkl").read_bytes())
    refused(path, r"not the file that .*m\.json describes")
    agree(path)
    refused(path, "is not the KD-tree of the vectors")


def test_an_index_of_another_leafsize_than_it_says_is_refused(path: Path) -> None:
    side = path.with_suffix(".json")
    about = json.loads(side.read_text())
    for leafsize, reason in (
        (5, "is not the KD-tree"),
        (0, "lacks"),
        (-1, "lacks"),
        (True, "lacks"),
        (10**30, "lacks"),
    ):
        side.write_text(json.dumps(about | {"leafsize": leafsize}))
        refused(path, reason)
    side.write_text(json.dumps({key: value for key, value in about.items() if key != "leafsize"}))
    refused(path, r"m\.json lacks 'leafsize'")


@pytest.mark.parametrize("library", ["scipy", "numpy", "python"])
def test_an_index_by_another_version_is_reported_as_such(path: Path, library: str) -> None:
    side = path.with_suffix(".json")
    about = json.loads(side.read_text())
    side.write_text(json.dumps(about | {library: "0.1"}))
    # Equal bytes are accepted, whoever wrote them.
    assert index.read(path, GALLERY).rows == 60
    path.write_bytes(path.read_bytes().replace(b"KDTree", b"KDTres"))
    agree(path)
    refused(
        path, rf"was built by .*{library} 0\.1.*, and this is .*{library} {about[library]}.*: remove it and run again"
    )


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


@pytest.mark.parametrize("kind", REGISTRY)
def test_every_kind_finds_the_nearest(tmp_path: Path, kind: str) -> None:
    index.build(GALLERY, tmp_path / "m.json", kind, **options(kind, SETTINGS))
    entry = REGISTRY[kind]
    written = {"m.json", f"m{entry.SUFFIX or '.json'}", *(["m.rows.h5"] if is_approximate(kind) else [])}
    assert {path.name for path in tmp_path.iterdir()} == written
    held = index.read(tmp_path / "m.json", GALLERY)
    assert (held.kind, held.label, held.rows, held.dimension) == (kind, entry.LABEL, 60, 3)
    queries = np.random.default_rng(2).normal(size=(9, 3)).astype(np.float32)
    distances, rows = held.search(queries, 60)
    all_distances = np.linalg.norm(GALLERY.features.astype(float) - queries[:, None].astype(float), axis=2)
    assert np.array_equal(rows, np.argsort(all_distances, axis=1))
    assert np.allclose(distances, np.sort(all_distances, axis=1), rtol=1e-12)


def test_an_exact_index_is_refused_over_other_vectors(tmp_path: Path) -> None:
    index.build(GALLERY, tmp_path / "m.json", "exact")
    refused(tmp_path / "m.json", "built over other vectors", gallery(seed=1))


def test_unknown_kinds_are_input_errors(path: Path) -> None:
    with pytest.raises(
        InputError, match=r"The index kind 'best' does not exist: use one of auto, exact, hnsw, ivf-pq, kdtree\."
    ):
        index.build(GALLERY, path, "best")
    side = path.with_suffix(".json")
    for kind in ("best", None, ["kdtree"]):
        side.write_text(json.dumps(json.loads(side.read_text()) | {"kind": kind}))
        refused(path, r"m\.json names the index kind .*, which does not exist: remove it and run again")


def test_a_kind_takes_its_own_options() -> None:
    settings = {"kind": "kdtree", "leafsize": 8}
    assert [options(kind, settings) for kind in ("kdtree", "exact")] == [{"leafsize": 8}, {}]


USES_IT = """
import sys
import numpy as np
from cbir.features.store import FeatureStore
from cbir.retrieval import index, queries

features = np.array([[5, 0], [1, 1], [3, 3]], np.float32)
names = np.array(["a/0", "a/1", "b/2"], object)
gallery = FeatureStore(features, names, np.array([0, 0, 1]), names, {"method": "m", "features_sha256": "x"})
index.build(gallery, sys.argv[1], "sorted-first")
found = queries.nearest(index.read(sys.argv[1], gallery), gallery, np.array([3, 2]), 2)
print([(item.image_id, round(item.distance, 3)) for item in found])
"""


def test_a_new_kind_is_one_file(tmp_path: Path) -> None:
    extension.add(tmp_path / "copy", "retrieval/indexes", "sorted-first", extension.INDEX)
    found = extension.python(tmp_path / "copy", USES_IT, str(tmp_path / "m.json"))
    assert found == "[('b/2', 1.0), ('a/1', 2.236)]\n"
    assert (tmp_path / "m.npy").is_file()
