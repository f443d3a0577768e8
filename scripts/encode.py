"""Encode one shard of images with one encoder."""

import logging
from typing import Any

from cbir.encoders import loading
from cbir.encoders.options import Options, preparation
from cbir.encoders.runtimes import Embed, Runtime, fingerprint
from cbir.features.shards import encode_shard
from cbir.files.atomic import sole_writer
from cbir.files.tables import read_csv, read_json
from cbir.workflow.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    about = read_json(job.input.about, {"architecture": str, "fingerprint": str, "dimension": int, "normalise": bool})
    runtime = Runtime.parse(job.wildcards.runtime)

    def make_embed() -> Embed:
        # Imported here, because it takes seconds and is not needed if all images are already encoded.
        with loading.quickly():
            from cbir.encoders import devices, inference, networks

        devices.take(job.resources.gpu)
        devices.limit_threads(1, job.threads)
        encoder = networks.open_encoder(job.input.network)
        flip = Options.from_row(about.get("options", {})).flip
        return inference.embedder(encoder.model, job.params.batch, about["normalise"], runtime, job.threads, flip)

    prepared = preparation(about, job.input.about)
    with sole_writer(job.output[0]):
        count = encode_shard(
            read_csv(job.input.images, ["path", "sha256"]),
            job.output[0],
            fingerprint=fingerprint(about["fingerprint"], runtime),
            dimension=about["dimension"],
            size=prepared.size,
            crop=prepared.crop,
            batch=job.params.batch,
            make_embed=make_embed,
            workers=job.threads,
        )
    log.info("%d images encoded", count)


if __name__ == "__main__":
    run(work, snakemake)
