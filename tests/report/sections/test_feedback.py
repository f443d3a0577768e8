"""The section of the report on feedback, made from small results written by hand."""

import base64

from report_run import Run


def test_without_feedback_there_is_no_section(run: Run) -> None:
    assert not run.report().all("section", id="feedback")


def test_the_gain_is_shown_in_tables_and_as_a_curve(run: Run) -> None:
    run.simulate()
    part = run.section("feedback")
    curve = part.one("img", class_="curve")
    assert base64.b64decode(curve.attrs["src"].split(",")[1]) == b"<svg>a curve</svg>"
    precision, unjudged, anmrr = part.all("table")
    # The strategies with the figures of many queries come first.
    assert precision.cells()[0] == ["Queries", "Strategy", "plain", "round 1"]
    assert precision.cells()[1] == ["worst categories (4)", "rocchio", "0.500", "0.750"]
    assert [row[:2] for row in precision.cells()[2:]] == [
        ["worst categories (4)", "linear"],
        ["sample of all (4)", "rocchio"],
        ["sample of all (4)", "linear"],
        [f"{run.categories[1]} (4)", "rocchio"],
        [f"{run.categories[1]} (4)", "linear"],
    ]
    # The figures of the queries that all strategies have in common, and their number.
    assert unjudged.cells()[1] == ["worst categories (3)", "rocchio", "0.375", "0.375 (0.188)"]
    assert "without feedback" in unjudged.one("caption").text and "without" not in precision.one("caption").text
    # No relevant image remained.
    assert anmrr.cells()[1][2:] == ["0.625", "– (–)"]


def test_a_refinement_shows_its_rounds_with_their_judgements(run: Run) -> None:
    run.names["refinement"] = ["mine<i>"]
    run.json("feedback/mine<i>/rounds.json", run.rounds())
    part = run.section("feedback")
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
    run.names["refinement"] = ["long"]
    run.json("feedback/long/rounds.json", run.rounds(k=1000, rounds=101))
    part = run.section("feedback")
    assert "the first 2 of 1,000 results and the first 11 of 101 rankings" in part.text
    assert len(part.all("figure")) == 1 + 11 * 2


def test_own_refinements_come_before_simulated_ones(run: Run) -> None:
    run.simulate()
    run.names["refinement"] = ["mine"]
    run.json("feedback/mine/rounds.json", run.rounds())
    part = run.section("feedback")
    assert [heading.text for heading in part.all("h3")] == ["Refinement mine", "A simulated user"]
    [figures] = part.all("details")
    assert "open" not in figures.attrs and len(figures.all("table")) == len(part.all("table")) == 3
    assert not figures.all("img")


def test_a_sample_of_the_gallery_is_said_to_be_one(run: Run) -> None:
    run.simulate()
    assert "a sample of" not in run.section("feedback").text
    run.config["feedback"]["simulation"]["images"] = 5
    assert "Of the gallery's 18 images a sample of 5 was searched" in run.section("feedback").text
