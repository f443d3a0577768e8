"""The whole sample workflow through profiles/slurm, and what SLURM was asked for."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

import workplace
from cluster.jobs import jobs, rule, run
from workplace import Workplace

# Every rule of the sample run, with as little training as can be. Whatever `siamese` submits, `finetuned` does too.
SHORT = {
    "collection": {"shards": 2},
    "encoders": {
        "siamese": None,
        "finetuned": {"training": {"epochs": 1, "steps_per_epoch": 2}},
    },
    "methods": {"expanded": None, "finetuned-expanded": None},
    "comparison": {"resamples": 99},
    "queries": {"choose": ["best", "worst"]},
    "feedback": {"simulation": {"methods": ["combined"], "strategies": ["rocchio"], "rounds": 1}},
}
METHODS = ["combined", "finetuned", "pretrained"]


def empty(root: Path) -> Workplace:
    place = Workplace(root)
    workplace.check_out(place.checkout)
    place.folder.mkdir()
    shutil.copytree(workplace.REPOSITORY / "feedback", place.folder / "feedback")
    place.configure(SHORT)
    return place


@pytest.mark.network
def test_the_sample_on_slurm_and_here(slurm: None, tmp_path: Path) -> None:
    there, here = empty(tmp_path / "there"), empty(tmp_path / "here")
    done = run(there)
    assert done.status == 0, done.output
    assert (there.folder / "results/report.html").is_file()

    ran = jobs(there)
    assert {job["JobState"] for job in ran} == {"COMPLETED"}
    networks = [job for job in ran if rule(job).startswith(("encode_", "train"))]
    # Each encoder's shards travel together, and so do the shards, splits and queries of a method.
    assert sorted(rule(job) for job in networks) == [*("encode_finetuned_encode", "encode_pretrained_encode", "train")]
    assert sum(rule(job).startswith("query_") for job in ran) == len(METHODS)
    for job in ran:
        asks = "gres:gpu:1" in job.get("TresPerJob", "")
        assert (job["Partition"], asks) == (("gpu", True) if job in networks else ("cpu", False)), job
        # The profile's word on cores is kept by groups too.
        assert int(job["NumCPUs"]) <= 2

    (here.folder / "results").mkdir()
    shutil.copytree(there.folder / "results/sources", here.folder / "results/sources")
    done = here.run(*(f"results/evaluation/{method}/summary.json" for method in METHODS))
    assert done.status == 0, done.output
    for method in METHODS:
        same_stores(*(place.folder / f"results/features/{method}/test.h5" for place in (here, there)))
        for path in (here.folder / "results/evaluation" / method).glob("*.[cj]s*"):
            assert path.read_bytes() == (there.folder / path.relative_to(here.folder)).read_bytes(), path


def same_stores(here: Path, there: Path) -> None:
    with h5py.File(here) as a, h5py.File(there) as b:
        for name in ("features", "image_id", "label", "sha256"):
            np.testing.assert_array_equal(a[name][:], b[name][:])
        assert a.attrs["features_sha256"] == b.attrs["features_sha256"]


def test_the_profile_names_rules_that_there_are() -> None:
    profile = yaml.safe_load((workplace.REPOSITORY / "profiles/slurm/config.yaml").read_text())
    text = "\n".join(path.read_text() for path in (workplace.REPOSITORY / "rules").glob("*.smk"))
    for name in [*profile["set-resources"], *profile["set-threads"], *profile["groups"]]:
        assert f"\nrule {name}:" in text or f"\ncheckpoint {name}:" in text
    assert set(profile["group-components"]) <= set(profile["groups"].values())
