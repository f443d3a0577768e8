"""Refine a query with the judgements of a refinement file."""

import json
from typing import Any

from cbir.collection import ranges
from cbir.collection.categories import names_of, read_categories
from cbir.collection.columns import IMAGE_COLUMNS
from cbir.features import store
from cbir.feedback import records
from cbir.feedback.refinement import locate_query, read
from cbir.feedback.rounds import refine
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, write_csv, write_json
from cbir.report import refinement_pictures
from cbir.retrieval import index
from cbir.workflow.job import run


def work(job: Any) -> None:
    if job.params.problem:
        raise InputError(job.params.problem)
    chosen = json.loads(job.params.chosen)
    weights = Weights(*(chosen[name] for name in ("alpha", "beta", "gamma")))
    asked = read(job.params.refinement, [chosen["method"]], weights, chosen["method"], chosen["k"])
    names = read_categories(job.input.categories)
    paths = dict(read_csv(job.input.images, IMAGE_COLUMNS)[["image_id", "path"]].itertuples(index=False, name=None))
    located = locate_query(asked, paths.keys(), job.params.folder)
    inside = isinstance(located, str)
    query = asked.query if inside else job.params.image
    stores = [store.read(path, asked.method) for path in job.input.stores]
    holder = next((held for held in stores if query in held.image_id), None)
    if holder is None:
        raise InputError(f"{asked.source} was changed while the workflow ran: run again.")
    row = holder.row(query)
    gallery = store.read(job.input.gallery, asked.method)
    category = str(names_of(holder.label[row : row + 1], names)[0]) or None
    quality = job.input.get("quality")
    indexed = index.read(job.input.about, gallery, quality) if quality else None
    searched = records.gallery(gallery, names, indexed)
    found = refine(searched, asked, holder.features[row], query if inside else None, category)
    record = records.record(asked, query, category, gallery, found)
    write_json(job.output.rounds, record)
    write_csv(job.output.results, records.table(record))
    records.write_vectors(found, record, job.output.vectors)
    whites = ranges.read(job.input.ranges).whites
    refinement_pictures.rounds(record, paths if inside else {**paths, query: query}, job.output.picture, whites)


if __name__ == "__main__":
    run(work, snakemake)
