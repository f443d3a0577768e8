"""Killed jobs, a killed submitting process, a full disk: the next run continues and gives bit-identical results."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

import workplace
from cluster.jobs import arguments, cancel, jobs, rule, run
from forked import Started
from workplace import Workplace

PER_CATEGORY, SHARDS, BATCH = 16, 2, 8
NETWORK = {"architecture": "siamese", "weights": "random", "size": 32}
# `plain` has random weights, `trained` is trained; both are the same small network.
CONFIG = {
    "collection": {"source": "folder", "path": "collection", "shards": SHARDS},
    "encoders": {
        "pretrained": None,
        "finetuned": None,
        "siamese": None,
        "plain": {**NETWORK, "batch": BATCH, "training": None},
        "trained": {
            **NETWORK,
            "training": {"epochs": 2, "patience": 2, "steps_per_epoch": 1, "categories_per_batch": 3},
        },
    },
    "methods": {
        "pretrained": None,
        "finetuned": None,
        "combined": None,
        "siamese": None,
        "plain": {"encoder": "plain"},
    },
    "comparison": {"pairs": []},
    "feedback": {"method": "plain"},
}
FEATURES = "results/features/plain/train.h5"
TARGETS = [FEATURES, "results/encoders/trained.keras"]
PATIENCE = 240
# Pauses a job, as long as the file `hold` exists, after it has written a number of files of a pattern; each line
# of the file is `pattern count`. So a job can be killed at a certain place on a machine of any speed.
HOLD = """

_atomic, _written = atomic, []


@contextmanager
def atomic(path, size=0):
    import time

    with _atomic(path, size) as temporary:
        yield temporary
    _written.append(Path(path))
    hold = Path("hold")
    for line in hold.read_text().splitlines() if hold.exists() else []:
        pattern, count = line.split()
        while Path(path).match(pattern) and sum(one.match(pattern) for one in _written) == int(count) and hold.exists():
            time.sleep(0.05)
"""
PARTS, CHECKPOINT = "*.parts/*.h5 1", "checkpoint.npz 2"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Return a workplace with an uninterrupted run, whose jobs save unfinished work often and can be paused."""
    place = Workplace(tmp_path_factory.mktemp("undisturbed") / "place")
    workplace.check_out(place.checkout)
    encoding, files = (place.checkout / f"scripts/cbir/{name}.py" for name in ("features/shards", "files/atomic"))
    encoding.write_text(encoding.read_text().replace("_SAVE_ROWS = 1024", f"_SAVE_ROWS = {BATCH}"))
    files.write_text(files.read_text() + HOLD)
    for label, category in enumerate(("apple", "leaf", "sea")):
        (place.folder / "collection" / category).mkdir(parents=True)
        for number in range(PER_CATEGORY):
            workplace.photograph(label, number).save(place.folder / "collection" / category / f"{number}.png")
    place.configure(CONFIG)
    done = place.run(*TARGETS)
    assert done.status == 0, done.output
    return place


@pytest.fixture
def place(undisturbed: Workplace, tmp_path: Path) -> Workplace:
    """Return a copy of the workplace without the results that take long."""
    place = undisturbed.copy(tmp_path / "place")
    for made in ("encoded", "features"):
        shutil.rmtree(place.folder / "results" / made)
    return place


@pytest.fixture
def start(slurm: None, place: Workplace) -> Iterator[Callable[..., Started]]:
    """Return a function that starts background runs on SLURM in their own process groups; they end with the test.

    Jobs are new interpreters, not forks, so that SLURM can cancel them and limit their memory.
    """
    started = []

    def start(*targets: str) -> Started:
        with (place.root / "output.txt").open("w") as output:
            started.append(place.start(*arguments(place), *targets, output=output))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    left = [job for job in jobs(place) if job["JobState"] in ("RUNNING", "PENDING")]
    if left:
        cancel(*left)


