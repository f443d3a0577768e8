"""Fit a derived method on the gallery features of its parts."""

import json
from typing import Any

from cbir.features import store, transforms
from cbir.workflow.job import run


def work(job: Any) -> None:
    row = json.loads(job.params.row)
    parts = [store.read_large(path) for path in job.input.parts]
    fitted = transforms.fit(row, [part.features for part in parts])
    transforms.save(job.output[0], fitted, transforms.about(job.wildcards.method, row, [part.about for part in parts]))


if __name__ == "__main__":
    run(work, snakemake)
