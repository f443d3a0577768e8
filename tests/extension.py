"""A copy of the project with an additional entry in a registry, to test that one new file is enough."""

import os
import subprocess
import sys
from pathlib import Path

from workplace import check_out


def add(checkout: Path, registry: str, word: str, entry: str) -> Path:
    """Copy the project to a folder, write an entry into one of its registries, and return the entry's file."""
    check_out(checkout)
    path = checkout / "scripts/cbir" / registry / f"{word.replace('-', '_')}.py"
    path.write_text(entry, encoding="utf-8")
    return path


def python(checkout: Path, code: str, *arguments: str) -> str:
    """Run Python code with the library of a copy, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "scripts")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# The feedback strategy `city-block`.
STRATEGY = '''"""Rank by the city-block distance to the mean of the relevant images and the query."""

from dataclasses import dataclass

import numpy as np

from cbir.feedback.ranking import Ranking

LABEL = "city block"
EXPLANATION = "sums the differences from the mean of the relevant images in each feature"


def rank(features, query, relevant, irrelevant, weights):
    return CityBlock(features, np.vstack([query, features[relevant]]).mean(axis=0))


@dataclass(frozen=True, eq=False)
class CityBlock(Ranking):
    def score(self, rows):
        return -np.abs(self.features[rows] - self.vector).sum(axis=1)
'''


# The step `nearest-neighbour`, which stores the gallery as query expansion does.
STEP = '''"""Move each row half-way to its nearest other row of the gallery."""

import numpy as np


def fit(gallery, *, share=0.5):
    return {"gallery": gallery.astype(np.float32), "share": np.asarray(share)}


def apply(arrays, rows, is_gallery):
    moved = []
    for row, vector in enumerate(rows):
        distances = np.linalg.norm(arrays["gallery"] - vector, axis=1)
        if is_gallery:
            distances[row] = np.inf
        moved.append(vector + arrays["share"] * (arrays["gallery"][distances.argmin()] - vector))
    return np.array(moved)
'''


# The index kind `sorted-first`.
INDEX = '''"""The gallery sorted by its first feature, whose difference is a lower bound of the distance."""

import numpy as np

LABEL = "sorted features"
SUFFIX = ".npy"


def build(features):
    return features, np.argsort(features[:, 0], kind="stable")


def save(index, path):
    with path.open("wb") as stream:
        np.save(stream, index[1], allow_pickle=False)


def open(path, features, about):
    return features, np.load(path, allow_pickle=False)


def search(index, queries, k):
    features, order = index
    distances = np.linalg.norm(features[order].astype(float) - queries[:, None].astype(float), axis=2)
    places = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, places, axis=1), order[places]
'''
