"""Read the collection: which files are usable images, of which category, in which shard."""

import logging
from pathlib import Path
from typing import Any

from cbir.collection.categories import category_labels
from cbir.collection.manifest import collect, shard_of
from cbir.files.tables import write_csv, write_json
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    # A source keeps its images beside its list of credits.
    folder = job.params.folder or Path(job.input[0]).parent / "images"
    memory = Path(job.output.images).parent / "memory"
    images, rejected, hashes = collect(folder, memory, workers=job.threads)
    log.info(
        "%d images in %d categories; %d files rejected, see %s",
        len(images),
        images["category"].nunique(),
        len(rejected),
        job.output.rejected,
    )
    labels = category_labels(images["category"])
    shards = images["sha256"].map(lambda digest: shard_of(digest, len(job.output.shards)))
    for number, path in enumerate(job.output.shards):
        write_csv(path, images.loc[shards == number, ["path", "sha256"]])
    write_csv(job.output.rejected, rejected)
    write_csv(job.output.hashes, hashes)
    write_json(
        job.output.categories,
        {"index_to_category": {str(label): name for name, label in labels.items()}, "category_to_index": labels},
    )
    write_csv(job.output.images, images)


run(work, snakemake)
