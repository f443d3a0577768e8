"""Draw the history of a training."""

from typing import Any

from cbir.report.training_curve import plot_history
from cbir.workflow.job import run


def work(job: Any) -> None:
    plot_history(job.input.history, job.output.picture)


run(work, snakemake)
