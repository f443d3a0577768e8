"""Compare two methods: the difference in F1 of each category, and which differences are significant."""

import json
import logging
from typing import Any

from cbir.evaluation import comparison
from cbir.files.tables import write_csv, write_json
from cbir.report import plots
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    methods = (job.wildcards.a, job.wildcards.b)
    files = (job.input.summaries, job.input.categories, job.input.queries)
    evaluated = [comparison.read(*row) for row in zip(methods, *files, strict=True)]
    comparison.require_same_queries(evaluated)
    a, b = evaluated
    deltas = comparison.f1_deltas(a, b)
    found = comparison.compare(a, b, comparison.read_tests(job.input.tests), **json.loads(job.params.settings))
    write_csv(job.output.deltas, deltas)
    write_json(job.output.differences, found)
    plots.f1_deltas(deltas, a.method, b.method, job.output.picture)
    log.info("%s", found["words"])


if __name__ == "__main__":
    run(work, snakemake)
