"""Write the manifest of a query image from outside the collection, in the format of a split."""

import hashlib
from typing import Any

import pandas as pd

from cbir.collection import images, ranges
from cbir.collection.columns import SPLIT_COLUMNS
from cbir.files.errors import InputError
from cbir.files.tables import write_csv
from cbir.workflow.job import run


def work(job: Any) -> None:
    path = job.params.image
    try:
        data = images.read_bytes(path)
        white = ranges.white_of(data, ranges.read(job.input.ranges).whites)
    except images.ImageError as error:
        raise InputError(f"The query image {path} cannot be used: {error}; replace it.") from None
    # The label -1 means that the category is unknown.
    digest = hashlib.sha256(data).hexdigest()
    row = {"image_id": path, "path": path, "category": "", "label": -1, "sha256": digest}
    write_csv(job.output[0], ranges.with_whites(pd.DataFrame([row], columns=SPLIT_COLUMNS), {digest: white}))


if __name__ == "__main__":
    run(work, snakemake)
