"""`python -m cbir.artifacts` on a whole run's results, unchanged and with many kinds of changes."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from cbir.artifacts.__main__ import look, main
from cbir.artifacts.found import WIDTH
from cbir.artifacts.registry import KINDS, Kind, locate
from workplace import REPOSITORY, Workplace

DOCUMENT = (REPOSITORY / "docs/artifacts.md").read_text()


@pytest.fixture(scope="module")
def whole(machines: tuple[Workplace, Workplace]) -> Path:
    """Return the results of a whole run, which no test changes."""
    return machines[0].folder / "results"


@pytest.fixture(scope="module")
def copied(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the results, with the same images."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(whole, folder / "results")
    for name in ("collection", "photo.png"):
        (folder / name).symlink_to(whole.parent / name)
    return folder / "results"


@pytest.fixture
def results(copied: Path) -> Iterator[Path]:
    """Return a copy that a test may change; it is restored after the test."""
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in copied.rglob("*") if path.is_file()}
    yield copied
    for path in copied.rglob("*"):
        if not path.is_dir() and path not in before:
            path.unlink()
    for path, (data, changed) in before.items():
        if not path.is_file() or path.stat().st_mtime_ns != changed:
            path.write_bytes(data)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cbir.artifacts", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_artifact_of_a_run_is_consistent(whole: Path) -> None:
    done = command(whole)
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("ok  ")] == lines[-1:]
    assert re.fullmatch(r"(\d+) artifacts, \1 fit, 0 do not", lines[-1])
    assert done.returncode == 0
    assert "tensorflow" not in done.stderr and "keras" not in done.stderr


def test_the_run_has_every_kind_of_artifact_except_those_of_other_sources(whole: Path) -> None:
    files = [path for path in whole.rglob("*") if path.is_file() and not path.name.startswith(".")]
    met = {locate(path)[1].pattern for path in files}
    rest = {kind.pattern for kind in KINDS} - met
    assert rest == {
        "sources/{source}/images",
        "sources/{source}/images/{image*}",
        "sources/{source}/credits.csv",
        "collection/relevance.csv",
        "evaluation/{method}/folds.csv",
        "index/{method}.faiss",
        "index/{approximate}.quality.json",
        "index/{approximate}.rows.h5",
        "weights/{weights}.keras",
        "weights/{weights}.json",
        "encoded/{encoder}/{runtime}/{shard}.parts/{part}.h5",
        "snakemake-report.html",
    }


def test_every_file_in_the_documentation_has_a_kind() -> None:
    cells = [row.split(" | ")[0] for row in DOCUMENT.splitlines() if row.startswith("| `")]
    names = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) > 20
    known = {(kind.pattern.split("/")[0], Path(kind.pattern).suffix) for kind in KINDS}
    folder = ""
    for name in names:
        # The second name in a cell is in the folder of the first, or is another suffix of it.
        folder = name.split("/")[0] if "/" in name else folder
        ending = name if name.startswith(".") else Path(name).suffix
        assert (folder, ending) in known or (name, ending) in known or name.endswith("/"), name
        assert not name.endswith("/") or folder in {top for top, _ in known}, name


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.pattern)
def test_the_description_of_one_artifact(kind: object, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [path for path in sorted(whole.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    of_kind = [path for path in files if locate(path)[1] is kind]
    for path in of_kind:
        assert main([str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == str(path)
        assert lines[1].startswith("what  ") and lines[2].startswith("how many")
        assert lines[-1].startswith(("belongs", "  "))
        assert max(map(len, lines[1:])) <= WIDTH


def test_the_description_of_a_feature_store(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(whole / "features/small/train.h5")])
    text = capsys.readouterr().out
    # The chain has 3 or 4 values, which val chooses.
    assert re.search("12 images, [34] values each", text)
    assert re.search(r"parts +siamese: [0-9a-f]{64}", text)
    assert re.search(r"\n  apple/\d.png +0 +-?\d", text)
    assert "... 7 more rows" in text
    assert "transforms/small.h5 (fingerprint)" in text


def edit_json(name: str, key: str, value: object) -> Callable[[Path], None]:
    def edit(results: Path) -> None:
        data = json.loads((results / name).read_text())
        place = data
        *parents, last = key.split(".")
        for parent in parents:
            place = place[int(parent) if isinstance(place, list) else parent]
        assert place[last] != value
        place[last] = value
        (results / name).write_text(json.dumps(data))

    return edit


def edit_line(name: str, line: int, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(results: Path) -> None:
        lines = (results / name).read_text().splitlines()
        before = lines[line]
        lines[line] = change(before)
        assert lines[line] != before
        (results / name).write_text("\n".join(lines) + "\n")

    return edit


def swap(name: str, other: str) -> Callable[[Path], None]:
    return lambda results: shutil.copy(results / other, results / name) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda results: (results / name).unlink()


def cell(column: int, value: str) -> Callable[[str], str]:
    def change(line: str) -> str:
        cells = line.split(",")
        cells[column] = value
        return ",".join(cells)

    return change


def edit_h5(name: str, dataset: str | None, key: str = "") -> Callable[[Path], None]:
    def edit(results: Path) -> None:
        with h5py.File(results / name, "r+") as file:
            if dataset is None:
                file.attrs[key] = np.bytes_("another")
            else:
                values = file[dataset][()]
                file[dataset][...] = values[::-1] if values.dtype.kind == "S" else values + 1

    return edit


def rebuilt_index(results: Path) -> None:
    """Replace the index by that of another run for the same method, with its side file."""
    from cbir.features import store
    from cbir.retrieval import index

    held = store.read(results / "features/small/test.h5")
    index.build(held, results / "index/small.pkl", leafsize=3)


SMALL = "evaluation/small"
PAIR = "comparison/siamese_vs_combined.json"
# The change, the file to inspect, and a part of the expected reason.
ROWS = "encoded/{}/tensorflow-float32/{}.h5".format
TAMPERED: list[tuple[Callable[[Path], None], str, str]] = [
    (edit_line("collection/images.csv", 1, cell(4, "0" * 64)), "collection/images.csv", "has changed since"),
    (edit_line("collection/images.csv", 1, cell(3, "2")), "collection/images.csv", "labels"),
    (edit_line("collection/images.csv", 1, cell(1, "/dev/zero")), "collection/images.csv", "not a regular file"),
    (edit_line("collection/images.csv", 0, cell(4, "hash")), "collection/images.csv", "lacks the column 'sha256'"),
    (edit_line("collection/rejected.csv", 1, cell(0, "collection/apple/0.png")), "collection/rejected.csv", "rejects"),
    (edit_json("collection/categories.json", "index_to_category.0", "pear"), "collection/categories.json", "agree"),
    (edit_line("collection/shards/0.csv", 1, lambda line: line[:-1] + "0"), "collection/shards/0.csv", "images.csv"),
    (swap("splits/val.csv", "splits/train.csv"), "splits/val.csv", "share"),
    (edit_line("splits/test.csv", 1, cell(2, "pear")), "splits/test.csv", "images.csv does not have"),
    (edit_json("encoders/trained.json", "normalise", False), "encoders/trained.json", "edited"),
    (swap("encoders/trained.keras", "encoders/siamese.keras"), "encoders/trained.keras", "is not the one"),
    (swap("encoders/trained.keras", "encoders/siamese.keras"), "encoders/trained.json", "is not the one"),
    (remove("encoders/trained/checkpoint.npz"), "encoders/trained/checkpoint.code", "no checkpoint beside it"),
    (edit_line("encoders/trained/history.csv", 2, cell(0, "5")), "encoders/trained/history.csv", "lacks epochs"),
    (swap(ROWS("trained", 0), ROWS("siamese", 0)), ROWS("trained", 0), "of another encoder"),
    (swap(ROWS("siamese", 0), ROWS("siamese", 1)), ROWS("siamese", 0), "collection/shards/0.csv"),
    (edit_h5(ROWS("siamese", 0), "features"), ROWS("siamese", 0), "damaged"),
    (edit_h5("features/siamese/train.h5", "features"), "features/siamese/train.h5", "not those it was written with"),
    (edit_h5("features/siamese/train.h5", "image_id"), "features/siamese/train.h5", "in their order"),
    (edit_h5("features/siamese/train.h5", "label"), "features/siamese/train.h5", "in their order"),
    (swap("features/siamese/train.h5", "features/trained/train.h5"), "features/siamese/train.h5", "of the method"),
    (edit_h5("features/siamese/test.h5", None, "encoder_fingerprint"), "features/siamese/test.h5", "another network"),
    (edit_h5("features/siamese/test.h5", None, "manifest_sha256"), "features/siamese/test.h5", "in their order"),
    (edit_h5("features/small/test.h5", None, "transform_fingerprint"), "features/small/test.h5", "another transform"),
    (swap("features/siamese/test.h5", "features/siamese/train.h5"), "features/small/test.h5", "other vectors"),
    (edit_h5("transforms/small.h5", None, "fingerprint"), "transforms/small.h5", "edited"),
    (swap("features/siamese/train.h5", "features/siamese/test.h5"), "transforms/small.h5", "fitted on other"),
    (swap("index/small.pkl", "index/siamese.pkl"), "index/small.pkl", "is not the file that"),
    (rebuilt_index, "index/small.pkl", "other vectors"),
    (rebuilt_index, "index/small.json", "other vectors"),
    (edit_json("index/small.json", "rows", 13), "index/small.json", "other counts"),
    (edit_json(f"{SMALL}/summary.json", "anmrr", 0.99), f"{SMALL}/summary.json", "anmrr 0.99"),
    (edit_json(f"{SMALL}/summary.json", "features_sha256.test", "0"), f"{SMALL}/summary.json", "vectors"),
    (edit_line(f"{SMALL}/categories.csv", 1, cell(4, "7")), f"{SMALL}/categories.csv", "support"),
    (edit_line(f"{SMALL}/queries.csv", 1, cell(0, "sea/9.png")), f"{SMALL}/queries.csv", "in their order"),
    (edit_line(f"{SMALL}/queries.csv", 1, cell(3, "False")), f"{SMALL}/queries.csv", "prediction"),
    (edit_line(f"{SMALL}/neighbours.csv", 3, cell(3, "0.5")), f"{SMALL}/neighbours.csv", "distances"),
    (edit_line(f"{SMALL}/neighbours.csv", 3, cell(2, "x/y.png")), f"{SMALL}/neighbours.csv", "'x/y.png'"),
    (edit_line(f"{SMALL}/confusion.csv", 1, cell(2, "9")), f"{SMALL}/confusion.csv", "other counts"),
    (edit_json(f"{SMALL}/worst.json", "f1", 0.123), f"{SMALL}/worst.json", "f1 0.123"),
    (edit_json(f"{SMALL}/worst.json", "anmrr_at_retrieved", 0.123), f"{SMALL}/worst.json", "anmrr_at_retrieved 0.123"),
    (edit_json(f"{SMALL}/worst.json", "retrieved", 2), f"{SMALL}/worst.json", "does not list 2 results"),
    (edit_json(f"{SMALL}/worst.json", "taken_for", []), f"{SMALL}/worst.json", "other predictions"),
    (edit_json(f"{SMALL}/worst.json", "lowest_in", []), f"{SMALL}/worst.json", "that may have the lowest F1"),
    (edit_json(f"{SMALL}/calibration.json", "probability.val_right", 9), f"{SMALL}/calibration.json", "other values"),
    (edit_json(f"{SMALL}/calibration.json", "novelty.too_few", None), f"{SMALL}/calibration.json", "damaged"),
    (edit_json(f"{SMALL}/calibration.json", "method", "m"), f"{SMALL}/calibration.json", "of the method"),
    (edit_json(f"{SMALL}/summary.json", "unseen_gallery.anmrr", 2), f"{SMALL}/summary.json", "another unseen_gallery"),
    (edit_json(f"{SMALL}/summary.json", "map_at_r", 1.5), f"{SMALL}/summary.json", "map_at_r 1.5"),
    (edit_line("comparison/methods.csv", 1, cell(3, "0.25")), "comparison/methods.csv", "accuracy 0.25"),
    (edit_line("comparison/categories.csv", 1, cell(2, "0.25")), "comparison/categories.csv", "F1 of"),
    (edit_line("comparison/best_worst.csv", 1, cell(4, "0.25")), "comparison/best_worst.csv", "F1 of"),
    (edit_line("comparison/tests.csv", 1, cell(-1, "real")), "comparison/tests.csv", "has other findings than"),
    (edit_line("comparison/siamese_vs_combined.csv", 1, cell(3, "0.5")), "comparison/siamese_vs_combined.csv", "delta"),
    (edit_json("comparison/siamese_vs_combined.json", "map.a", 0.1), "comparison/siamese_vs_combined.json", "map of"),
    *(
        (edit_json(PAIR, key, value), PAIR, reason)
        for key, value, reason in (
            ("map.categories.p_value", 0.01, "another value of map"),
            ("words", "All is well.", "another value of words"),
            ("resamples", 10**12, "resamples"),
        )
    ),
    (edit_json("queries/small/worst.json", "neighbours.0.distance", 9.0), "queries/small/worst.json", "distances"),
    (edit_json("queries/small/worst.json", "neighbours.0.image_id", "a/b"), "queries/small/worst.json", "'a/b'"),
    (edit_json("queries/small/worst.json", "neighbours.0.probability", 0.5), "queries/small/worst.json", "probability"),
    (edit_json("queries/small/worst.json", "novelty", {}), "queries/small/worst.json", "or novelty"),
    (edit_json("queries/small/worst.json", "query", "a/b"), "queries/small/worst.json", "'a/b'"),
    (edit_json("feedback/sea/rounds.json", "features_sha256", "0"), "feedback/sea/rounds.json", "other vectors"),
    (edit_json("queries/small/worst.json", "neighbours.1.rank", 1), "queries/small/worst.json", "ranks or categories"),
    (edit_json("queries/small/worst.json", "neighbours.0.right", None), "queries/small/worst.json", "or categories"),
    (edit_json("feedback/sea/rounds.json", "rounds.1.results.0.of_category", 2), "feedback/sea/rounds.json", "round 1"),
    (edit_json("feedback/sea/rounds.json", "rounds.1.results.0.judged", "no"), "feedback/sea/rounds.json", "round 1"),
    (edit_json("feedback/sea/rounds.json", "rounds.0.precision_at_k", 0.1), "feedback/sea/rounds.json", "round 0"),
    (edit_json("feedback/sea/rounds.json", "rounds.0.flagged.relevant", []), "feedback/sea/rounds.json", "round 1"),
    (edit_line("feedback/sea/results.csv", 2, cell(4, "a/b")), "feedback/sea/results.csv", "rounds.json"),
    (edit_h5("feedback/sea/vectors.h5", None, "query"), "feedback/sea/vectors.h5", "another query"),
    (edit_line("feedback/simulated/small/gain.csv", 1, cell(2, "pear")), "feedback/simulated/small/gain.csv", "'pear'"),
    (edit_json("configuration.json", "index.leafsize", -1), "configuration.json", "index.leafsize"),
    (edit_json("index/small.json", "features_sha256", "0" * 64), "report.html", "other features"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("tamper", "name", "reason"), TAMPERED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_changed_artifact_is_reported(
    tamper: Callable[[Path], None],
    name: str,
    reason: str,
    results: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tamper(results)
    assert main([str(results / name)]) == 1
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert reason in text.split("belongs NO: ")[1]
    assert "Error" not in text


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


BYTES = (
    b"",
    "no such thing \u202e\n".encode() * 20,
    bytes(4000),
    b"[[]]",
    b"null",
    b"[" * 100_000,
    b"1" * 5000,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.pattern)
def test_damaged_and_foreign_files_are_input_errors(kind: Kind, results: Path) -> None:
    files = [path for path in sorted(results.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    path = next((path for path in files if locate(path)[1] is kind), None)
    if path is None or kind.pattern.startswith("logs/"):
        pytest.skip("the run has none, or nothing can be wrong with it")
    half = path.read_bytes()[: path.stat().st_size // 2]
    for data in (*BYTES, half):
        path.write_bytes(data)
        _, found, reason = look(path, {})
        # Half of a table may still be a valid table.
        assert reason or data is half, (data[:20], found)
        assert "\n" not in reason and len(reason) < 600
        assert path.name in reason or data is half


def test_a_pickle_that_would_run_code_does_not(results: Path, tmp_path: Path) -> None:
    path = results / "index/small.pkl"
    path.write_bytes(pickle.dumps(Harmful(tmp_path / "harmed")))
    about = json.loads(path.with_suffix(".json").read_text())
    from cbir.files.hashes import sha256_file

    path.with_suffix(".json").write_text(json.dumps(about | {"file_sha256": sha256_file(path)}))
    assert "is not the KD-tree of the vectors" in look(path, {})[2]
    assert not (tmp_path / "harmed").exists()


def test_missing_files_pipes_and_folders(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(results / "index/pipe.pkl")
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for path, reason in (
        (results / "index/none.pkl", "does not exist"),
        (results / "index/pipe.pkl", "not a regular file"),
        (tmp_path / "empty", "holds no file"),
        (tmp_path / "loop", "not an artifact"),
        (results.parent / "photo.png", "not an artifact"),
        (tmp_path / "a\nb\u202e", r"a\nb\u202e does not exist"),
    ):
        assert main([str(path)]) == 1
        assert reason in re.sub(r"\s+", " ", capsys.readouterr().out)


def test_all_inconsistent_artifacts_of_a_folder_are_reported(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "index/strange.bin").write_bytes(b"x")
    (results / "index/small.json").unlink()
    assert main([str(results / "index")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("NO")] == ["NO  small.pkl", "NO  strange.bin"]
    assert lines[-1] == "8 artifacts, 6 fit, 2 do not"


def test_an_unfinished_training_and_encoding(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cbir.training import checkpoint

    history = [{"epoch": 0, "anmrr": 0.5}, {"epoch": 1, "anmrr": 0.4}]
    state = checkpoint.State("print", history, weights=[np.zeros(3)], optimizer=[], best_weights=[np.zeros(3)])
    checkpoint.save(results / "encoders/trained/checkpoint.npz", state)
    parts = results / "encoded/siamese/tensorflow-float32/0.parts"
    parts.mkdir()
    shutil.copy(results / ROWS("siamese", 1), parts / "000001.h5")
    assert main([str(results / "encoders/trained/checkpoint.npz"), str(parts / "000001.h5")]) == 0
    assert "epoch 1, 2 arrays" in capsys.readouterr().out
    state.history.append({"epoch": 2, "anmrr": 0.3})
    checkpoint.save(results / "encoders/trained/checkpoint.npz", state)
    assert "different epochs" in look(results / "encoders/trained/checkpoint.npz", {})[2]


def test_make_inspect(whole: Path) -> None:
    text = (REPOSITORY / "Makefile").read_text()
    recipe = re.search(r"^inspect:.*\n\t@(.*)$", text, re.MULTILINE)[1]
    ran = recipe.replace("$(BIN)/python", sys.executable).replace("$$", "$")
    for name, status in (("index/small.pkl", 0), ("index/none.pkl", 1)):
        environment = {**os.environ, "FILE": str(whole / name)}
        done = subprocess.run(["bash", "-c", ran], cwd=REPOSITORY, env=environment, capture_output=True, check=False)
        assert done.returncode == status
