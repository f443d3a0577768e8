"""Read Snakemake's benchmark files."""

import csv
from contextlib import suppress
from pathlib import Path


def seconds(path: Path) -> float | None:
    """Return the duration of a job; None if there is no such file, or the job was too short to be measured."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            # Snakemake writes NA or a dash for a job that was too short.
            with suppress(ValueError):
                return float(row.get("s") or "")
    return None
