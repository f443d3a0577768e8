"""The summary at the end of a run: its results, or the jobs that failed."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cbir.collection.categories import singles
from cbir.files.printable import printable
from cbir.report.benchmarks import seconds
from cbir.report.filters import duration
from cbir.results import CONFIGURATION, REJECTED, REPORT, SUMMARY, SUSPECTS, Results

_ERROR = re.compile(r"\d\d:\d\d:\d\d ERROR (.*)")


def trainings(benchmarks: Mapping[str, Path]) -> str:
    """Return the sentence before a run that trains networks: which, and how long each took the last time.

    Args:
        benchmarks: Snakemake's file of times of each training, by encoder; those of a first training are not there.
    """
    told = []
    for name, path in sorted(benchmarks.items()):
        took = seconds(path)
        told.append(name if took is None else f"{name} (last time {duration(took)})")
    again = any(path.is_file() for path in benchmarks.values())
    advice = " To keep a trained network when images are added, set encoders.NAME.freeze to true." if again else ""
    return f"This run trains {', '.join(told)}.{advice}"


def outcome(results: str | Path, serve: str, figures: Callable[[Mapping[str, Any]], dict[str, str]]) -> str:
    """Return the images used, the figures of each method and where the report is, as lines for a terminal.

    Args:
        results: the folder of a finished run's results.
        serve: the command that serves it.
        figures: returns the figures to show of a method's summary, as text by name, as
            `cbir.evaluation.cut.as_text` does.
    """
    held = Results(results)
    rejected = len(held.table(REJECTED, ["path"]))
    methods = held.json(CONFIGURATION)["methods"]
    if not held.labelled:
        lines = [
            "",
            f"Images used: {len(held.images):,}, without categories; files rejected: {rejected:,} (rejected.csv)",
            f"Methods: {', '.join(sorted(methods))}; nothing is evaluated without categories",
        ]
        return "\n".join(map(printable, lines + _places(held, serve)))
    doubtful = len(held.table(SUSPECTS, ["image_id"]))
    shown = {method: figures(held.json(SUMMARY, method=method)) for method in methods}
    rows = [["method", *next(iter(shown.values()))], *([method, *row.values()] for method, row in shown.items())]
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [
        "",
        f"Images used: {len(held.images):,}, in {len(singles(held.images['category'])):,} categories; "
        f"files rejected: {rejected:,} (rejected.csv); labels in doubt: {doubtful:,} (suspects.csv)",
        *(
            "  ".join([f"  {name:{first}}", *(f"{cell:>{width}}" for cell, width in zip(row, others, strict=True))])
            for name, *row in rows
        ),
        *_places(held, serve),
    ]
    return "\n".join(map(printable, lines))


def _places(held: Results, serve: str) -> list[str]:
    return [f"Report: {held.path(REPORT).resolve()}", f"Search: {serve}"]


def failures(jobs: Iterable[tuple[str, str]], since: float) -> str:
    """Return a line for each failed job, with the sentence that it ended with.

    Args:
        jobs: what each job is called, and the path of its log file.
        since: when the run began, in seconds since 1970; lines that a log file has from an earlier run are ignored.
    """
    said = [f"  {name}: {_sentence(Path(log), since)}" for name, log in sorted(jobs)]
    head = f"{len(said)} {'job' if len(said) == 1 else 'jobs'} failed:" if said else "The run was interrupted."
    last = "What was finished is kept: the same command goes on from there."
    return "\n".join(map(printable, ["", head, *said, last]))


def _sentence(log: Path, since: float) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace") if log.stat().st_mtime >= since else ""
    except OSError:
        text = ""
    found = [match[1] for line in text.splitlines() if (match := _ERROR.match(line))]
    return found[-1] if found else f"it ended without a word, as when it is killed or out of memory; see {log}."
