"""Draw the training curve of an encoder."""

from typing import Any

from cbir.report.training_curve import plot_history
from cbir.workflow.job import run


def work(job: Any) -> None:
    plot_history(job.input.history, job.output.picture, f"Training of {job.wildcards.encoder}")


if __name__ == "__main__":
    run(work, snakemake)
