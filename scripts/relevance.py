"""Convert a user's list of relevant images into one table."""

import json
from typing import Any

from cbir.collection.protocols import REGISTRY as PROTOCOLS
from cbir.files.tables import write_csv
from cbir.workflow.job import run


def work(job: Any) -> None:
    settings = json.loads(job.params.split)
    write_csv(job.output[0], PROTOCOLS.get_entry(settings["protocol"]).relevance(settings))


if __name__ == "__main__":
    run(work, snakemake)
