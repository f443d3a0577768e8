"""Kill the real workflow at random moments, run it again, and compare its results with those of an uninterrupted run.

``python tests/faults.py FIRST LAST`` does so for the seeds FIRST to LAST - 1 and prints the kills and failures by rule.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from cbir.files.hashes import sha256_json
from workplace import Run, Workplace, contents, make, photograph

SABOTAGE = Path(__file__).parent / "workflow/sabotage"
_SMALL = {"architecture": "siamese", "weights": "random", "size": 32}
# A configuration that runs every rule except `fetch` and `weights`, with few and small jobs.
CONFIG = {
    "collection": {"source": "folder", "path": "collection"},
    "encoders": {
        "pretrained": None,
        "finetuned": None,
        "siamese": None,
        "plain": {**_SMALL, "batch": 4},
        "trained": {
            **_SMALL,
            "training": {"categories_per_batch": 2, "images_per_category": 2, "epochs": 2, "steps_per_epoch": 1},
        },
    },
    "methods": {
        "pretrained": None,
        "finetuned": None,
        "siamese": None,
        "combined": None,
        "plain": {"encoder": "plain"},
        "unit": {"transform": "l2", "of": "plain"},
    },
    "comparison": {"pairs": [["plain", "unit"]], "resamples": 99},
    "queries": {"choose": ["worst"], "images": ["outside.png"]},
    "feedback": {"method": "plain", "simulation": {"methods": ["plain"], "strategies": ["rocchio"], "rounds": 1}},
}
# An output of each rule, in the order of the workflow. The process of Snakemake itself comes first.
RULES = {
    "snakemake": "report.html",
    "configuration": "configuration.json",
    "collect": "collection/images.csv",
    "outside": f"splits/outside-{sha256_json('outside.png')[:8]}.csv",
    "near_duplicates": "collection/groups.csv",
    "split": "splits/train.csv",
    "encoder": "encoders/plain.keras",
    "train": "encoders/trained.keras",
    "plot_training": "encoders/trained/training.svg",
    "encode": "encoded/plain/tensorflow-float32/0.h5",
    "suspects": "collection/suspects.csv",
    "assemble": "features/plain/train.h5",
    "fit": "transforms/unit.h5",
    "derive": "features/unit/test.h5",
    "index": "index/plain.pkl",
    "evaluate": "evaluation/plain/summary.json",
    "plot_evaluation": "evaluation/plain/confusion.svg",
    "query": "queries/plain/worst.json",
    "refine": "feedback/red/rounds.json",
    "simulate": "feedback/simulated/plain/gain.csv",
    "plot_simulation": "feedback/simulated/plain/gain.svg",
    "compare_methods": "comparison/methods.csv",
    "compare_pair": "comparison/plain_vs_unit.csv",
    "report": "report.html",
}


def prepare(root: Path) -> Workplace:
    """Make a workplace with ``CONFIG`` and the files that it names."""
    place = make(root)
    photograph(1, 99).save(place.folder / "outside.png")
    (place.folder / "feedback/folder").mkdir(parents=True)
    refinement = {"query": "sea/0.png", "rounds": [{"relevant": [0]}]}
    (place.folder / "feedback/folder/red.json").write_text(json.dumps(refinement))
    place.configure(CONFIG)
    return place


def run_uninterrupted(place: Workplace) -> None:
    """Run to the end; write the file that `counts` reads, and the scripts of all jobs into the folder ``jobs``."""
    kept = place.root / "jobs"
    kept.mkdir()
    run = _watched(place, SABOTAGE_COUNTS=str(place.root / "counts"), SABOTAGE_KEEP=str(kept))
    assert run.status == 0, run.output


def counts(place: Workplace) -> dict[str, int]:
    """Return the number of moments in the shortest job of each rule, after `run_uninterrupted`."""
    found: dict[str, int] = {}
    for line in (place.root / "counts").read_text().splitlines():
        rule, count = line.split()
        found[rule] = min(int(count), found.get(rule, int(count)))
    return found


def kill(place: Workplace, rule: str, share: float, moments: dict[str, int], target: str | None = None) -> Run:
    """Run until all processes of the run are killed during a job of a rule.

    Args:
        place: where to run.
        rule: one of ``RULES``.
        share: from 0 to 1, at which share of the job's moments it is killed; Snakemake itself is killed early, so that
            the other rules have still to run.
        moments: see `counts`.
        target: the requested file below results/; that of ``RULES`` by default.
    """
    moment = int(share * (40 if rule == "snakemake" else moments[rule]))
    return _watched(place, f"results/{target or RULES[rule]}", SABOTAGE=f"{rule} {moment}")


def run_with_command(place: Workplace, rule: str, command: str) -> Run:
    """Run to the end; execute a shell command in the working folder when a job of the rule begins."""
    return _watched(place, SABOTAGE=f"{rule} 0", SABOTAGE_DO=f"{{ {command}; }} 2>> failed")


def kill_after(place: Workplace, seconds: float, *arguments: str) -> Run:
    """Run, and kill the whole run after this many seconds."""
    process = place.start(*arguments)
    timer = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    output, _ = process.communicate()
    timer.cancel()
    return Run(process.returncode, output)


def _watched(place: Workplace, *arguments: str, **environment: str) -> Run:
    return place.run(*arguments, PYTHONPATH=str(SABOTAGE), SABOTAGE_FOLDER=str(place.folder), **environment)


def compare(place: Workplace, expected: dict[str, str | bytes]) -> list[str]:
    """Return the names of files that differ, are missing or are unexpected."""
    found = contents(place.folder / "results")
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


def main(first: int, last: int) -> None:
    killed: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole = prepare(Path(folder) / "whole")
        run_uninterrupted(whole)
        moments = counts(whole)
        expected = contents(whole.folder / "results")
        for seed in range(first, last):
            place = prepare(Path(folder) / str(seed))
            chosen = random.Random(seed)
            # At a random time, during any job; early, so that every rule has still to run.
            for _ in range(3):
                run = kill_after(place, chosen.uniform(0, 6))
                killed["any"] += run.status == -signal.SIGKILL
                if run.status not in (0, -signal.SIGKILL):
                    failures["any"] += 1
                    print(f"seed {seed}: ended with {run.status}\n{run.output}", flush=True)
            for rule in RULES:
                run = kill(place, rule, chosen.random(), moments)
                killed[rule] += run.status == -signal.SIGKILL
                if run.status not in (0, -signal.SIGKILL):
                    failures[rule] += 1
                    print(f"seed {seed}: killed at {rule}, ended with {run.status}\n{run.output}", flush=True)
            run = place.run()
            again = place.run()
            different = compare(place, expected)
            if run.status or again.rules or different:
                failures["end"] += 1
                print(f"seed {seed}: {run.status}, {again.rules}, {different}\n{run.output}", flush=True)
            print(f"seed {seed}: {killed.total()} kills, {failures.total()} failures so far", flush=True)
    print("| rule | kills | failures |\n| --- | --- | --- |")
    for rule in (*RULES, "any", "end"):
        print(f"| `{rule}` | {killed[rule]} | {failures[rule]} |")
    sys.exit(failures.total() > 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
