"""Encode one shard of images with one encoder."""

import logging
from typing import Any

from cbir.encoding import Embed, encode_shard
from cbir.files import read_csv, read_json, sole_writer
from cbir.job import run

log = logging.getLogger("cbir")


def work(job: Any) -> None:
    about = read_json(job.input.about)

    def make_embed() -> Embed:
        # Imported here, so that a shard with nothing new loads no network.
        from cbir import devices, encoders, inference

        devices.take(job.resources.gpu)
        inference.limit_threads(job.threads)
        encoder = encoders.open_encoder(job.input.network)
        return inference.embedder(encoder.model, job.params.batch, about["normalise"])

    with sole_writer(job.output[0]):
        count = encode_shard(
            read_csv(job.input.images, ["path", "sha256"]),
            job.output[0],
            fingerprint=about["fingerprint"],
            dimension=about["dimension"],
            batch=job.params.batch,
            make_embed=make_embed,
            workers=job.threads,
        )
    log.info("%d images encoded", count)


run(work, snakemake)
