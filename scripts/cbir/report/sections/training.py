"""How each trained encoder came to its weights."""

from typing import Any

from cbir.report.results import Results, records

TITLE = "Training"
ORDER = 50
INPUTS = (
    "encoders/{trained}/history.csv",
    "encoders/{trained}/training.svg",
)


def gather(results: Results) -> dict[str, Any] | None:
    """How each trained encoder came to its weights."""
    if not results.names["trained"]:
        return None
    encoders = []
    for name in results.names["trained"]:
        history = results.table(f"encoders/{name}/history.csv", ["epoch", "images", "anmrr", "map", "best"])
        encoders.append(
            {
                "name": name,
                "epochs": int(history["epoch"].max()),
                "images": int(history["images"].max()),
                "first": records(history.iloc[:1])[0],
                "best": records(history[history["best"] == 1])[0],
                "picture": results.vector(f"encoders/{name}/training.svg"),
            }
        )
    return {"encoders": encoders}
