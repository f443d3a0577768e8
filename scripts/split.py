"""Split the collection into train, val and test images."""

import json
import logging
from typing import Any

from cbir.collection import ranges
from cbir.collection.categories import rarest
from cbir.collection.columns import GROUP_COLUMNS, IMAGE_COLUMNS, SPLITS
from cbir.collection.protocols import REGISTRY as PROTOCOLS
from cbir.collection.splits import near_duplicates
from cbir.files.tables import read_csv, write_csv
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    settings = json.loads(job.params.split)
    images = read_csv(job.input.images, IMAGE_COLUMNS)
    groups = read_csv(job.input.groups, GROUP_COLUMNS)
    together = settings["near_duplicates"]["together"]
    believed = groups[groups["doubted"] == 0]
    # An image with several categories is split with the rarest of them.
    tables = PROTOCOLS.get_entry(settings["protocol"]).split(
        images.assign(category=rarest(images["category"])),
        settings,
        dict(zip(believed["sha256"], believed["group"], strict=True)) if together else {},
    )
    categories = images.set_index("image_id")["category"]
    tables = {name: table.assign(category=table["image_id"].map(categories)) for name, table in tables.items()}
    whites = ranges.read(job.input.ranges).images
    for name in SPLITS:
        log.info("%s: %d images", name, len(tables[name]))
        write_csv(job.output[name], ranges.with_whites(tables[name], whites))
    listed = near_duplicates(images, groups, tables)
    across = listed.loc[(listed["across_splits"] == 1) & (listed["doubted"] == 0), "group"].nunique()
    log.info("%d groups of near-duplicates, %d of them in several splits", listed["group"].nunique(), across)
    write_csv(job.output.near_duplicates, listed)


if __name__ == "__main__":
    run(work, snakemake)
