"""Obtain the ImageNet weights, once for all encoders."""

import logging
from typing import Any

from cbir.encoders import loading
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    # Here, so that what TensorFlow says as it loads goes to the log file.
    with loading.quickly():
        from cbir.encoders import weights

    log.info("ImageNet weights from %s", weights.fetch(job.output.weights))


if __name__ == "__main__":
    run(work, snakemake)
