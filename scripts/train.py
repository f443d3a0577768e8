"""Train an encoder."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.collection.ranges import whites_of
from cbir.encoders import devices, loading
from cbir.encoders.options import Options
from cbir.files.atomic import sole_writer
from cbir.files.tables import read_csv, write_text
from cbir.workflow.job import run

log = logging.getLogger("cbir")


# The code hash of a finished training, in the folder of its checkpoint.
FINISHED = "checkpoint.code"


def work(job: Any) -> None:
    with sole_writer(job.output.network):
        _work(job)


def _work(job: Any) -> None:
    train_split, val_split = read_csv(job.input.train, SPLIT_COLUMNS), read_csv(job.input.val, SPLIT_COLUMNS)
    log.info(
        "%s is trained on %d images and validated on %d; TensorFlow is loaded first",
        *(job.wildcards.encoder, len(train_split), len(val_split)),
    )
    # Imported here, because it takes seconds.
    with loading.quickly():
        from cbir.encoders import networks
    from cbir.training.settings import TrainingSettings
    from cbir.training.train import CHECKPOINT, train

    devices.take(job.resources.gpu)
    devices.limit_threads(job.threads)
    row = json.loads(job.params.row)
    settings = TrainingSettings.from_row(row["training"])
    architecture, options = row["architecture"], Options.from_row(row)
    model, source = networks.build(architecture, row["weights"], row["seed"], job.input.get("fetched"), options)
    folder = Path(job.output.history).parent
    _forget_what_other_code_finished(folder / CHECKPOINT, job.params.code)
    train(model, _images(train_split), _images(val_split), settings, folder, job.threads, job.params.k, options)
    networks.save(
        model,
        job.output.network,
        encoder=job.wildcards.encoder,
        source=f"{source}, trained",
        normalise=settings.normalise,
        architecture=architecture,
        options=options,
    )
    # The checkpoint is kept: if Snakemake is killed before it records the end of this job, it runs the job again.
    write_text(folder / FINISHED, job.params.code)


def _forget_what_other_code_finished(checkpoint: Path, code: str) -> None:
    """Remove the checkpoint of a training that other code finished; an unfinished training is always resumed."""
    finished = checkpoint.with_name(FINISHED)
    if finished.is_file() and finished.read_text(encoding="utf-8") != code:
        checkpoint.unlink(missing_ok=True)
    finished.unlink(missing_ok=True)


def _images(manifest: pd.DataFrame) -> Any:
    from cbir.training.batches import ImageSet

    labels = manifest["label"].to_numpy(np.int64)
    return ImageSet(list(manifest["path"]), labels, list(manifest["sha256"]), whites_of(manifest))


if __name__ == "__main__":
    run(work, snakemake)
