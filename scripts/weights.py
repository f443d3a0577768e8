"""Fetch the published weights of an architecture, once for all encoders."""

import logging
from typing import Any

from cbir.encoders import loading
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    # Imported here, so that the messages of TensorFlow's import go to the log file.
    with loading.quickly():
        from cbir.encoders import weights

    architecture, source = job.params.architecture, job.wildcards.source
    log.info("%s weights of %s from %s", source, architecture, weights.fetch(architecture, source, job.output.weights))


if __name__ == "__main__":
    run(work, snakemake)
