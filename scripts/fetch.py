"""Obtain a source's images as a folder with one sub-folder a category, and their credits as CSV."""

from pathlib import Path
from typing import Any

from cbir.collection.sources import digits, kaggle, sample
from cbir.files.tables import write_csv
from cbir.workflow.job import run


def work(job: Any) -> None:
    folder = Path(job.output.images)
    if job.wildcards.source == "sample":
        credits = sample.fetch(folder)
    elif job.wildcards.source == "digits":
        credits = digits.write(folder)
    else:
        credits = kaggle.fetch(folder, job.params.dataset)
    write_csv(job.output.credits, credits)


run(work, snakemake)
