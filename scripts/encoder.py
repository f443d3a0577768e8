"""Build an encoder that is not trained."""

import json
import logging
from typing import Any

from cbir.encoders import devices, loading
from cbir.encoders.options import Options
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    # Imported here, so that the messages of TensorFlow's import go to the log file.
    with loading.quickly():
        from cbir.encoders import networks

    devices.take(0)
    row = json.loads(job.params.row)
    architecture, options = row["architecture"], Options.from_row(row)
    model, source = networks.build(architecture, row["weights"], row["seed"], job.input.get("fetched"), options)
    networks.save(
        model,
        job.output.network,
        encoder=job.wildcards.encoder,
        source=source,
        normalise=False,
        architecture=architecture,
        options=options,
    )
    log.info(
        "encoder %s: %s, %d parameters, weights from %s",
        job.wildcards.encoder,
        architecture,
        model.count_params(),
        source,
    )


if __name__ == "__main__":
    run(work, snakemake)
