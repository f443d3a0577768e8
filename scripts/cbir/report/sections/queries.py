"""Example queries and their nearest images."""

from typing import Any

from cbir.report.results import Results
from cbir.results import QUERY

TITLE = "Example queries"
ORDER = 90
INPUTS = (QUERY,)


def gather(results: Results) -> dict[str, Any] | None:
    """Return each method's example queries with their nearest images; None if there are none."""
    if not results.names["query"]:
        return None
    chosen = results.config["queries"]["choose"]
    return {
        method.name: [
            {
                "chosen": name if name in chosen else None,
                "query": results.card(data["query"], category=data["category"]),
                "is_new": bool(data["novelty"] and data["novelty"]["is_new"]),
                "results": [
                    results.card(item["image_id"], **{key: item[key] for key in ("right", "distance", "probability")})
                    for item in data["neighbours"]
                ],
            }
            for name in results.names["query"]
            for data in [results.json(QUERY, method=method.name, query=name)]
        ]
        for method in results.methods
    }
