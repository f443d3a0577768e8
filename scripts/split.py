"""Split the collection into train, validation and test images."""

import json
import logging
from typing import Any

from cbir.collection import IMAGE_COLUMNS
from cbir.files import read_csv, write_csv
from cbir.job import run
from cbir.splitting import SPLITS, split

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    settings = json.loads(job.params.split)
    seed = settings.pop("seed")
    tables = split(read_csv(job.input.images, IMAGE_COLUMNS), settings, seed)
    for name in SPLITS:
        log.info("%s: %d images", name, len(tables[name]))
        write_csv(job.output[name], tables[name])


run(work, snakemake)
