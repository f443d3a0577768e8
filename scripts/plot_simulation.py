"""Draw the gain by the judgements of a simulated user, and the rounds of an example."""

from typing import Any

import pandas as pd

from cbir.collection import ranges
from cbir.collection.columns import IMAGE_COLUMNS
from cbir.feedback.records import GAIN_COLUMNS
from cbir.files.tables import read_csv, read_json
from cbir.report import refinement_pictures
from cbir.workflow.job import run


def work(job: Any) -> None:
    record = read_json(job.input.example)
    gain = read_csv(job.input.gain, GAIN_COLUMNS)
    # Undefined values are empty cells.
    figures = gain.columns.drop(["strategy", "scope", "category"])
    gain[figures] = gain[figures].apply(pd.to_numeric, errors="coerce")
    asked = record["refinement"]
    refinement_pictures.gain(gain, asked["k"], job.output.gain, f"Simulated feedback with {asked['method']}")
    images = read_csv(job.input.images, IMAGE_COLUMNS)
    paths = dict(images[["image_id", "path"]].itertuples(index=False, name=None))
    refinement_pictures.rounds(record, paths, job.output.example, ranges.read(job.input.ranges).whites)


if __name__ == "__main__":
    run(work, snakemake)
