"""Write disjoint.csv: metrics by pytorch-metric-learning of collections that are searched by their own images.

It is no dependency of the tests (see metrics.py). Its figures were written down once, by:

    pip install torch==1.13.1 "numpy<2" pytorch-metric-learning==2.9.0
    python tests/golden/disjoint.py

A row is a collection of unseen classes, as CUB-200-2011 or Stanford Online Products are evaluated: means over its
images, each of which is searched among the others, without images that have no relevant image.
"""

import csv
import sys
from pathlib import Path

import numpy as np

COLLECTIONS = 200
NAMES = ["precision_at_1", "mean_average_precision_at_r"]


def collection(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings (n, 4) float32 and labels (n,) of up to 60 images; some classes have one image."""
    rng = np.random.default_rng([2020, seed])
    size = int(rng.integers(4, 61))
    labels = np.append(rng.integers(0, 2 + size // 6, size - 2), [0, 0])
    return (rng.normal(size=(size, 4)) + 0.7 * np.cos(labels[:, None] * [1, 2, 3, 5])).astype(np.float32), labels


def main() -> None:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    def nearest(query: object, k: int, reference: object, same_source: bool) -> tuple:
        # Exactly, in the order of the rows where distances are equal; the image itself comes first.
        vectors = np.asarray(query, np.float64)
        distances = np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=-1))
        np.fill_diagonal(distances, -1)
        order = distances.argsort(axis=1, kind="stable")
        found = torch.tensor(np.take_along_axis(distances, order, axis=1)[:, 1 : k + 1])
        return found, torch.tensor(order[:, 1 : k + 1])

    with Path(__file__).with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(NAMES)
        for seed in range(COLLECTIONS):
            vectors, labels = (torch.tensor(values) for values in collection(seed))
            calculator = AccuracyCalculator(NAMES, k="max_bin_count", knn_func=nearest, device=torch.device("cpu"))
            found = calculator.get_accuracy(vectors, labels)
            writer.writerow([f"{found[name]:.15g}" for name in NAMES])


if __name__ == "__main__":
    sys.exit(main())
