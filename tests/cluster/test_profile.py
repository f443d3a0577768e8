"""A whole run with profiles/slurm, and the resources that it requested."""

import json
from pathlib import Path

import h5py
import numpy as np
import yaml

import workplace
from cluster.jobs import jobs, rule, run
from workplace import Workplace

SMALL = {"architecture": "siamese", "weights": "random", "size": 32}
# Every rule that is submitted by default, and each kind of method once. Requested resources do not depend on the
# photographs and on the weights, so neither is downloaded.
CONFIG = {
    "collection": {"source": "digits", "exclude": ["0[1-9]*.png", "1*.png"], "shards": 2},
    "encoders": {
        "pretrained": None,
        "finetuned": None,
        "siamese": None,
        "plain": SMALL,
        "trained": SMALL
        | {"training": {"categories_per_batch": 2, "images_per_category": 2, "epochs": 1, "steps_per_epoch": 2}},
    },
    "methods": {
        **dict.fromkeys(("pretrained", "expanded", "finetuned", "finetuned-expanded", "siamese")),
        "plain": {"encoder": "plain"},
        "trained": {"encoder": "trained"},
        "combined": {"combine": ["plain", "trained"]},
    },
    "comparison": {"pairs": [["plain", "trained"], ["plain", "combined"]], "resamples": 99},
    "queries": {"choose": ["best", "worst"]},
    "feedback": {
        "method": "plain",
        "simulation": {"methods": ["combined"], "strategies": ["rocchio"], "rounds": 1},
    },
}
METHODS = ["combined", "plain", "trained"]


def empty(root: Path) -> Workplace:
    place = Workplace(root)
    workplace.check_out(place.checkout)
    refinements = place.folder / "feedback/digits"
    refinements.mkdir(parents=True)
    for digit in ("0/0000",):
        content = {"query": f"{digit}.png", "rounds": [{"relevant": [0], "irrelevant": [1]}]}
        (refinements / f"{digit[0]}.json").write_text(json.dumps(content))
    place.configure(CONFIG)
    return place


def test_a_run_on_slurm_equals_a_local_run(slurm: None, tmp_path: Path) -> None:
    there, here = empty(tmp_path / "there"), empty(tmp_path / "here")
    # A new interpreter for each of the 30 jobs would take 8 seconds of CPU time; `test_failures` uses new ones.
    done = run(there, **workplace.interpreter(tmp_path / "python"))
    assert done.status == 0, done.output
    assert (there.folder / "results/report.html").is_file()

    ran = jobs(there)
    assert {job["JobState"] for job in ran} == {"COMPLETED"}
    networks = [job for job in ran if rule(job).startswith(("encode_", "train"))]
    # All shards of an encoder are submitted together, and so are the splits and queries of a method.
    assert sorted(rule(job) for job in networks) == [*("encode_plain_encode", "encode_trained_encode", "train")]
    assert sum(rule(job).startswith("query_") for job in ran) == len(METHODS)
    for job in ran:
        asks = "gres:gpu:1" in job.get("TresPerJob", "")
        assert (job["Partition"], asks) == (("gpu", True) if job in networks else ("cpu", False)), job
        # The cores in the profile apply to groups, too.
        assert int(job["NumCPUs"]) <= 2

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


def test_the_profile_names_only_existing_rules() -> None:
    profile = yaml.safe_load((workplace.REPOSITORY / "profiles/slurm/config.yaml").read_text())
    text = "\n".join(path.read_text() for path in (workplace.REPOSITORY / "rules").glob("*.smk"))
    for name in [*profile["set-resources"], *profile["set-threads"], *profile["groups"]]:
        assert f"\nrule {name}:" in text or f"\ncheckpoint {name}:" in text
    assert set(profile["group-components"]) <= set(profile["groups"].values())
