"""Runs on SLURM, and SLURM's records of their jobs."""

import subprocess
from pathlib import Path

from workplace import Run, Workplace

# The changes of a site to profiles/slurm: here two cores, no accounts, no accounting, and long waiting times.
SITE = ["--max-threads", "2", "--slurm-no-account", "--slurm-status-command", "squeue"]
SITE += ["--slurm-init-seconds-before-status-checks", "1"]


def arguments(place: Workplace) -> list[str]:
    """Return the arguments that submit a run of the workplace to SLURM."""
    return ["--profile", str(place.checkout / "profiles/slurm"), *SITE]


def run(place: Workplace, *more: str, **environment: str) -> Run:
    return place.run(*arguments(place), *more, **environment)


def jobs(place: Workplace) -> list[dict[str, str]]:
    """Return SLURM's records of all jobs of the workplace, in their order."""
    shown = subprocess.run(["scontrol", "--oneliner", "show", "job"], capture_output=True, text=True, check=True).stdout
    found = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in shown.splitlines()]
    return [job for job in found if Path(job.get("WorkDir", "/")) == place.folder]


def cancel(*running: dict[str, str]) -> None:
    subprocess.run(["scancel", *(job["JobId"] for job in running)], check=True)


def rule(job: dict[str, str]) -> str:
    """Return the rule of a job or, for jobs that are submitted together, the group."""
    return job["Comment"].removeprefix("rule_").split("_wildcards_")[0]
