"""Write the feature store of a derived method for one split from the stores of its parts."""

import json
from itertools import chain
from typing import Any

import pandas as pd

from cbir.features import store, transforms
from cbir.files.errors import InputError
from cbir.workflow.job import run


def work(job: Any) -> None:
    fitted, about = transforms.read(job.input.transform)
    parts = [
        store.read_large(path, method) for path, method in zip(job.input.parts, json.loads(about["parts"]), strict=True)
    ]
    first = parts[0]
    for path, part in zip(job.input.parts, parts, strict=True):
        if list(part.sha256) != list(first.sha256):
            raise InputError(f"{path} and {job.input.parts[0]} hold different images: remove both and run again.")
    is_gallery = job.wildcards.split == job.params.gallery
    blocks = transforms.transformed(fitted, [part.features for part in parts], is_gallery)
    # The first block tells how many values a row has.
    first_block = next(blocks)
    manifest = pd.DataFrame({"image_id": first.image_id, "label": first.label, "sha256": first.sha256})
    description = {
        "method": job.wildcards.method,
        "split": job.wildcards.split,
        "row": json.loads(about["row"]),
        **({"chosen": json.loads(about["chosen"])} if "chosen" in about else {}),
        "transform_fingerprint": about["fingerprint"],
        "parts": {part.about["method"]: part.about["features_sha256"] for part in parts},
    }
    store.write(job.output[0], manifest, chain([first_block], blocks), first_block.shape[1], description)


if __name__ == "__main__":
    run(work, snakemake)
