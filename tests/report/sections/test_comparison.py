import base64

import pandas as pd

from report_run import Run

METHOD = ["Method", "Accuracy", "ANMRR", "MAP"]


def test_one_method_is_not_compared(run: Run) -> None:
    assert not run.report().all("section", id="comparison")


def test_methods_pairs_and_categories(run: Run) -> None:
    run.compare()
    run.tests(("one", "two", "accuracy", 0.25, "chance"), ("one", "two", "anmrr", -0.25, "real"))
    part = run.section("comparison")
    methods, differences, places = part.all("table")
    assert methods.cells() == [
        METHOD,
        [
            "one",
            "75.0 % 70.0 % to 80.0 % 65.0 % to 85.0 %",
            "0.250 0.200 to 0.300 0.150 to 0.350",
            "0.625 0.600 to 0.650 0.575 to 0.675",
        ],
        [
            "two",
            "50.0 % 40.0 % to 60.0 % 30.0 % to 70.0 %",
            "0.500 0.450 to 0.550 0.400 to 0.600",
            "0.375 – to – – to –",
        ],
    ]
    assert "95 % intervals, above for new images of these categories, below for new categories" in part.text
    assert differences.cells() == [
        ["Methods", *METHOD[1:]],
        [
            "one and two",
            "+25.0 points chance, p = 0.25 too few, p = 0.25",
            "-0.250 real, p ≤ 0.25 too few, p ≤ 0.25",
            # Of the third metric the run has no tests.
            "–",
        ],
    ]
    assert places.cells()[1:] == [["one", "best", "cat 0.88, dog 0.50"], ["two", "worst", "fish 0.25"]]
    assert "one and two . No difference is real." in part.text
    pictures = [base64.b64decode(image.attrs["src"].split(",")[1]).decode() for image in part.all("img")]
    assert pictures == ["<svg>methods</svg>", "<svg>one_vs_two</svg>", "<svg>categories</svg>"]


def test_figures_of_a_study_are_shown_if_configured(run: Run) -> None:
    run.compare()
    assert "study" not in run.section("comparison").text.lower()
    run.config["report"]["study"] = {
        "two": {"accuracy": 0.8709, "anmrr": 0.39},
        "three": {"accuracy": 0.1214, "anmrr": 0.88},
    }
    part = run.section("comparison")
    head, *rows = part.all("table")[0].cells()
    assert head == [*METHOD, "Study: accuracy", "Study: ANMRR"]
    assert [[row[0], *row[-2:]] for row in rows] == [
        ["one", "–", "–"],
        ["two", "87.09 %", "0.39"],
        # A method that only the study has.
        ["three", "12.14 %", "0.88"],
    ]
    assert "published figures" in part.text


def test_categories_that_are_among_the_best_and_the_worst_are_listed_once(run: Run) -> None:
    run.compare()
    names = ["a", "b", "c"]
    rows = [["one", "best", rank, name, 1 - rank / 4] for rank, name in enumerate(names, start=1)]
    rows += [["one", "worst", rank, name, rank / 4] for rank, name in enumerate(reversed(names), start=1)]
    run.csv("comparison/best_worst.csv", pd.DataFrame(rows, columns=["method", "place", "rank", "category", "f1"]))
    *_, places = run.section("comparison").all("table")
    assert places.cells()[1:] == [["one", "all, best first", "a 0.75, b 0.50, c 0.25"]]
