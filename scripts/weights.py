"""Obtain the ImageNet weights, once for all encoders."""

import logging
from typing import Any

from cbir import weights
from cbir.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    log.info("ImageNet weights from %s", weights.fetch(job.output.weights))


run(work, snakemake)
