"""Build the index of a method."""

import json
from typing import Any

from cbir.features import store
from cbir.retrieval import index
from cbir.workflow.job import run


def work(job: Any) -> None:
    gallery = store.read_large(job.input.features, job.wildcards.method)
    options = json.loads(job.params.options)
    index.build(gallery, job.output.about, job.params.kind, job.params.max_changed, job.params.code, **options)


if __name__ == "__main__":
    run(work, snakemake)
