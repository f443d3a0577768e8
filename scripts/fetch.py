"""Fetch the images of a source into a folder with a sub-folder for each category, and their credits as CSV."""

import json
from pathlib import Path
from typing import Any

from cbir.collection.sources import REGISTRY as SOURCES
from cbir.files.tables import write_csv
from cbir.workflow.job import run


def work(job: Any) -> None:
    source = SOURCES.get_entry(job.wildcards.source)
    write_csv(job.output.credits, source.fetch(Path(job.output.images), json.loads(job.params.settings)))


if __name__ == "__main__":
    run(work, snakemake)
