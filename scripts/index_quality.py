"""Measure the recall and the speed of an approximate index."""

import logging
from pathlib import Path
from typing import Any

from cbir.features import store
from cbir.files.tables import read_json, write_json
from cbir.retrieval import index, quality
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    method = job.wildcards.method
    gallery = store.read_large(job.input.gallery, method)
    measured = quality.measure(
        index.read(job.input.about, gallery),
        read_json(job.input.about),
        store.read(job.input.asking, method),
        job.params.k,
        job.params.recall,
        job.params.seed,
    )
    measured["bytes"] = Path(job.input.stored).stat().st_size
    write_json(job.output[0], measured)
    log.info(
        "%s: %s, recall@10 %.3f with %s %d, %.2f ms a query",
        *(method, measured["factory"], measured["recall_at_10"], measured["parameter"], measured["effort"]),
        measured["times"]["median_ms"],
    )


if __name__ == "__main__":
    run(work, snakemake)
