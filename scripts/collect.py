"""Read the collection: list its usable images with categories and shards, and its rejected files."""

import json
import logging
from pathlib import Path
from typing import Any

from cbir.collection import ranges
from cbir.collection.categories import category_labels, singles
from cbir.collection.manifest import collect, require_categories, shard_of
from cbir.collection.protocols import REGISTRY as PROTOCOLS
from cbir.collection.reasons import count_reasons
from cbir.collection.sources import REGISTRY as SOURCES
from cbir.files.tables import write_csv, write_json
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    # The images of a fetched source are in a folder next to its list of credits.
    folder = job.params.folder or Path(job.input[0]).parent / "images"
    memory = Path(job.output.images).parent / "memory"
    settings = json.loads(job.params.settings)
    how: dict[str, Any] = {"exclude": settings["exclude"], "layout": settings["layout"]}
    how["corrections"] = settings.get("corrections", {})
    source = SOURCES.get_entry(settings["source"])
    if hasattr(source, "read"):
        how["rows"], folder = source.read(folder, settings["layout"] != "none"), Path(folder).parent
    found = collect(folder, memory, workers=job.threads, **how)
    # Snakemake keeps this file when the job fails, because it is a log.
    write_csv(job.log.rejected, found.rejected)
    reasons = ", ".join(count_reasons(found.rejected["reason"]))
    log.info(
        "%d images in %d categories; %d files rejected%s, see %s",
        len(found.images),
        len(singles(found.images["category"])),
        len(found.rejected),
        f" ({reasons})" if reasons else "",
        job.log.rejected,
    )
    least = getattr(PROTOCOLS.get_entry(settings["protocol"]), "least", lambda split: 1)
    needed = least(settings) if settings["small"] == "refuse" else 1
    require_categories(folder, found, job.log.rejected, **how, least=needed)
    labels = category_labels(found.images["category"])
    shards = found.images["sha256"].map(lambda digest: shard_of(digest, len(job.output.shards)))
    for number, path in enumerate(job.output.shards):
        rows = found.images.loc[shards == number, ["path", "sha256"]]
        write_csv(path, ranges.with_whites(rows, found.ranges.images))
    write_csv(job.output.notes, found.notes)
    write_json(job.output.ranges, ranges.as_data(found.ranges))
    write_csv(job.output.hashes, found.hashes)
    write_json(
        job.output.categories,
        {"index_to_category": {str(label): name for name, label in labels.items()}, "category_to_index": labels},
    )
    write_csv(job.output.images, found.images)


if __name__ == "__main__":
    run(work, snakemake)
