"""The confusion matrix of each method, and its most frequent confusions."""

from typing import Any

import numpy as np

from cbir.report import excerpts
from cbir.report.results import Results
from cbir.results import CONFUSION

TITLE = "Confusion"
ORDER = 70
NEEDS_LABELS = True
INPUTS = (CONFUSION,)
MAX_CONFUSIONS = 10
"""The most rows of the table of most frequent confusions."""


def gather(results: Results) -> dict[str, Any]:
    """Return each method's confusion matrix, as counts and as shares of rows, and its most frequent confusions."""
    return {method.name: _confusion(results, method.name) for method in results.methods}


def _confusion(results: Results, method: str) -> dict[str, Any]:
    names, counts = results.confusion(method)
    supports = counts.sum(axis=1)
    shares = counts / np.maximum(supports, 1)[:, None]
    wrong = [
        {
            "true": names[row],
            "predicted": names[column],
            "count": int(counts[row, column]),
            "support": int(supports[row]),
            "share": float(shares[row, column]),
            "anchor": results.anchor(method, names[row], names[column]),
        }
        for row, column in zip(*np.nonzero(counts), strict=True)
        if row != column
    ]
    drawn = excerpts.most_confused(counts, excerpts.MOST)
    wrong.sort(key=lambda item: (-item["count"], -item["share"], item["true"], item["predicted"]))
    anchors = {(item["true"], item["predicted"]): item["anchor"] for item in wrong}
    return {
        "names": [names[place] for place in drawn],
        "categories": len(names),
        "counts": counts[np.ix_(drawn, drawn)].tolist(),
        "shares": shares[np.ix_(drawn, drawn)].tolist(),
        "anchors": [[anchors.get((names[row], names[column])) for column in drawn] for row in drawn],
        "supports": supports[drawn].tolist(),
        "frequent": wrong[:MAX_CONFUSIONS],
        "errors": sum(item["count"] for item in wrong),
        "queries": int(supports.sum()),
    }
