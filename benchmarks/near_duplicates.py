"""Compare the metrics of splits that keep near-duplicates together with those of splits that ignore them.

    python benchmarks/near_duplicates.py RESULTS [--encoder pretrained] [--seeds 5]

RESULTS is the results folder of a finished run. Each seed splits its images both ways; the encoder's features, which
the run has made, are evaluated in both. Nothing is encoded.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from peers import table

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.collection.columns import GROUP_COLUMNS, IMAGE_COLUMNS
from cbir.collection.protocols import random
from cbir.collection.splits import near_duplicates
from cbir.encoders.runtimes import Runtime, fingerprint
from cbir.evaluation.metrics import REGISTRY
from cbir.evaluation.relevance import mean_defined
from cbir.features.shards import read_rows
from cbir.files.tables import read_csv, read_json
from cbir.retrieval import exact
from cbir.retrieval.voting import majority_vote

K = 3


def figures(images: pd.DataFrame, features: np.ndarray, tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Return the figures of the test images as queries against the train images."""
    place = {digest: row for row, digest in enumerate(images["sha256"])}
    train, test = ([place[digest] for digest in tables[name]["sha256"]] for name in ("train", "test"))
    labels, wanted = images["label"].to_numpy()[train], images["label"].to_numpy()[test]
    gtm = max(np.count_nonzero(labels == label) for label in set(wanted))
    right, nmrr, precision = [], [], []
    for rows, order in exact.rankings(features[test], features[train]):
        relevance = labels[order] == wanted[rows, None]
        right.append(majority_vote(labels[order[:, :K]]) == wanted[rows])
        nmrr.append(REGISTRY["anmrr"].per_query(relevance, gtm=gtm))
        precision.append(REGISTRY["map"].per_query(relevance))
    return {
        "accuracy": float(np.mean(np.concatenate(right))),
        "ANMRR": mean_defined(np.concatenate(nmrr)),
        "MAP": mean_defined(np.concatenate(precision)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--encoder", default="pretrained")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    images = read_csv(options.results / "collection/images.csv", IMAGE_COLUMNS)
    found = read_csv(options.results / "collection/groups.csv", GROUP_COLUMNS)
    configuration = read_json(options.results / "configuration.json")
    settings, row = configuration["split"], configuration["encoders"][options.encoder]
    runtime = Runtime(row["runtime"], row["precision"])
    made = fingerprint(read_json(options.results / f"encoders/{options.encoder}.json")["fingerprint"], runtime)
    shards = sorted((options.results / f"encoded/{options.encoder}/{runtime}").glob("*.h5"))
    features = np.concatenate(list(read_rows(shards, list(images["sha256"]), made)))

    rows, copies = [], []
    for seed in range(options.seeds):
        groups = dict(zip(found["sha256"], found["group"], strict=True))
        apart, together = (random.split(images, {**settings, "seed": seed}, kept) for kept in ({}, groups))
        rows.append((figures(images, features, apart), figures(images, features, together)))
        listed = near_duplicates(images, found, apart)
        across = listed[listed["across_splits"] == 1]
        in_gallery = set(listed.loc[listed["split"] == "train", "group"])
        queries = listed[(listed["split"] == "test") & listed["group"].isin(in_gallery)]
        copies.append((across["group"].nunique(), len(queries), len(apart["test"])))
    print(f"{len(images):,} images, {len(found)} of them in {found['group'].nunique()} groups of near-duplicates")
    groups, queries, tests = np.mean(copies, axis=0)
    print(
        f"without regard to them {groups:.1f} groups stand in several splits, and {queries:.1f} of {tests:.0f} queries "
        f"find a copy of themselves in the gallery (means of {options.seeds} seeds)\n"
    )
    lines = []
    for name in rows[0][0]:
        one, other = (np.array([pair[side][name] for pair in rows]) for side in (0, 1))
        change = other - one
        means = [f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" for values in (one, other)]
        lines.append([name, *means, f"{change.mean():+.4f} ({change.min():+.4f} to {change.max():+.4f})"])
    table(["figure", "apart", "together", "together less apart, smallest to largest"], lines)


if __name__ == "__main__":
    main()
