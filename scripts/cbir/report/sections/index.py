"""The recall and the speed of approximate indexes."""

from typing import Any

from cbir.report.benchmarks import seconds
from cbir.report.results import Results
from cbir.results import BENCHMARK, INDEX_QUALITY

TITLE = "Indexes"
ORDER = 100
INPUTS = (INDEX_QUALITY,)


def gather(results: Results) -> dict[str, Any] | None:
    """Return a row for each method with an approximate index; None if there is none."""
    rows = []
    for name in results.names["approximate"]:
        measured = results.json(INDEX_QUALITY, approximate=name)
        keys = ("factory", "rows", "dimension", "queries", "k", "parameter", "effort", "least_recall", "met", "bytes")
        recalls = {key: measured[key] for key in measured if key.startswith("recall_at_")}
        changed = {key: measured.get(key, 0) for key in ("added_rows", "removed_rows")}
        row = {"method": name, **{key: measured[key] for key in keys}, **changed, **recalls, **measured["times"]}
        rows.append(row | {"build_seconds": seconds(results.path(BENCHMARK.replace("{job*}", f"index/{name}")))})
    ranks = next((method.summary["ranked"] for method in results.methods if "ranked" in method.summary), None)
    return {"rows": rows, "ranks": ranks} if rows else None
