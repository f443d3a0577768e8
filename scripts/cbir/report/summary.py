"""The messages before and after a run: networks to be trained, then the results or the jobs that failed."""

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
    """Return the message before a run that trains networks: which networks, and how long each took the last time.

    Args:
        benchmarks: Snakemake's benchmark file of each training, by encoder; it does not exist before the first one.
    """
    networks = []
    for name, path in sorted(benchmarks.items()):
        took = seconds(path)
        networks.append(name if took is None else f"{name} (last time {duration(took)})")
    again = any(path.is_file() for path in benchmarks.values())
    advice = " To keep a trained network when images are added, set encoders.NAME.freeze to true." if again else ""
    return f"This run trains {', '.join(networks)}.{advice}"


def outcome(results: str | Path, serve: str, figures: Callable[[Mapping[str, Any]], dict[str, str]]) -> str:
    """Return the message after a finished run: the images used, the metrics of each method, the path of the report.

    Args:
        results: the folder of the run's results.
        serve: the command that starts the search page.
        figures: a function from a method's summary to the metrics to show, as text by name, such as
            `cbir.evaluation.cut.as_text`.
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
    """Return the message after a failed run: a line for each failed job, with its error sentence.

    Args:
        jobs: the name of each failed job, and the path of its log file.
        since: when the run began, in seconds since 1970; a log file that was last written before is ignored.
    """
    lines = [f"  {name}: {_sentence(Path(log), since)}" for name, log in sorted(jobs)]
    head = f"{len(lines)} {'job' if len(lines) == 1 else 'jobs'} failed:" if lines else "The run was interrupted."
    last = "Finished results are kept: repeat the command to continue from there."
    return "\n".join(map(printable, ["", head, *lines, last]))


def _sentence(log: Path, since: float) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace") if log.stat().st_mtime >= since else ""
    except OSError:
        text = ""
    found = [match[1] for line in text.splitlines() if (match := _ERROR.match(line))]
    return (
        found[-1]
        if found
        else f"it ended without an error message; it may have been killed or out of memory; see {log}."
    )
