"""Duration and memory of each job that Snakemake measures (its benchmark files)."""

import csv
from typing import Any

from cbir.report.results import Results
from cbir.results import BENCHMARK

TITLE = "Timings"
ORDER = 110
FOLDED = True
INPUTS = ()


def gather(results: Results) -> dict[str, Any] | None:
    """Return duration and memory of each job's last run, longest first; None if there are no benchmark files."""
    jobs: list[dict[str, Any]] = []
    for path, names in results.find(BENCHMARK):
        stage, _, item = names["job"].partition("/")
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                # Snakemake samples memory at intervals; it is 0 for a job that ended before the first sample.
                seconds, memory = _number(row.get("s")), _number(row.get("max_rss")) or None
                jobs.append({"stage": stage, "item": item, "seconds": seconds, "memory": memory})
    if not jobs:
        return None
    jobs.sort(key=lambda job: (-(job["seconds"] or 0), job["stage"], job["item"]))
    return {"jobs": jobs, "total": sum(job["seconds"] or 0 for job in jobs)}


def _number(text: str | None) -> float | None:
    """Return a number, or None: Snakemake writes NA or a dash for a job that was too short to be measured."""
    try:
        return float(text or "")
    except ValueError:
        return None
