"""Evaluate a method: its figures and tables."""

import json
import logging
from typing import Any

from cbir.collection.categories import read_categories
from cbir.evaluation.evaluate import evaluate
from cbir.features import store
from cbir.files.tables import write_csv, write_json
from cbir.retrieval import index
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    settings = json.loads(job.params.settings)
    names = read_categories(job.input.categories)
    gallery = store.read(job.input.train, job.wildcards.method)
    found = evaluate(
        gallery,
        store.read(job.input.test, job.wildcards.method),
        names,
        index.read(job.input.about, gallery) if getattr(job.input, "about", None) else None,
        k=settings["k"],
        neighbours=settings["neighbours"],
        worst_images=settings["worst"]["images"],
        worst_retrieved=settings["worst"]["retrieved"],
        seed=settings["seed"],
        block_bytes=settings["block_mb"] * 10**6,
        val=store.read(job.input.val, job.wildcards.method),
    )
    write_json(job.output.summary, found.summary)
    write_json(job.output.worst, found.worst)
    write_csv(job.output.categories, found.categories)
    write_csv(job.output.queries, found.queries)
    write_csv(job.output.neighbours, found.neighbours)
    write_csv(job.output.confusion, found.confusion)
    log.info("%s: accuracy %.4f, ANMRR %.4f", job.wildcards.method, found.summary["accuracy"], found.summary["anmrr"])


if __name__ == "__main__":
    run(work, snakemake)
