"""Answer one example query."""

from pathlib import PurePosixPath
from typing import Any

from cbir.collection.columns import IMAGE_COLUMNS
from cbir.features import store
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, write_json
from cbir.report import plots
from cbir.retrieval import index, queries
from cbir.workflow.job import run


def work(job: Any) -> None:
    method = job.wildcards.method
    images = read_csv(job.input.images, IMAGE_COLUMNS).set_index("image_id")
    categories = sorted(set(images["category"]))
    image = job.params.image or queries.choose(
        job.wildcards.query,
        read_csv(job.input.categories, ["category", "f1"]),
        read_csv(job.input.queries, ["image_id", "category", "nmrr"]),
    )
    stores = [store.read(path, method) for path in job.input.stores]
    holder = next((held for held in stores if image in held.image_id), None)
    if holder is None:
        raise InputError(
            f"config: queries.images names {image!r}, which is neither an image_id of the collection nor an image "
            "file: correct it."
        )
    quality = getattr(job.input, "quality", None)
    gallery = store.read(job.input.train, method, mapped=quality is not None)
    row = holder.row(image)
    inside = image in gallery.image_id
    indexed = index.read(job.input.about, gallery, quality)
    found = queries.nearest(indexed, gallery, holder.features[row], job.params.k, image if inside else None)
    category = categories[holder.label[row]] if holder.label[row] >= 0 else ""
    data = queries.as_data(image, category, method, found, categories)
    write_json(job.output.data, data)
    path = images["path"][image] if category else image
    first = plots.Picture(path, ["query", PurePosixPath(image).name, category])
    others = [
        plots.Picture(images["path"][item["image_id"]], [item["image_id"], f"{item['distance']:.3f}"], item["right"])
        for item in data["neighbours"]
    ]
    plots.strips([[first, *others]], job.output.picture, f"{method}: {image}")


if __name__ == "__main__":
    run(work, snakemake)
