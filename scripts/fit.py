"""Fit a derived method on the train features of its parts."""

import json
from typing import Any

from cbir.features import store, transforms
from cbir.files.hashes import sha256_json
from cbir.workflow.job import run


def work(job: Any) -> None:
    row = json.loads(job.params.row)
    parts = [store.read(path) for path in job.input.parts]
    fitted = transforms.fit(row, [part.features for part in parts])
    fitted_on = [part.about["features_sha256"] for part in parts]
    about = {
        "method": job.wildcards.method,
        "row": job.params.row,
        "parts": json.dumps([part.about["method"] for part in parts]),
        "fitted_on": json.dumps(fitted_on),
        "fingerprint": sha256_json([row, fitted_on]),
    }
    transforms.save(job.output[0], fitted, about)


if __name__ == "__main__":
    run(work, snakemake)
