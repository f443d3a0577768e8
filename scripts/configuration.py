"""Write the checked configuration of the run."""

import json
from typing import Any

from cbir.files.tables import write_json
from cbir.workflow.job import run


def work(job: Any) -> None:
    write_json(job.output[0], json.loads(job.params.config))


if __name__ == "__main__":
    run(work, snakemake)
