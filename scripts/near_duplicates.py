"""Find groups of near-duplicates, which are copies of one picture."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import scipy
from numpy.typing import NDArray

from cbir.collection import copies
from cbir.collection.columns import HASHES_COLUMNS, IMAGE_COLUMNS
from cbir.collection.compared import Memory
from cbir.collection.near_duplicates import doubts, groups
from cbir.collection.small import listed_names
from cbir.files.hashes import sha256_json
from cbir.files.printable import printable
from cbir.files.tables import read_csv, write_csv
from cbir.files.versions import version
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    hashes = read_csv(job.input.hashes, HASHES_COLUMNS)
    images = read_csv(job.input.images, IMAGE_COLUMNS)
    paths = dict(zip(images["sha256"], images["path"], strict=True))
    # The versions are those of libraries that read images or compare them.
    versions = [PIL.__version__, version("pillow-heif"), scipy.__version__, np.__version__]
    made_by = sha256_json([job.params.code, job.params.distance, *versions])
    memory = Memory(Path(job.output[0]).parent / "memory/near_duplicates.h5", made_by)
    likely = 0

    def confirm(pairs: Sequence[tuple[str, str, bool]]) -> NDArray[np.bool_]:
        nonlocal likely
        likely = len(pairs)
        return copies.confirm(pairs, paths, job.threads)

    found = groups(hashes, job.params.distance, confirm, memory)
    log.info("%d pairs that are new and near by their hashes were compared by their pixels", likely)
    log.info("%d groups of near-duplicates, %d images together", found["group"].nunique(), len(found))
    plain = int((hashes["phash"] == "").sum())
    if plain:
        log.info("%d images were not compared: smaller than 64 pixels, or plain", plain)
    categories = dict(zip(images["sha256"], images["category"], strict=True))
    names = dict(zip(images["sha256"], images["image_id"], strict=True))
    doubted = doubts(found, hashes, categories, job.params.distance)
    for group, reason in doubted.items():
        members = sorted(names[digest] for digest in found.loc[found["group"] == group, "sha256"])
        log.warning(
            "A group of %d near-duplicates is doubted and not kept in one split: %s (%s).",
            len(members),
            reason,
            listed_names(map(printable, members), 5),
        )
    write_csv(job.output[0], found.assign(doubted=found["group"].isin(doubted).astype(int)))


if __name__ == "__main__":
    run(work, snakemake)
