"""Finished runs, which the tests of the workflow read and copy."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import faults
import sharing
from forked import Server
from workplace import CONFIG, Workplace, make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Return a workplace after a whole run; tests must copy it and not change it."""

    def fill(root: Path) -> None:
        done = make(root).run_in_new_interpreter()
        assert done.status == 0, done.output

    return Workplace(sharing.once(tmp_path_factory, "finished", fill))


@pytest.fixture
def workplace(finished: Workplace, tmp_path: Path) -> Workplace:
    """Return a copy of the finished workplace, which a test may change."""
    return finished.copy(tmp_path / "place")


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Return a workplace after `faults.run_uninterrupted`; tests must not change it."""
    return Workplace(
        sharing.once(tmp_path_factory, "uninterrupted", lambda root: faults.run_uninterrupted(faults.prepare(root)))
    )


# A run with every kind of artifact: a training, derived methods, a query from outside, a refinement.
_EVERYTHING = CONFIG | {
    "encoders": CONFIG["encoders"]
    | {
        "trained": {
            "architecture": "siamese",
            "weights": "random",
            "seed": 1,
            "training": {
                "mining": "batch-hard",
                "margin": 1,
                "categories_per_batch": 3,
                "epochs": 1,
                "steps_per_epoch": 2,
            },
        }
    },
    "methods": CONFIG["methods"]
    | {
        "trained": {"encoder": "trained"},
        "small": {"of": "siamese", "steps": [{"pca": [3, 4]}, {"expand": {"neighbours": 2}}], "choose": "val"},
        "combined": {"combine": ["small", "trained"], "normalise": "minmax"},
    },
    "comparison": {"pairs": [["siamese", "combined"]]},
    "queries": {"choose": ["worst"], "images": ["photo.png"]},
    "feedback": {"folder": "feedback", "method": "small", "simulation": {"rounds": 2, "methods": ["small"]}},
}


def _write_everything(place: Workplace) -> None:
    place.configure(_EVERYTHING)
    for number, path in enumerate(sorted((place.folder / "collection").rglob("*.png"))):
        _hard_picture(number).save(path)
    Image.new("RGB", (50, 40), (200, 70, 60)).save(place.folder / "photo.png")
    (place.folder / "feedback").mkdir()
    refinement = {"query": "sea/1.png", "k": 3, "rounds": [{"relevant": [0], "irrelevant": [2]}]}
    (place.folder / "feedback/sea.json").write_text(json.dumps(refinement))
    (place.folder / "collection/sea/broken.png").write_bytes(b"no image")


def _hard_picture(number: int) -> Image.Image:
    """Return an image of patches whose colours hardly depend on the category, so that metrics are not round numbers."""
    random = np.random.default_rng(number)
    colour = 100 + 20 * np.eye(3)[number // 6]
    patches = np.clip(colour + random.normal(0, 50, (4, 4, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(patches).resize((40, 40))


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, Workplace]:
    """Return two whole runs on the same images, under conditions that differ as on two machines."""

    def fill(folder: Path) -> None:
        one = make(folder / ONE)
        _write_everything(one)
        with _one_core(), Server({"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"}) as server:
            done = one.run("--max-threads", "1", server=server)
        assert done.status == 0, done.output

        other = make(folder / OTHER)
        _write_everything(other)
        _rewrite(other.folder / "collection")
        with Server({"LC_ALL": _foreign_locale(), "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "2"}) as server:
            done = other.run(server=server)
        assert done.status == 0, done.output

    folder = sharing.once(tmp_path_factory, "machines", fill)
    return Workplace(folder / ONE), Workplace(folder / OTHER)


ONE, OTHER = "one/place", "other/Bücher und Bilder/place"


@contextmanager
def _one_core() -> Iterator[None]:
    """Restrict this process and those that it starts to a single core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _rewrite(folder: Path) -> None:
    """Write the same files again with other times and in the opposite order, so that folders list them differently."""
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*"), reverse=True) if path.is_file()}
    for path in files:
        path.unlink()
    for number, (path, data) in enumerate(files.items()):
        path.write_bytes(data)
        os.utime(path, (1_000_000_000 + 7 * number, 1_000_000_000 + 7 * number))


def _foreign_locale() -> str:
    """Return Turkish if it is installed, else C; it has another capital of i, and a comma as decimal point."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    return next((name for name in listed if name.lower() in ("tr_tr.utf8", "tr_tr.utf-8")), "C")
