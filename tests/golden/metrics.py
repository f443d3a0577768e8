"""Write metrics.csv: metrics by ranx and pytorch-metric-learning of the random rankings of tests/rankings.py.

They are no dependencies of the tests: with what they need, ranx takes 0.5 GB and 40 s to compile itself on every new
machine, pytorch-metric-learning 5 GB. Their figures are written down once instead, by:

    uv run --no-project --with ranx==0.3.21 --with pytorch-metric-learning==2.9.0 --with torch==2.15.0 \
        python tests/golden/metrics.py

A row is a gallery: means over its 10 queries, of ranx with undefined queries as 0 (its convention), of
pytorch-metric-learning without them (its convention; empty where no query is left).
"""

import csv
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from rankings import GALLERIES, Case, random_case

RANX = ["map", "r-precision", "precision@3", "recall@3", "precision@45", "recall@45"]
PML = ["precision_at_1", "r_precision", "mean_average_precision_at_r"]


def ranx_means(cases: list[Case]) -> list[list[float]]:
    from ranx import Qrels, Run, evaluate

    judged, runs, rows = {}, {}, []
    for number, case in enumerate(cases):
        for query, order in enumerate(case.order):
            key = f"{number:04d}-{query}"
            # Decreasing scores without ties, because ranx does not define the order of ties.
            runs[key] = {f"{image:02d}": float(len(order) - rank) for rank, image in enumerate(order)}
            hits = np.flatnonzero(case.relevant[query])
            # ranx requires a judged image for every query.
            judged[key] = {f"{image:02d}": 1 for image in hits} if len(hits) else {"none": 1}
    run = Run(runs)
    evaluate(Qrels(judged), run, RANX)
    for number in range(len(cases)):
        keys = [key for key in runs if key.startswith(f"{number:04d}-")]
        rows.append([float(np.mean([run.scores[name][key] for key in keys])) for name in RANX])
    return rows


def pml_means(cases: list[Case]) -> list[list[float]]:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    rows = []
    for case in cases:
        order = torch.tensor(case.order)

        def ranked(query: object, k: int, reference: object, same_source: bool, order: torch.Tensor = order) -> tuple:
            return order[:, :k].double(), order[:, :k]

        calculator = AccuracyCalculator(include=PML, k=len(case.gallery), knn_func=ranked, device=torch.device("cpu"))
        found = calculator.get_accuracy(
            torch.zeros(len(case.queries), 1),
            torch.tensor(case.queries),
            torch.zeros(len(case.gallery), 1),
            torch.tensor(case.gallery),
        )
        defined = case.relevant.any()
        rows.append([float(found[name]) if defined else float("nan") for name in PML])
    return rows


def main() -> None:
    cases = [random_case(seed, ties) for ties in (False, True) for seed in range(GALLERIES)]
    with Path(__file__).with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f"ranx {name}" for name in RANX] + [f"pml {name}" for name in PML])
        for row in map(list.__add__, ranx_means(cases), pml_means(cases)):
            writer.writerow(["" if np.isnan(value) else f"{value:.7g}" for value in row])


if __name__ == "__main__":
    main()
