"""Answer one example query."""

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from cbir.collection import ranges
from cbir.collection.categories import category_labels, names_of
from cbir.collection.columns import IMAGE_COLUMNS
from cbir.evaluation import calibration
from cbir.features import store
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json, write_json
from cbir.report import plots
from cbir.retrieval import index, queries
from cbir.workflow.job import run


def work(job: Any) -> None:
    method = job.wildcards.method
    images = read_csv(job.input.images, IMAGE_COLUMNS).set_index("image_id")
    categories = list(category_labels(images["category"]))
    quality = job.input.get("quality")
    stores = [store.read(path, method, mapped=quality is not None) for path in job.input.stores]
    gallery = store.read(job.input.gallery, method, mapped=quality is not None)
    if job.params.image:
        image = job.params.image
    elif job.params.drawn is not None:
        image = queries.draw(gallery.image_id, gallery.sha256, job.params.seed, job.params.drawn)
    else:
        image = queries.choose(
            job.wildcards.query,
            read_csv(job.input.categories, ["category", "f1"]),
            read_csv(job.input.queries, ["image_id", "category", "nmrr"]),
        )
    holder = next((held for held in stores if image in held.image_id), None)
    if holder is None:
        raise InputError(
            f"config: queries.images names {image!r}, which is neither an image_id of the collection nor an image "
            "file: correct it."
        )
    row = holder.row(image)
    inside = image in gallery.image_id
    indexed = index.read(job.input.about, gallery, quality)
    path = job.input.get("calibration")
    learned = calibration.from_data(read_json(path), path) if path else calibration.UNKNOWN
    looked_at = max(job.params.k, learned.neighbours)
    near = queries.nearest(indexed, gallery, holder.features[row], looked_at, image if inside else None)
    found, distances = near[: job.params.k], np.array([item.distance for item in near])
    novelty = learned.novelty(distances)
    category = str(names_of(holder.label[row : row + 1], categories)[0])
    data = queries.as_data(
        image,
        category,
        method,
        found,
        categories,
        learned.plain_probabilities(distances[: len(found)]),
        None if novelty is None else asdict(novelty),
    )
    write_json(job.output.data, data)
    new = calibration.NOTHING if novelty is not None and novelty.is_new else ""
    whites = ranges.read(job.input.ranges).whites
    lines = [line for line in ("query", category, PurePosixPath(image).name, new) if line]
    first = plots.Picture(images["path"].get(image, image), lines, whites=whites)
    others = [
        plots.Picture(images["path"][item["image_id"]], _lines(item), item["right"], whites)
        for item in data["neighbours"]
    ]
    plots.strips([[first, *others]], job.output.picture, f"{method}: {image}")


def _lines(item: dict[str, Any]) -> list[str]:
    """Return the lines below the picture of a result: category, file name, distance and, if known, probability."""
    probability = calibration.shown(item["probability"])
    measured = f"distance {item['distance']:.3f}" + (f" · {probability}" if probability else "")
    lines = (item["category"], PurePosixPath(item["image_id"]).name, measured)
    return [line for line in lines if line]


if __name__ == "__main__":
    run(work, snakemake)
