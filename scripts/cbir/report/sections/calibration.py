"""Confidence in results: probabilities by distance, and queries that are like nothing in the gallery."""

from typing import Any

from cbir.collection.roles import has_unseen_gallery
from cbir.report.results import Results
from cbir.results import CALIBRATION, CALIBRATION_PICTURE

TITLE = "How sure a result is"
ORDER = 85
NEEDS_LABELS = True
INPUTS = (CALIBRATION, CALIBRATION_PICTURE)


def gather(results: Results) -> dict[str, Any] | None:
    """Return each method's calibration error and picture, and how well new queries are distinguished from known ones.

    Returns None if the split protocol has no val images whose gallery is train.
    """
    if not has_unseen_gallery(results.config["split"]["protocol"]):
        return None
    return {method.name: _calibration(results, method.name) for method in results.methods}


def _calibration(results: Results, method: str) -> dict[str, Any]:
    found = results.json(CALIBRATION, method=method)
    probability, novelty = found["probability"], found["novelty"]
    return {
        "results": found["results"],
        "too_few": probability["too_few"],
        "reliability": probability.get("reliability"),
        "picture": results.vector(CALIBRATION_PICTURE, method=method),
        "novelty": novelty,
    }
