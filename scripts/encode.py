"""Encode one shard of images with one encoder."""

import logging
from typing import Any

from cbir import loading
from cbir.encoding import Embed, encode_shard
from cbir.files import read_csv, read_json, sole_writer
from cbir.job import run
from cbir.runtimes import Runtime, fingerprint

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    about = read_json(job.input.about, {"fingerprint": str, "dimension": int, "normalise": bool})
    runtime = Runtime.parse(job.wildcards.runtime)

    def make_embed() -> Embed:
        # Imported here, so that a shard with nothing new loads no network.
        with loading.quickly():
            from cbir import devices, encoders, inference

        devices.take(job.resources.gpu)
        devices.limit_threads(1, job.threads)
        encoder = encoders.open_encoder(job.input.network)
        return inference.embedder(encoder.model, job.params.batch, about["normalise"], runtime, job.threads)

    with sole_writer(job.output[0]):
        count = encode_shard(
            read_csv(job.input.images, ["path", "sha256"]),
            job.output[0],
            fingerprint=fingerprint(about["fingerprint"], runtime),
            dimension=about["dimension"],
            batch=job.params.batch,
            make_embed=make_embed,
            workers=job.threads,
        )
    log.info("%d images encoded", count)


run(work, snakemake)
