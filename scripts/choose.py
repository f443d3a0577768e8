"""Choose the values of a derived method's steps that are best on val, and fit the method with them."""

import json
import logging
from typing import Any

from cbir.collection.categories import Relevant, read_categories
from cbir.evaluation.choice import choose
from cbir.features import store, transforms
from cbir.features.chains import monitor_of
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    row = json.loads(job.params.row)
    train, val = ([store.read(path) for path in paths] for paths in (job.input.train, job.input.val))
    gallery, fitted_again = train, job.input.gallery != job.input.train
    if fitted_again:
        gallery = [store.read(path) for path in job.input.gallery]
    choice = choose(
        row,
        [part.features for part in train],
        train[0].label,
        [part.features for part in val],
        val[0].label,
        job.params.k,
        Relevant(read_categories(job.input.categories)),
    )
    for number, tried in enumerate(choice.tried):
        mark = ", the best" if number == choice.best else ""
        log.info("%s: %s %.4f%s", json.dumps(tried["steps"]), monitor_of(row), tried["value"], mark)
    chosen = {
        "row": choice.row,
        "best": choice.best,
        "tried": choice.tried,
        "monitor": monitor_of(row),
        "val": [part.about["features_sha256"] for part in val],
    }
    about = transforms.about(job.wildcards.method, row, [part.about for part in gallery], chosen)
    # Values are chosen with train and val, but the method is fitted on the gallery.
    fitted = transforms.fit(choice.row, [part.features for part in gallery]) if fitted_again else choice.fitted
    transforms.save(job.output[0], fitted, about)


if __name__ == "__main__":
    run(work, snakemake)
