"""Only results that the configuration no longer requires are removed."""

from pathlib import Path

from cbir.report.leftovers import remove

ASKED = {
    "split": ["train", "val", "test", "outside-00000001"],
    "outside": ["outside-00000001"],
    "method": ["a", "b"],
    "derived": ["b"],
    "pair": ["a_vs_b"],
    "query": ["worst", "photo.1-12345678"],
    "refinement": ["red.1"],
    "simulated": ["a"],
    "approximate": ["a"],
    "ending": ["json", "pkl"],
    "protocol": ["folds"],
}
ENDINGS = ["json", "pkl"]
KEPT = [
    "splits/train.csv",
    "splits/outside-00000001.csv",
    "encoded/old/tensorflow-float32/0.h5",
    "encoded/a/tensorflow-float32/outside-00000001.h5",
    "encoders/old.keras",
    "features/a/val.h5",
    "transforms/b.h5",
    "index/a.pkl",
    "index/a.rows.h5",
    "index/old.txt",
    "evaluation/b/summary.json",
    "evaluation/b/folds.csv",
    "evaluation/old/notes.txt",
    "comparison/a_vs_b.json",
    "comparison/methods.csv",
    "queries/a/photo.1-12345678.png",
    "feedback/red.1/rounds.json",
    "feedback/simulated/a/gain.csv",
    "feedback/mine/notes.json",
    "feedback/red.1/.rounds.0a1b2c3d.json",
    "encoded/a/tensorflow-float32/0.parts/0.h5",
    "report.html",
    "logs/evaluate/a.log",
    "benchmarks/encode/a/tensorflow-float32/0.tsv",
]
REMOVED = [
    "benchmarks/encode/a/tensorflow-float32/outside-00000002.tsv",
    "benchmarks/evaluate/old.tsv",
    "collection/relevance.csv",
    "comparison/a_vs_old.svg",
    "comparison/old_vs_b.csv",
    "encoded/a/tensorflow-float32/.outside-00000002.h5.lock",
    "encoded/a/tensorflow-float32/outside-00000002.h5",
    "encoded/a/tensorflow-float32/outside-00000002.parts/0.h5",
    "evaluation/old/summary.json",
    "features/a/outside-00000002.h5",
    "features/old/train.h5",
    "feedback/red/.rounds.0a1b2c3d.json",
    "feedback/red/refinement.png",
    "feedback/simulated/b/example.json",
    "index/b.rows.h5",
    "index/old.json",
    "logs/compare_pair/a_vs_old.log",
    "logs/query/a/photo-12345678.log",
    "logs/refine/red.log",
    "queries/a/photo-12345678.json",
    "queries/old/worst.png",
    "splits/outside-00000002.csv",
    "transforms/a.h5",
]


def test_results_that_are_not_required_are_removed_with_their_folders(tmp_path: Path) -> None:
    for name in (*KEPT, *REMOVED):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert remove(tmp_path, ASKED, ENDINGS) == REMOVED
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(KEPT)
    for folder in ("queries/old", "features/old", "feedback/red", "feedback/simulated/b"):
        assert not (tmp_path / folder).exists()
    assert remove(tmp_path, ASKED, ENDINGS) == []


def test_the_comparison_is_removed_if_one_method_remains(tmp_path: Path) -> None:
    (tmp_path / "comparison").mkdir()
    (tmp_path / "comparison/methods.svg").touch()
    assert remove(tmp_path, ASKED | {"method": ["a"]}, ENDINGS) == ["comparison/methods.svg"]
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_the_previous_kind_of_index_is_removed(tmp_path: Path) -> None:
    for name in ("a.json", "a.pkl", "a.npy", "a.txt"):
        (tmp_path / "index" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "index" / name).touch()
    assert remove(tmp_path, ASKED | {"ending": ["json", "npy"]}, ["json", "pkl", "npy"]) == ["index/a.pkl"]


def test_without_labels_results_that_need_them_are_removed(tmp_path: Path) -> None:
    gone = [
        *("benchmarks/evaluate/a.tsv", "collection/suspects.csv", "comparison/methods.csv"),
        *("evaluation/a/summary.json", "logs/suspects.log"),
    ]
    for name in (*gone, "features/a/test.h5", "collection/images.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert remove(tmp_path, ASKED | {"labels": ["categories"]}, ENDINGS) == []
    assert remove(tmp_path, ASKED | {"labels": []}, ENDINGS) == gone
