"""The same images give the same results on any machine: folder, order of files, locale, time zone, hash seed, cores.

The two runs of the fixture `machines` differ in all of them. Everything below results/ is compared bit for bit but what
tells times: logs, benchmarks, the report's table of them, and the memory of when a file was changed. A training sums
its gradients in another order on another number of threads: what comes of it is compared to `TOLERANCE`, and its
figures bit for bit all the same.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cbir.features import store
from workplace import Workplace, contents

Machines = tuple[Workplace, Workplace]

# For features of length 1 after two training steps. The precision of float32 is 6e-8.
TOLERANCE = 1e-5
TRAINED = ("trained", "combined")
# Files of metrics, which do not depend on the last bits of distances.
FIGURES = ("evaluation/", "comparison/", "encoders/trained/history.csv")
# These files contain features, hashes of them, or distances.
NO_FIGURES = ("summary.json", "neighbours.csv", "calibration.json", "memory.h5", "memory.gallery.h5")


@pytest.fixture(scope="module")
def made(machines: Machines) -> tuple[dict[str, object], dict[str, object]]:
    """Return the results of both runs, without hidden files."""
    one, other = (
        {
            name: value
            for name, value in contents(place.folder / "results").items()
            if not Path(name).name.startswith(".")
        }
        for place in machines
    )
    return one, other


def is_of_training(name: str) -> bool:
    return name == "report.html" or any(part in TRAINED or Path(part).stem in TRAINED for part in Path(name).parts)


def test_both_runs_make_the_same_files(made: tuple[dict[str, object], dict[str, object]]) -> None:
    one, other = made
    assert one.keys() == other.keys()
    endings = {Path(name).suffix for name in one}
    assert endings == {".csv", ".json", ".svg", ".png", ".h5", ".keras", ".pkl", ".html", ".npz", ".code"}


def test_every_file_is_the_same(made: tuple[dict[str, object], dict[str, object]]) -> None:
    one, other = made
    figures = [name for name in one if name.startswith(FIGURES) and not name.endswith(NO_FIGURES)]
    compared = [name for name in one if not is_of_training(name)] + figures
    assert len(compared) > 70
    assert [name for name in compared if one[name] != other[name]] == []


def test_results_of_a_training_are_equal_within_the_tolerance(machines: Machines) -> None:
    for method in TRAINED:
        for split in ("train", "test"):
            one, other = (store.read(place.folder / f"results/features/{method}/{split}.h5") for place in machines)
            assert list(one.image_id) == list(other.image_id)
            np.testing.assert_allclose(one.features, other.features, rtol=0, atol=TOLERANCE)
        folders = [place.folder / f"results/evaluation/{method}" for place in machines]
        one, other = (json.loads((folder / "summary.json").read_text()) for folder in folders)
        assert {**one, "features_sha256": None} == {**other, "features_sha256": None}
        one, other = (pd.read_csv(folder / "neighbours.csv") for folder in folders)
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=TOLERANCE)


def test_files_of_untrained_networks_are_equal(machines: Machines) -> None:
    one, other = ((place.folder / "results/encoders/siamese.keras").read_bytes() for place in machines)
    assert one == other


def test_no_artifact_contains_the_path_of_its_folder(machines: Machines) -> None:
    for place in machines:
        for path in (place.folder / "results").rglob("*"):
            if path.is_file() and path.parts[len(place.folder.parts) + 1] != "logs":
                assert str(place.root).encode() not in path.read_bytes(), path


def test_the_figures_are_not_round_numbers(machines: Machines) -> None:
    results = machines[0].folder / "results"
    figures = pd.read_csv(results / "comparison/methods.csv")
    assert ((figures["map"] > 0.1) & (figures["map"] < 1)).all()
    history = pd.read_csv(results / "encoders/trained/history.csv")
    assert history["loss"].iloc[-1] > 0
