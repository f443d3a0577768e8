"""Inspect artifacts of special split protocols; `tests/workflow/test_inspect.py` inspects those of a whole run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cbir.artifacts import collection, evaluation
from cbir.artifacts.found import Found
from cbir.collection.categories import Relevant
from cbir.evaluation.evaluate import evaluate
from cbir.evaluation.judgements import across_folds
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.tables import write_csv, write_json
from cbir.results import Results
from cbir.retrieval.index import over

NAMES = {"method": "m"}
FOLDER = "evaluation/m"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return the results of one method for twelve images of two categories in three folds."""
    random = np.random.default_rng(5)
    labels, folds = np.arange(12) % 2, np.arange(12) % 3 + 1
    names = np.array([f"{'ab'[label]}/{number}" for number, label in enumerate(labels)], object)
    vectors = random.normal(size=(12, 3)).astype(np.float32) + labels[:, None]
    images = FeatureStore(vectors, names, labels, names, {"method": "m", "features_sha256": "x"})
    found = evaluate(
        images,
        images,
        ["a", "b"],
        over(vectors, leafsize=8),
        k=1,
        neighbours=3,
        worst_images=2,
        worst_retrieved=3,
        seed=0,
        judgements=across_folds(labels, folds, Relevant(["a", "b"])),
        folds=folds,
    )
    assert found.folds is not None
    (tmp_path / FOLDER).mkdir(parents=True)
    write_json(tmp_path / FOLDER / "summary.json", found.summary)
    for name in ("queries", "cmc", "folds", "categories", "confusion"):
        write_csv(tmp_path / FOLDER / f"{name}.csv", getattr(found, name))
    (tmp_path / "splits").mkdir()
    split = {
        "image_id": names,
        "path": names,
        "category": [name[0] for name in names],
        "label": labels,
        "sha256": names,
    }
    write_csv(tmp_path / "splits/test.csv", pd.DataFrame(split | {"fold": folds}))
    return tmp_path


def look(results: Path, name: str) -> None:
    getattr(evaluation, name)(Results(results), results / FOLDER / f"{name}.csv", NAMES, Found())


@pytest.mark.parametrize("name", ["cmc", "folds"])
def test_unchanged_artifacts_are_consistent(results: Path, name: str) -> None:
    look(results, name)


def edit(results: Path, file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    write_csv(results / file, change(pd.read_csv(results / file)))


@pytest.mark.parametrize(
    ("name", "file", "change", "sentence"),
    [
        ("cmc", f"{FOLDER}/cmc.csv", lambda table: table.iloc[::-1], "does not rise from rank 1"),
        ("cmc", f"{FOLDER}/cmc.csv", lambda table: table.assign(cmc=table["cmc"].to_numpy()[::-1]), "does not rise"),
        ("cmc", f"{FOLDER}/cmc.csv", lambda table: table.assign(cmc=table["cmc"] * 2), "leaves 0 to 1"),
        ("cmc", f"{FOLDER}/cmc.csv", lambda table: table.assign(cmc=1.0), "says hit_at_k"),
        ("folds", f"{FOLDER}/folds.csv", lambda table: table.assign(map=0.125), "says map of fold 1 0.125"),
        ("folds", f"{FOLDER}/folds.csv", lambda table: table.assign(queries=5), "says queries of fold 1 5"),
        ("folds", f"{FOLDER}/folds.csv", lambda table: table.assign(mp_at_k=0.125), "other means or intervals"),
        ("folds", "splits/test.csv", lambda table: table.assign(fold=1), "says queries of fold 1 4"),
    ],
)
def test_edited_artifacts_are_reported(
    results: Path, name: str, file: str, change: Callable[[pd.DataFrame], pd.DataFrame], sentence: str
) -> None:
    edit(results, file, change)
    with pytest.raises(InputError, match=sentence):
        look(results, name)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a/0,b/1,easy", None),
        ("b/9,b/1,easy", "b/9"),
        ("a/0,a/0,easy", "a/0"),
        ("a/0,b/1,good", "good"),
    ],
)
def test_judgements_must_name_queries_and_gallery_images(tmp_path: Path, row: str, sentence: str | None) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/test.csv").write_text("image_id,path,category,label,sha256\na/0,a/0,a,0,0\n")
    (tmp_path / "splits/train.csv").write_text("image_id,path,category,label,sha256\nb/1,b/1,b,1,1\n")
    path = tmp_path / "relevance.csv"
    path.write_text(f"query,image_id,grade\n{row}\n")
    if sentence is None:
        collection.relevance(Results(tmp_path), path, {}, Found())
    else:
        with pytest.raises(InputError, match=sentence):
            collection.relevance(Results(tmp_path), path, {}, Found())
