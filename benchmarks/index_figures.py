"""What an approximate index costs in accuracy and MAP: figures through each kind, beside those of exact search.

    python benchmarks/index_figures.py RESULTS [--methods M ...] [--recall R] [--ranked N]

Takes the features of a finished run (its folder results/, which is not written to) and evaluates each method as a run
does whose gallery is larger than `evaluation.exact_rows`: the first N results of each query, 1,000 by default, are
ranked by the index, whose search parameter is the lowest that reaches the recall at this rank.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from peers import table

from cbir.evaluation.evaluate import evaluate
from cbir.evaluation.first import RANKED
from cbir.results import Results
from cbir.retrieval import index

KINDS = {
    "exact": {},
    "kdtree": {"leafsize": 32},
    "hnsw": {"links": 32, "ef_construction": 80},
    "ivf-pq": {"lists": None, "code_bytes": None},
    "auto": {"memory_mb": 2000, "ef_construction": 80},
}


def main(arguments: argparse.Namespace) -> None:
    """Print the table."""
    results = Results(arguments.results)
    names, rows = results.categories(), []
    for method in arguments.methods or results.require_methods():
        gallery, queries = results.store(method, results.gallery), results.store(method, "test")
        exact = None
        for kind, options in KINDS.items():
            summary = evaluate(
                gallery,
                queries,
                names,
                index.over(gallery.features, kind, **options),
                k=results.setting("evaluation", "k"),
                neighbours=10,
                worst_images=5,
                worst_retrieved=3,
                seed=0,
                exact_rows=0,
                ranked=arguments.ranked,
                recall=arguments.recall,
            ).summary
            exact = exact or summary
            by = summary["ranked_by"]
            cells = [method, kind, "" if by["effort"] is None else str(by["effort"]), f"{by['recall']:.3f}"]
            for key in ("accuracy", "map"):
                cells += [f"{summary[key]:.4f}", f"{summary[key] - exact[key]:+.4f}"]
            rows.append(cells)
    print(f"{len(gallery.features):,} gallery images, {len(queries.features):,} queries, recall {arguments.recall}\n")
    ranked = summary["ranked"]
    figures = ["accuracy", "less exact", f"MAP@{ranked}", "less exact"]
    table(["method", "index", "efSearch, nprobe", f"recall@{ranked}", *figures], rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--methods", nargs="*")
    parser.add_argument("--recall", type=float, default=0.95)
    parser.add_argument("--ranked", type=int, default=RANKED)
    main(parser.parse_args())
