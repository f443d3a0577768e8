"""What approximate indexes miss, and how long they take."""

import csv
from typing import Any

from cbir.report.results import Results
from cbir.results import BENCHMARK, INDEX_QUALITY

TITLE = "Indexes"
ORDER = 100
INPUTS = (INDEX_QUALITY,)


def gather(results: Results) -> dict[str, Any] | None:
    """The measured indexes, a row a method; None where no index is approximate."""
    rows = []
    for name in results.names["approximate"]:
        measured = results.json(INDEX_QUALITY, approximate=name)
        keys = ("factory", "rows", "dimension", "queries", "k", "parameter", "effort", "least_recall", "met", "bytes")
        recalls = {key: measured[key] for key in measured if key.startswith("recall_at_")}
        row = {"method": name, **{key: measured[key] for key in keys}, **recalls, **measured["times"]}
        rows.append(row | {"build_seconds": _built_in(results, name)})
    return {"rows": rows} if rows else None


def _built_in(results: Results, method: str) -> float | None:
    """Return the seconds of the job that built an index, None where they were not measured."""
    path = results.path(BENCHMARK.replace("{job*}", f"index/{method}"))
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            try:
                return float(row.get("s") or "")
            except ValueError:
                return None
    return None
