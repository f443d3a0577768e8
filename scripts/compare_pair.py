"""Compare two methods: the F1 delta of each category, and which differences are real."""

import json
import logging
from typing import Any

from cbir.evaluation import comparison
from cbir.files.tables import write_csv, write_json
from cbir.report import plots
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    names = (job.wildcards.a, job.wildcards.b)
    files = (job.input.summaries, job.input.categories, job.input.queries)
    a, b = (comparison.read(*row) for row in zip(names, *files, strict=True))
    comparison.require_same_queries([a, b])
    deltas = comparison.f1_deltas(a, b)
    found = comparison.compare(a, b, **json.loads(job.params.settings))
    write_csv(job.output.deltas, deltas)
    write_json(job.output.differences, found)
    plots.f1_deltas(deltas, a.method, b.method, job.output.picture)
    log.info("%s", found["words"])


if __name__ == "__main__":
    run(work, snakemake)
