"""Build the index of a method."""

from typing import Any

from cbir.features import store
from cbir.retrieval import index
from cbir.workflow.job import run


def work(job: Any) -> None:
    index.build(store.read(job.input.features, job.wildcards.method), job.output.tree, job.params.leafsize)


if __name__ == "__main__":
    run(work, snakemake)
