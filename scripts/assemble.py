"""Write the feature store of a method for one split from encoded shards."""

from pathlib import Path
from typing import Any

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.encoders.runtimes import Runtime, fingerprint
from cbir.features import store
from cbir.features.shards import read_rows
from cbir.files.hashes import sha256_file
from cbir.files.tables import read_csv, read_json
from cbir.workflow.job import run

ABOUT = {
    **dict.fromkeys(("encoder", "fingerprint", "weights", "weights_fingerprint", "preprocessing_fingerprint"), str),
    **{"preprocessing": dict, "normalise": bool, "dimension": int},
}


def work(job: Any) -> None:
    manifest = read_csv(job.input.manifest, SPLIT_COLUMNS)
    about = read_json(job.input.about, ABOUT)
    runtime = Runtime.parse(job.params.runtime)
    made = fingerprint(about["fingerprint"], runtime)
    rows = read_rows([Path(shard) for shard in job.input.shards], list(manifest["sha256"]), made)
    description = {
        "method": job.wildcards.method,
        "split": job.wildcards.split,
        "manifest_sha256": sha256_file(job.input.manifest),
        "encoder": about["encoder"],
        "encoder_fingerprint": made,
        "weights": about["weights"],
        "weights_fingerprint": about["weights_fingerprint"],
        "preprocessing": about["preprocessing"],
        "preprocessing_fingerprint": about["preprocessing_fingerprint"],
        "normalise": about["normalise"],
        "runtime": runtime.name,
        "precision": runtime.precision,
    }
    store.write(job.output[0], manifest, rows, about["dimension"], description)


if __name__ == "__main__":
    run(work, snakemake)
