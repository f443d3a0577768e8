"""Evaluate a method: its metrics and tables."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from cbir.collection.categories import Relevant, read_categories
from cbir.collection.relevance import RELEVANCE_COLUMNS
from cbir.evaluation import judgements
from cbir.evaluation.calibration import calibrate
from cbir.evaluation.evaluate import evaluate
from cbir.evaluation.ranks import Memory
from cbir.features import store
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json
from cbir.files.tables import read_csv, write_csv, write_json
from cbir.retrieval import index
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    settings = json.loads(job.params.settings)
    names = read_categories(job.input.categories)
    # What is too large to be ranked as a whole stays in its file.
    gallery = store.read_large(job.input.gallery, job.wildcards.method, settings["exact_rows"])
    large = len(gallery.features) > settings["exact_rows"]
    asks_itself = job.input.asking == job.input.gallery
    queries = gallery if asks_itself else store.read(job.input.asking, job.wildcards.method)
    relevant = Relevant(names)
    judged = _judged(job, settings, gallery, queries, relevant)
    found = evaluate(
        gallery,
        queries,
        names,
        # An approximate index ranks nothing of a gallery that is ranked as a whole.
        index.read(job.input.about, gallery) if large or not job.params.approximate else None,
        k=settings["k"],
        neighbours=settings["neighbours"],
        worst_images=settings["worst"]["images"],
        worst_retrieved=settings["worst"]["retrieved"],
        seed=settings["seed"],
        block_bytes=settings["block_mb"] * 10**6,
        exact_rows=settings["exact_rows"],
        recall=job.params.recall,
        memory=Memory(
            Path(job.output.summary).with_name("memory.h5"),
            sha256_json([job.params.code, np.__version__]),
            Path(job.input.gallery),
        ),
        **judged,
    )
    write_json(job.output.summary, found.summary)
    write_json(job.output.worst, found.worst)
    if "val" in judged:
        learned = calibrate(gallery, judged["val"], queries, settings["block_mb"] * 10**6, relevant)
        write_json(job.output.calibration, learned)
    write_csv(job.output.categories, found.categories)
    write_csv(job.output.queries, found.queries)
    write_csv(job.output.neighbours, found.neighbours)
    write_csv(job.output.confusion, found.confusion)
    write_csv(job.output.cmc, found.cmc)
    if found.folds is not None:
        write_csv(job.output.folds, found.folds)
    log.info("%s: accuracy %.4f, ANMRR %.4f", job.wildcards.method, found.summary["accuracy"], found.summary["anmrr"])


def _judged(
    job: Any, settings: dict[str, Any], gallery: FeatureStore, queries: FeatureStore, relevant: Relevant
) -> dict[str, Any]:
    """Return the arguments of `evaluate` that depend on the protocol: judgements of images, folds, or val images."""
    if job.input.get("relevance"):
        table = read_csv(job.input.relevance, RELEVANCE_COLUMNS)
        setups = {
            name: judgements.by_list(table, queries.image_id, gallery.image_id, name) for name in judgements.SETUPS
        }
        # Without grades all setups are equal.
        graded = table["grade"].isin(["easy", "hard"]).any()
        return {"judgements": setups[settings["setup"]], "setups": setups if graded else None}
    if job.input.get("manifest"):
        test = read_csv(job.input.manifest, ["image_id", "fold"])
        if list(test["image_id"]) != list(queries.image_id):
            raise InputError(f"{job.input.manifest} has other rows than {job.input.asking}: run again.")
        folds = test["fold"].to_numpy(np.int64)
        asked = {"folds": folds, "confidence": settings["confidence"]} if "confidence" in settings else {}
        return {"judgements": judgements.across_folds(queries.label, folds, relevant), **asked}
    return {"val": store.read(job.input.val, job.wildcards.method)}


if __name__ == "__main__":
    run(work, snakemake)
