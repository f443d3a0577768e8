"""benchmarks/million.py, on few vectors."""

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from cbir.features import store
from cbir.files.tables import read_json

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_its_steps_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    # The benchmark puts the scripts on the path.
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("million", BENCHMARKS / "million.py")
    assert spec is not None and spec.loader is not None
    million = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(million)
    monkeypatch.setattr(million, "_BLOCK", 256)
    million.make(tmp_path, Namespace(images=600, queries=20, values=32))
    features = store.read(tmp_path / "train.h5").features
    assert features.shape == (600, 32)
    # Blocks differ from each other, and queries from the gallery.
    queries = store.read(tmp_path / "test.h5").features
    assert len(np.unique(np.vstack([features, queries])[:, 0])) == 620
    million.build(tmp_path, "hnsw")
    million.measure(tmp_path, "hnsw")
    assert read_json(tmp_path / "hnsw.quality.json")["recall_at_10"] >= 0.95
    million.search(tmp_path, "hnsw")
    million.make_changed(tmp_path, Namespace(images=600, queries=20, values=32))
    for step in (million.more, million.fewer):
        step(tmp_path, "hnsw")
