"""List images whose labels are doubtful."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cbir.collection.columns import GROUP_COLUMNS, IMAGE_COLUMNS
from cbir.encoders.runtimes import Runtime, fingerprint
from cbir.evaluation.suspects import scaled, suspects
from cbir.features.blocks import space
from cbir.features.shards import read_rows
from cbir.files.hashes import sha256_json
from cbir.files.tables import read_csv, read_json, write_csv
from cbir.retrieval import known
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    images = read_csv(job.input.images, IMAGE_COLUMNS)
    groups = read_csv(job.input.groups, GROUP_COLUMNS)
    groups = groups[groups["doubted"] == 0]
    made = fingerprint(read_json(job.input.about)["fingerprint"], Runtime.parse(job.params.runtime))
    rows = read_rows([Path(shard) for shard in job.input.shards], list(images["sha256"]), made)
    unit, start = None, 0
    for block in rows:
        if unit is None:
            unit = space(len(images), block.shape[1], np.float32)
        unit[start : start + len(block)] = scaled(block)
        start += len(block)
    assert unit is not None
    path = Path(job.output[0]).parent / "memory/suspects.h5"
    nearest = partial(known.nearest, path=path, made_by=sha256_json([job.params.code, np.__version__]))
    group_of = dict(zip(groups["sha256"], groups["group"], strict=True))
    found = suspects(images, unit, group_of, most=job.params.most, nearest=nearest)
    if len(images) > job.params.most:
        log.info("each image was compared with %d pictures at most (evaluation.exact_rows)", job.params.most)
    log.info("%d of %d images have no neighbour of their own category", len(found), len(images))
    write_csv(job.output[0], found)


if __name__ == "__main__":
    run(work, snakemake)
