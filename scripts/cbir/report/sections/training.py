"""The training of each encoder: the monitored metric before and after, and the curves."""

from typing import Any

from cbir.evaluation import measure
from cbir.evaluation.metrics import REGISTRY as METRICS
from cbir.report.results import Results
from cbir.results import HISTORY, TRAINING_PICTURE

TITLE = "Training"
ORDER = 50
INPUTS = (HISTORY, TRAINING_PICTURE)


def gather(results: Results) -> dict[str, Any] | None:
    """Return the training of each trained encoder; None if there is none."""
    if not results.names["trained"]:
        return None
    encoders = []
    for name in results.names["trained"]:
        monitor = results.config["encoders"][name]["training"]["monitor"]
        key, metric = measure.key(monitor), METRICS.get_entry(monitor)
        history = results.table(HISTORY, ["epoch", "images", key, "best"], [key], trained=name)
        best = history[history["best"] == 1]
        encoders.append(
            {
                "name": name,
                "epochs": int(history["epoch"].max()),
                "images": int(history["images"].max()),
                "monitor": metric.NAME.format(k=results.config["evaluation"]["k"]),
                "written": metric.FORMAT,
                "before": float(history[key].iloc[0]),
                "best": float(best[key].iloc[0]),
                "best_epoch": int(best["epoch"].iloc[0]),
                "picture": results.vector(TRAINING_PICTURE, trained=name),
            }
        )
    return {"encoders": encoders}
