"""The report's section on feedback, over small results written by hand, read back from the page."""

import base64
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_report import Run, section

from cbir.report import build


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def record(run: Run, k: int = 2, rounds: int = 2) -> dict[str, Any]:
    """A dog's query; a dog and a fish are its results in every round."""
    dog, fish = run.image(1, 2), run.image(2, 3)
    result = {"position": 0, "distance": 1.25, "score": -1.25, "judged": None}
    shown = [{**result, "image_id": dog, "of_category": True}, {**result, "image_id": fish, "of_category": False}]
    after = [shown[0] | {"judged": "relevant"}, shown[1]]
    none: dict[str, list[str]] = {"relevant": [], "irrelevant": []}
    figures = {"precision_at_k": 0.5, "residual_precision_at_k": 0.25, "judged_relevant": 1, "judged_irrelevant": 0}
    first = {
        "round": 0,
        **figures,
        "results": shown,
        "flagged": {"relevant": [dog], "irrelevant": [run.image(0, 1), run.image(0, 2)]},
    }
    return {
        "refinement": {"query": run.image(1, 8), "method": "plain", "k": k, "strategy": "linear", "rounds": []},
        "query": run.image(1, 8),
        "category": run.names[1],
        "rounds": [first, *({"round": n, **figures, "results": after, "flagged": none} for n in range(1, rounds))],
    }


def simulation(run: Run) -> build.SimulationFiles:
    scopes = [("category", run.names[1]), ("worst", ""), ("sample", "")]
    rows = [
        {
            "strategy": strategy,
            "scope": scope,
            "category": category,
            "round": number,
            "queries": 4,
            "judged": 2 * number,
        }
        | {"precision_at_k": 0.5 + number / 4, "residual_precision_at_k": 0.25, "residual_precision_at_k_plain": 0.125}
        | {"residual_anmrr": "" if number else 0.75, "residual_anmrr_plain": "" if number else 0.75}
        for strategy in ("rocchio", "linear")
        for scope, category in scopes
        for number in (0, 1)
    ]
    (run.folder / "gain.svg").write_text("<svg>a curve</svg>")
    return build.SimulationFiles(
        method="plain",
        gain=run.csv("gain.csv", pd.DataFrame(rows)),
        curve=str(run.folder / "gain.svg"),
        example=run.json("example.json", record(run)),
    )


def with_settings(run: Run) -> dict[str, Any]:
    settings = {"beta": 0.7, "gamma": 0.1, "simulation": {"k": 2}}
    return run.files.config | {"feedback": settings}


def test_without_feedback_there_is_no_section(run: Run) -> None:
    assert not run.page().all("section", id="feedback")


def test_the_gain_stands_in_tables_and_as_a_curve(run: Run) -> None:
    part = section(run.page(config=with_settings(run), simulations=[simulation(run)]), "feedback")
    curve = part.one("img", class_="curve")
    assert base64.b64decode(curve.attrs["src"].split(",")[1]) == b"<svg>a curve</svg>"
    precision, unjudged, anmrr = part.all("table")
    # The strategies of what many queries say first.
    assert precision.cells()[0] == ["Queries", "Strategy", "plain", "round 1"]
    assert precision.cells()[1] == ["worst categories (4)", "rocchio", "0.500", "0.750"]
    assert [row[:2] for row in precision.cells()[2:]] == [
        ["worst categories (4)", "linear"],
        ["sample of all (4)", "rocchio"],
        ["sample of all (4)", "linear"],
        [f"{run.names[1]} (4)", "rocchio"],
        [f"{run.names[1]} (4)", "linear"],
    ]
    assert unjudged.cells()[1][2:] == ["0.250", "0.250 (0.125)"]
    assert "without feedback" in unjudged.one("caption").text and "without" not in precision.one("caption").text
    # Nothing was left to find.
    assert anmrr.cells()[1][2:] == ["0.750", "– (–)"]


def test_a_refinement_shows_its_rounds_with_what_was_judged(run: Run) -> None:
    refinements = {"mine<i>": run.json("mine.json", record(run))}
    part = section(run.page(config=with_settings(run), refinements=refinements), "feedback")
    assert "simulated" not in part.text
    assert part.one("h3").text == "Refinement mine<i>"
    cards = [figure.one("figcaption").text for figure in part.all("figure")]
    assert cards == [
        "query dog 8.png",
        "+ relevant dog 2.png distance 1.250 right",
        "fish 3.png distance 1.250 wrong",
        "dog 2.png distance 1.250 right, relevant before",
        "fish 3.png distance 1.250 wrong",
    ]
    assert "2 images beyond these results were judged as well" in part.text
    assert "Round 1, after 1 relevant and 0 irrelevant precision 0.500; 0.250 over images not judged" in part.text


def test_a_long_refinement_is_shown_in_part(run: Run) -> None:
    refinements = {"long": run.json("long.json", record(run, k=1000, rounds=101))}
    part = section(run.page(config=with_settings(run), refinements=refinements), "feedback")
    assert "the first 2 of 1,000 results and the first 11 of 101 rankings" in part.text
    assert len(part.all("figure")) == 1 + 11 * 2
