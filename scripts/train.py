"""Train an encoder."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from cbir import devices, encoders
from cbir.files import read_csv
from cbir.job import run
from cbir.splitting import SPLIT_COLUMNS
from cbir.training.batches import ImageSet
from cbir.training.plot import plot_history
from cbir.training.settings import TrainingSettings
from cbir.training.train import CHECKPOINT, train

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    devices.limit_threads(job.threads)
    row = json.loads(job.params.row)
    settings = TrainingSettings.from_row(row["training"])
    model, source = encoders.build(row["architecture"], row["weights"], row["seed"], job.input.get("imagenet"))
    folder = Path(job.output.history).parent
    train(model, _images(job.input.train), _images(job.input.val), settings, folder, job.threads)
    plot_history(job.output.history, job.output.picture)
    encoders.save(
        model,
        job.output.network,
        encoder=job.wildcards.encoder,
        source=f"{source}, trained",
        normalise=settings.normalise,
    )
    # What is finished is not gone on from: another code or another seed would find it.
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _images(path: str) -> ImageSet:
    manifest = read_csv(path, SPLIT_COLUMNS)
    return ImageSet(list(manifest["path"]), manifest["label"].to_numpy(np.int64), list(manifest["sha256"]))


run(work, snakemake)
