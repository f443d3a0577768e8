"""Relevance feedback: the gain of the simulated user, and each refinement round by round."""

from typing import Any

import pandas as pd

from cbir.feedback.records import GAIN_COLUMNS, SHOWN_RESULTS, SHOWN_ROUNDS, flags
from cbir.feedback.strategies import REGISTRY as STRATEGIES
from cbir.report.results import Results, records
from cbir.results import EXAMPLE, GAIN, GAIN_PICTURE, ROUNDS

TITLE = "Relevance feedback"
ORDER = 100
INPUTS = (GAIN, GAIN_PICTURE, EXAMPLE, ROUNDS)


def gather(results: Results) -> dict[str, Any] | None:
    """Return the simulated user's gain with each method, and the rounds of each refinement; None without either."""
    simulated, refinements = results.names["simulated"], results.names["refinement"]
    if not simulated and not refinements:
        return None
    simulations = {method: _simulation(results, method) for method in simulated}
    refined = [{"name": name, **_refinement(results, results.json(ROUNDS, refinement=name))} for name in refinements]
    used = {row["strategy"] for item in simulations.values() for row in item["rows"]}
    used |= {item["strategy"] for item in refined}
    gallery = max((method.summary["gallery"] for method in results.methods), default=0)
    return {
        "settings": results.config["feedback"],
        "gallery": gallery,
        "sampled": gallery > results.config["feedback"]["simulation"]["images"],
        "strategies": [(name, STRATEGIES[name].EXPLANATION) for name in STRATEGIES if name in used],
        # Lowest ANMRR first, as in the other sections.
        "methods": [
            {"name": method.name, **method.summary} for method in results.methods if method.name in simulations
        ],
        "simulations": simulations,
        "refinements": refined,
    }


def _simulation(results: Results, method: str) -> dict[str, Any]:
    keys = ["scope", "category", "strategy"]
    table = results.table(GAIN, GAIN_COLUMNS, simulated=method)
    # A value that is not defined is an empty cell, which becomes NaN.
    figures = table.columns.difference(keys)
    table = table.assign(**table[figures].apply(pd.to_numeric, errors="coerce"))
    rows = [
        {
            **dict(zip(keys, map(str, key), strict=True)),
            "queries": int(rounds["queries"].max()),
            "common": int(rounds["common_queries"].max()),
            "rounds": records(rounds),
        }
        for key, rounds in table.groupby(keys, sort=False)
    ]
    # Rows of one scope and category together, single categories last; the sort is stable.
    places = {key: place for place, key in enumerate(dict.fromkeys((row["scope"], row["category"]) for row in rows))}
    rows.sort(key=lambda row: (row["scope"] == "category", places[row["scope"], row["category"]]))
    return {
        "curve": results.vector(GAIN_PICTURE, simulated=method),
        "rounds": sorted(set(table["round"].astype(int))),
        "rows": rows,
        "example": _refinement(results, results.json(EXAMPLE, simulated=method)),
    }


def _refinement(results: Results, record: dict[str, Any]) -> dict[str, Any]:
    rounds = []
    for round in record["rounds"][:SHOWN_ROUNDS]:
        given = flags(round)
        cards = [
            results.card(
                item["image_id"],
                distance=item["distance"],
                right=item["of_category"],
                flag=given.get(item["image_id"]),
                judged=item["judged"],
            )
            for item in round["results"][:SHOWN_RESULTS]
        ]
        elsewhere = len(given) - sum(item["image_id"] in given for item in round["results"])
        rounds.append({**round, "results": cards, "elsewhere": elsewhere})
    return {
        **record["refinement"],
        "query": results.card(record["query"], category=record["category"]),
        "rounds": rounds,
        "all_rounds": len(record["rounds"]),
        "shown": len(rounds[0]["results"]),
    }
