"""Measure how OpenVINO's features differ from TensorFlow's, and how that changes the results.

    make extras
    python benchmarks/runtimes.py [--results results] [--encoder pretrained]

The train and test images of a finished run of the workflow are encoded again in each runtime, as by the rule `encode`,
and the train images are searched with the test images, k = 3. A rank counts as changed if another image is at it.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from peers import THREADS

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.encoders import devices, inference, networks
from cbir.encoders.runtimes import RUNTIMES, Runtime
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.features import shards
from cbir.files.errors import InputError
from cbir.files.tables import read_csv
from cbir.retrieval import exact
from cbir.retrieval.voting import majority_vote

K = 3
BATCH = 2


def encode(encoder: networks.Encoder, runtime: Runtime, table: pd.DataFrame) -> np.ndarray:
    """Return the features of a table's images, in its order."""
    embed = inference.embedder(encoder.model, BATCH, encoder.about["normalise"], runtime, THREADS)
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "0.h5"
        shards.encode_shard(table, shard, "", encoder.about["dimension"], encoder.size, BATCH, lambda: embed, THREADS)
        return np.concatenate(list(shards.read_rows([shard], list(table["sha256"]), "")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="of a finished run")
    parser.add_argument("--encoder", default="pretrained")
    options = parser.parse_args()
    results = options.results.resolve()
    # Paths in the tables are relative to where the workflow ran.
    os.chdir(results.parent)
    splits = [read_csv(results / f"splits/{name}.csv", SPLIT_COLUMNS) for name in ("train", "test")]
    train, test = (split["label"].to_numpy() for split in splits)
    devices.limit_threads(1, THREADS)
    encoder = networks.open_encoder(results / f"encoders/{options.encoder}.keras")
    gtm = int(np.bincount(train)[test].max())
    print(f"{len(train):,} train and {len(test):,} test images, encoder {options.encoder}\n")
    print("| runtime | largest difference | least cosine | other ranks 1 to 3 | accuracy | ANMRR | images a second |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    reference = reference_order = None
    for runtime in RUNTIMES:
        start = time.perf_counter()
        try:
            features = encode(encoder, runtime, pd.concat(splits))
        except InputError as error:
            print(f"| {' '.join(runtime)} | {error} |")
            continue
        rate = len(features) / (time.perf_counter() - start)
        gallery, queries = np.split(features, [len(train)])
        order = np.concatenate([order for _, order in exact.rankings(queries, gallery)])
        nmrr = REGISTRY["anmrr"].per_query(train[order] == test[:, None], gtm=gtm)
        if reference is None:
            reference, reference_order = features, order
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(reference, axis=1)
        cosine = ((features.astype(float) * reference).sum(axis=1) / lengths).min()
        figures = [f"{np.abs(features - reference).max():.1g}", f"{cosine:.6f}"]
        figures.append(f"{(order[:, :K] != reference_order[:, :K]).mean():.2%}")
        figures.append(f"{(majority_vote(train[order[:, :K]]) == test).mean():.4f}")
        figures += [f"{mean_defined(nmrr):.4f}", f"{rate:.0f}"]
        print(f"| {' '.join(runtime)} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