def until(condition: Callable[[], object], process: Started) -> None:
    """Wait for a condition while a run is active."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "the run ended before it came so far"
        assert time.monotonic() < end
        time.sleep(0.05)


def parts(place: Workplace) -> list[Path]:
    return [path for path in (place.folder / "results/encoded/plain").glob("*/*.parts/*.h5") if path.stem.isdecimal()]


def epochs(place: Workplace) -> int:
    try:
        return len(pd.read_csv(place.folder / "results/encoders/trained/history.csv")) - 1
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return 0


def running(place: Workplace, name: str) -> dict[str, str]:
    (job,) = [job for job in jobs(place) if rule(job) == name and job["JobState"] == "RUNNING"]
    return job


def same_results(place: Workplace, undisturbed: Workplace) -> None:
    with h5py.File(place.folder / FEATURES) as ours, h5py.File(undisturbed.folder / FEATURES) as theirs:
        np.testing.assert_array_equal(ours["features"][:], theirs["features"][:])
        np.testing.assert_array_equal(ours["sha256"][:], theirs["sha256"][:])
    for name in ("trained.json", "trained/history.csv"):
        path = Path("results/encoders") / name
        assert (place.folder / path).read_bytes() == (undisturbed.folder / path).read_bytes()
    assert not list((place.folder / "results").rglob("*.parts"))


def encoded(place: Workplace) -> list[tuple[int, int]]:
    """Return how many images the last job of each shard encoded and how many it reused."""
    logs = [path.read_text() for path in sorted((place.folder / "results/logs/encode/plain").glob("*/*.log"))]
    assert len(logs) == SHARDS
    found = [re.search(r"(\d+) to encode, (\d+) known", log) for log in logs]
    return [(int(match[1]), int(match[2])) for match in found if match]


def test_cancelled_jobs_and_a_job_that_exceeds_its_memory(
    start: Callable[..., Started], place: Workplace, undisturbed: Workplace
) -> None:
    shutil.rmtree(place.folder / "results/encoders")
    profile = place.checkout / "profiles/slurm/config.yaml"
    settings = yaml.safe_load(profile.read_text())
    # The memory is too small for a network in the first attempt, and enough in the second.
    settings["set-resources"]["encoder"] = {"mem_mb": "100 * attempt ** 5"}
    profile.write_text(yaml.safe_dump(settings))
    (place.folder / "hold").write_text(f"{PARTS}\n{CHECKPOINT}\n")
    process = start(*TARGETS)
    until(lambda: epochs(place) == 1, process)
    cancel(running(place, "train"))
    until(lambda: parts(place), process)
    cancel(running(place, "encode_plain_encode"))
    (place.folder / "hold").unlink()
    assert process.wait(PATIENCE) == 0, (place.root / "output.txt").read_text()

    same_results(place, undisturbed)
    states = [(rule(job), job["JobState"]) for job in jobs(place)]
    for name in ("train", "encode_plain_encode"):
        assert [state for found, state in states if found == name] == ["CANCELLED", "COMPLETED"]
    small, enough = (job for job in jobs(place) if rule(job) == "encoder")
    assert (small["MinMemoryNode"], enough["MinMemoryNode"]) == ("100M", "3200M")
    assert (small["JobState"], enough["JobState"]) == ("FAILED", "COMPLETED")

    # Finished jobs did not run again.
    assert sum(known for _, known in encoded(place)) >= BATCH
    assert "training goes on after epoch" in (place.folder / "results/logs/train/trained.log").read_text()
    # The message names the job, its node, its log and SLURM's log.
    output = (place.root / "output.txt").read_text()
    assert re.search(r"Error in rule train:.*?log: results/logs/train/trained.log", output, re.DOTALL)
    assert re.search(r"results/encoded/plain/[\w.-]+/\d\.h5: images 1 to 8 of \d+, from collection/", output)
    log = re.search(r"slurm_logs/rule_encoder/plain/\d+\.log", output)
    assert log and "memory limit" in (place.folder / ".snakemake" / log[0]).read_text()


def test_jobs_continue_after_their_submitting_process_is_killed(
    start: Callable[..., Started], place: Workplace, undisturbed: Workplace
) -> None:
    (place.folder / "hold").write_text(PARTS)
    process = start(FEATURES)
    until(lambda: parts(place), process)
    held = int(parts(place)[0].parent.stem)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Snakemake locks the folder of a run that did not end, and says how to unlock it.
    locked = run(place, FEATURES)
    assert locked.status != 0 and "--unlock" in locked.output
    assert run(place, "--unlock").status == 0
    again = start(FEATURES)
    until(lambda: sum(rule(job) == "encode_plain_encode" for job in jobs(place)) == 2, again)
    (place.folder / "hold").unlink()
    assert again.wait(PATIENCE) == 0, (place.root / "output.txt").read_text()
    same_results(place, undisturbed)
    first, second = (job for job in jobs(place) if rule(job) == "encode_plain_encode")
    assert (first["JobState"], second["JobState"]) == ("COMPLETED", "COMPLETED")
    # The second job waited for the first, or came after it, and found the shard finished.
    assert encoded(place)[held][0] == 0


@pytest.fixture
def small_disk(place: Workplace) -> Iterator[Path]:
    """Put the results on a file system of 64 MB."""
    results = place.folder / "results"
    kept = results.rename(place.folder / "kept")
    results.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(results)], check=False).returncode
    if mounted != 0:
        pytest.fail("tmpfs cannot be mounted") if os.environ.get("CI") else pytest.skip("only root can mount a tmpfs")
    try:
        shutil.copytree(kept, results, dirs_exist_ok=True)
        yield results
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)


def test_a_full_disk(small_disk: Path, place: Workplace, undisturbed: Workplace) -> None:
    filler = small_disk / "filler"
    free = shutil.disk_usage(small_disk).free
    # The remaining space is enough for a log and a part of a shard.
    filler.write_bytes(bytes(free - 60 * 1024))
    full = place.run(FEATURES)
    assert full.status != 0
    assert "Traceback" not in full.output, full.output
    errors = [line for line in full.output.splitlines() if "cannot be written (No space left on device" in line]
    assert errors and "free space on the disk or in the quota of" in errors[0]
    assert "Error in rule encode" in full.output and "log: results/logs/encode/plain/" in full.output
    filler.unlink()
    done = place.run(FEATURES)
    assert done.status == 0, done.output
    same_results(place, undisturbed)
    assert sum(known for _, known in encoded(place)) >= BATCH
