"""Draw the confusion matrix, the metrics of the categories and the calibration curve of an evaluation."""

from pathlib import Path
from typing import Any

import pandas as pd

from cbir.files.tables import read_csv
from cbir.report import plots
from cbir.results import read_object
from cbir.workflow.job import run


def work(job: Any) -> None:
    method = job.wildcards.method
    plots.confusion(read_csv(job.input.confusion, ["category"]), job.output.confusion, f"Confusion matrix of {method}")
    figures = ["precision", "recall", "f1"]
    categories = read_csv(job.input.categories, ["category", *figures])
    # Undefined values are empty cells.
    categories[figures] = categories[figures].apply(pd.to_numeric, errors="coerce")
    plots.categories(categories, job.output.categories, f"Categories with {method}")
    if path := job.input.get("calibration"):
        plots.calibration(read_object(Path(path)), job.output.calibration, f"How sure a result of {method} is")


if __name__ == "__main__":
    run(work, snakemake)
