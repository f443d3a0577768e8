"""Write revisited.csv: the published measures of Revisited Oxford and Paris for 5,000 random rankings with junk.

The measures are written here once more, from the article (Radenovic, Iscen, Tolias, Avrithis and Chum, "Revisiting
Oxford and Paris: large-scale image retrieval benchmarking", CVPR 2018) and in the way in which its authors' program
`compute_map` counts, one image after the other and without the library: junk is skipped, average precision is the
area under the curve of precision over recall by trapezoids, and mean precision at k ends at the last relevant image.

    python tests/golden/revisited.py

A row is a query: its average precision to 15 digits, and its precision at 1, 5 and 10 as fractions; "" where it has
no relevant image. The setups easy, medium and hard alternate from query to query.
"""

import csv
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

GALLERIES, QUERIES = 100, 50
SETUPS = ("easy", "medium", "hard")
KAPPAS = (1, 5, 10)
RIGHT = {"easy": {"easy"}, "medium": {"easy", "hard"}, "hard": {"hard"}}
JUNK = {"easy": {"junk", "hard"}, "medium": {"junk"}, "hard": {"junk", "easy"}}


def case(seed: int) -> tuple[list[list[int]], list[list[str]]]:
    """Return a gallery's order for each of 50 queries, closest first, and the grade of each image; "" is wrong."""
    rng = np.random.default_rng([2018, seed])
    size = int(rng.integers(1, 80))
    orders, grades = [], []
    for _ in range(QUERIES):
        share = rng.dirichlet([1, 1, 1, 3])
        orders.append(rng.permutation(size).tolist())
        grades.append(rng.choice(["easy", "hard", "junk", ""], size, p=share).tolist())
    return orders, grades


def measure(order: list[int], grades: list[str], setup: str) -> tuple[float, list[Fraction]] | None:
    """Return average precision, and precision at each of `KAPPAS`; None if there is no relevant image."""
    positives = sum(grade in RIGHT[setup] for grade in grades)
    if not positives:
        return None
    area, old_recall, old_precision, rank, hits, places = 0.0, 0.0, 1.0, 0, 0, []
    for image in order:
        if grades[image] in JUNK[setup]:
            continue
        rank += 1
        if grades[image] in RIGHT[setup]:
            hits += 1
            places.append(rank)
        recall, precision = hits / positives, hits / rank
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    at = []
    for kappa in KAPPAS:
        depth = min(kappa, places[-1])
        at.append(Fraction(sum(place <= depth for place in places), depth))
    return area, at


def main() -> None:
    with Path(__file__).with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["average_precision", *(f"precision_at_{kappa}" for kappa in KAPPAS)])
        for seed in range(GALLERIES):
            for number, (order, grades) in enumerate(zip(*case(seed), strict=True)):
                found = measure(order, grades, SETUPS[number % 3])
                writer.writerow([""] * 4 if found is None else [f"{found[0]:.15g}", *found[1]])


if __name__ == "__main__":
    sys.exit(main())
