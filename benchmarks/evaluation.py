"""Compare the speed of the evaluation with trec_eval (pytrec-eval-terrier) and with a plain loop over queries.

    python benchmarks/evaluation.py

Every query ranks a gallery of 8,250 images of 1,280 values, and its average precision, R-precision, precision@3 and
recall@3 are computed; this project also computes ANMRR, MAP@R and NMRR@3. The slow candidates run only a part of the
queries, and times are per query. pytrec-eval-terrier comes with the development environment: `make .venv/dev.stamp`.
"""

import sys
from pathlib import Path

import numpy as np
import pytrec_eval
from peers import THREADS, VALUES, Work, measure, table, vectors

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from cbir.evaluation.measure import all_metrics, is_of_rankings, per_query
from cbir.retrieval import exact

GALLERY, QUERIES, PART, K, REPEATS = 8250, 2750, 100, 3, 3
MEASURES = {"map", "Rprec", f"P_{K}", f"recall_{K}"}


def data(queries: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return queries and their labels, the gallery and its labels."""
    return *vectors(queries, 1), *vectors(GALLERY, 0)


def figures(relevance: np.ndarray, gtm: int) -> list[np.ndarray]:
    """Return all metrics of rankings that this project's evaluation computes."""
    return [per_query(metric, relevance, k=K, gtm=gtm) for metric in all_metrics().values() if is_of_rankings(metric)]


def this_project(queries: int) -> Work:
    x, own, y, labels = data(queries)
    gtm = int(np.bincount(labels).max())
    return lambda: [figures(labels[order] == own[rows, None], gtm) for rows, order in exact.rankings(x, y)]


def this_projects_figures(queries: int) -> Work:
    relevance = ranked(queries)
    gtm = int(relevance.sum(axis=1).max())
    return lambda: figures(relevance, gtm)


def ranked(queries: int) -> np.ndarray:
    """Return the relevance of whole rankings."""
    x, own, y, labels = data(queries)
    return np.concatenate([labels[order] == own[rows, None] for rows, order in exact.rankings(x, y)])


def loop(queries: int) -> Work:
    """Evaluate one query at a time in the straightforward way: distances by differences, a sort, the definitions."""
    x, own, y, labels = data(queries)

    def work() -> list[tuple[float, ...]]:
        found = []
        for query, label in zip(x, own, strict=True):
            distances = np.sqrt(((y.astype(np.float64) - query) ** 2).sum(axis=1))
            found.append(by_definition(labels[np.argsort(distances, kind="stable")] == label))
        return found

    return work


def loop_figures(queries: int) -> Work:
    relevance = ranked(queries)
    return lambda: [by_definition(row) for row in relevance]


def by_definition(relevant: np.ndarray) -> tuple[float, ...]:
    """Return average precision, R-precision, precision@k and recall@k of one ranking, in plain Python."""
    total = sum(relevant)
    hits, precisions = 0, 0.0
    for rank, hit in enumerate(relevant, start=1):
        if hit:
            hits += 1
            precisions += hits / rank
    first = sum(relevant[:K])
    return precisions / total, sum(relevant[:total]) / total, first / K, first / total


def trec_eval_figures(queries: int) -> Work:
    relevance = ranked(queries)
    names = [str(column) for column in range(GALLERY)]
    run = {str(row): {name: -float(rank) for rank, name in enumerate(names)} for row in range(queries)}
    truth = {
        str(row): {names[column]: 1 for column in np.flatnonzero(relevant)} for row, relevant in enumerate(relevance)
    }
    evaluator = pytrec_eval.RelevanceEvaluator(truth, MEASURES)
    return lambda: evaluator.evaluate(run)


def compare(peers: dict[str, tuple]) -> None:
    """Measure peers, whose first argument is how many queries they answer, and print them; the first is ours."""
    found = measure(peers, REPEATS)
    times = {name: 1000 * found[name].seconds / arguments[0] for name, (_, arguments) in peers.items()}
    base = next(iter(times.values()))
    table(
        ["what", "queries", "ms a query", "times this project's", "peak MB"],
        [
            [name, f"{count:,}", f"{times[name]:.3f}", f"{times[name] / base:.1f}", f"{found[name].peak_mb:,.0f}"]
            for name, (_, (count,)) in peers.items()
        ],
    )


def main() -> None:
    """Print the tables."""
    # All candidates must compute the same values.
    few = ranked(20)
    taken = figures(few, int(few.sum(axis=1).max()))
    expected = trec_eval_figures(20)()
    for row, relevant in enumerate(few):
        ours = [taken[place][row] for place in (1, 3, 5, 6)]
        assert np.allclose(ours, by_definition(relevant), rtol=1e-12)
        assert np.allclose(ours, [expected[str(row)][name] for name in ("map", "Rprec", f"P_{K}", f"recall_{K}")])
    print(f"{GALLERY:,} images x {VALUES:,} values, {THREADS} threads, medians of {REPEATS}\n\nRanking and figures\n")
    compare({"this project": (this_project, (QUERIES,)), "a plain loop": (loop, (PART,))})
    print("Figures of rankings that are there already\n")
    compare(
        {
            "this project": (this_projects_figures, (QUERIES,)),
            "trec_eval": (trec_eval_figures, (PART,)),
            "a plain loop": (loop_figures, (PART,)),
        }
    )


if __name__ == "__main__":
    main()
