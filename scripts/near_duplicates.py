"""Group near-duplicates: copies of one picture."""

import logging
from typing import Any

from cbir.collection.columns import HASHES_COLUMNS
from cbir.collection.near_duplicates import groups
from cbir.files.tables import read_csv, write_csv
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    hashes = read_csv(job.input[0], HASHES_COLUMNS)
    found = groups(hashes, job.params.distance)
    log.info("%d groups of near-duplicates, %d images together", found["group"].nunique(), len(found))
    plain = int((hashes["phash"] == "").sum())
    if plain:
        log.info("%d images were not compared: smaller than 64 pixels, or plain", plain)
    write_csv(job.output[0], found)


run(work, snakemake)
