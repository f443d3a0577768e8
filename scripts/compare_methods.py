"""Compare all methods: their metrics with intervals, tests of all pairs, and the F1 of each category."""

import json
import logging
from typing import Any

from cbir.evaluation import comparison
from cbir.files.tables import write_csv
from cbir.report import plots
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    files = (job.input.summaries, job.input.categories, job.input.queries)
    evaluated = [comparison.read(*row) for row in zip(json.loads(job.params.methods), *files, strict=True)]
    comparison.require_same_queries(evaluated)
    settings = json.loads(job.params.settings)
    methods = comparison.methods(evaluated, **settings)
    # All outputs list the methods in the same order, the best ranking first.
    places = {method: place for place, method in enumerate(methods["method"])}
    evaluated.sort(key=lambda item: places[item.method])
    categories = comparison.categories(evaluated)
    write_csv(job.output.tests, comparison.pair_tests(evaluated, **settings))
    write_csv(job.output.methods, methods)
    write_csv(job.output.categories, categories)
    write_csv(job.output.best_worst, comparison.best_worst(evaluated))
    cut = evaluated[0].summary.get("cut", [])
    plots.method_figures(methods, settings["confidence"], job.output.methods_picture, cut)
    plots.method_categories(categories, job.output.categories_picture)
    log.info(
        "on these queries, lowest ANMRR: %s, highest accuracy: %s",
        methods["method"].iloc[0],
        methods["method"][methods["accuracy"].idxmax()],
    )


if __name__ == "__main__":
    run(work, snakemake)
