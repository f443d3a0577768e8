"""Comparisons against differences, orders and p-values worked by hand."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from cbir.evaluation import comparison
from cbir.evaluation.comparison import Evaluated
from cbir.files.errors import InputError
from cbir.files.tables import write_csv, write_json
from cbir.report import plots
from cbir.workflow import configuration

SETTINGS: dict[str, Any] = {"confidence": 0.95, "resamples": 999, "seed": 1}


def evaluated(
    method: str,
    *,
    correct: Sequence[bool] = (True, True, False),
    nmrr: Sequence[float] = (0.1, 0.2, 0.6),
    precision: Sequence[float] | None = None,
    f1: dict[str, float] | None = None,
    categories_of: int = 1,
) -> Evaluated:
    """An evaluation with queries x/000, x/001, ...; without ``precision``, average precision is 1 - NMRR.

    The queries are sorted by category, in categories of equal size.
    """
    f1 = f1 or {"x": 1.0}
    precision = precision or [1 - value for value in nmrr]
    queries = pd.DataFrame({"image_id": [f"x/{number:03}" for number in range(len(correct))]})
    queries = queries.assign(category=[f"c{number * categories_of // len(correct)}" for number in range(len(correct))])
    queries = queries.assign(correct=np.array(correct, bool), nmrr=nmrr, average_precision=precision)
    ranked = sorted(f1, key=lambda name: -f1[name])
    categories = pd.DataFrame({"category": ranked, "f1": [f1[name] for name in ranked], "support": 3, "anmrr": 0.5})
    summary = {"method": method, "k": 3, "queries": len(queries), "accuracy": float(queries["correct"].mean())}
    summary |= {"anmrr": float(queries["nmrr"].mean()), "map": float(queries["average_precision"].mean())}
    summary |= {"worst_category": ranked[-1], "features_sha256": {"train": "0", "test": "1"}}
    return Evaluated(method, summary, categories, queries)


def compare(a: Evaluated, b: Evaluated, others: Sequence[Evaluated] = (), **settings: Any) -> dict[str, Any]:
    """Compare two methods of a run that has others, too."""
    return comparison.compare(a, b, comparison.pair_tests([a, b, *others], **settings), **settings)


def write(found: Evaluated, folder: Path) -> tuple[str, str, str]:
    paths = (str(folder / "summary.json"), str(folder / "categories.csv"), str(folder / "queries.csv"))
    write_json(paths[0], found.summary)
    write_csv(paths[1], found.categories)
    write_csv(paths[2], found.queries)
    return paths


class TestRead:
    def test_rows_of_two_methods_match_whatever_their_order(self, tmp_path: Path) -> None:
        written = evaluated("a")
        shuffled = Evaluated("a", written.summary, written.categories, written.queries[::-1])
        found = comparison.read("a", *write(shuffled, tmp_path))
        pd.testing.assert_frame_equal(found.queries, written.queries)

    def test_empty_cells_are_undefined_figures(self, tmp_path: Path) -> None:
        found = comparison.read("a", *write(evaluated("a", nmrr=(0.1, np.nan, 0.6)), tmp_path))
        assert found.queries["nmrr"].isna().tolist() == [False, True, False]
        assert found.queries["average_precision"].dtype == np.float64

    def test_a_summary_of_another_method(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"summary\.json is of the method 'a', not 'b'"):
            comparison.read("b", *write(evaluated("a"), tmp_path))

    def test_a_summary_without_a_figure(self, tmp_path: Path) -> None:
        paths = write(evaluated("a"), tmp_path)
        write_json(paths[0], {"method": "a", "k": 3, "accuracy": 0.5})
        with pytest.raises(InputError, match=r"summary\.json lacks 'anmrr'"):
            comparison.read("a", *paths)
        write_json(paths[0], 7)
        with pytest.raises(InputError, match=r"summary\.json lacks 'method'"):
            comparison.read("a", *paths)

    def test_a_figure_that_is_no_number(self, tmp_path: Path) -> None:
        paths = write(evaluated("a"), tmp_path)
        Path(paths[2]).write_text(Path(paths[2]).read_text().replace("0.6", "much"))
        with pytest.raises(InputError, match=r"queries\.csv has a figure that is not a number \(.*much"):
            comparison.read("a", *paths)

    def test_answers_that_are_neither_true_nor_false(self, tmp_path: Path) -> None:
        paths = write(evaluated("a"), tmp_path)
        text = Path(paths[2]).read_text().replace("False", "perhaps")
        Path(paths[2]).write_text(text)
        with pytest.raises(InputError, match=r"queries\.csv has values other than True and False"):
            comparison.read("a", *paths)


class TestSameQueries:
    def test_same_queries_pass(self) -> None:
        comparison.require_same_queries([evaluated("a"), evaluated("b", correct=(False, False, True))])

    def test_another_query(self) -> None:
        other = evaluated("b")
        other.queries.loc[1, "image_id"] = "x/777"
        with pytest.raises(InputError, match=r"'a' and 'b' have different queries \('x/001' is in one of them only\)"):
            comparison.require_same_queries([evaluated("a"), other])

    def test_a_missing_query(self) -> None:
        with pytest.raises(InputError, match="'x/002' is in one of them only"):
            comparison.require_same_queries([evaluated("a"), evaluated("b", correct=(True, True), nmrr=(0.1, 0.2))])

    def test_a_query_twice(self) -> None:
        other = evaluated("b")
        twice = Evaluated("b", other.summary, other.categories, pd.concat([other.queries, other.queries[:1]]))
        with pytest.raises(InputError, match="repetitions"):
            comparison.require_same_queries([evaluated("a"), twice])

    def test_the_third_method_counts_too(self) -> None:
        other = evaluated("c", f1={"y": 1.0})
        with pytest.raises(InputError, match="'a' and 'c' have different categories"):
            comparison.require_same_queries([evaluated("a"), evaluated("b"), other])

    def test_another_k(self) -> None:
        b = evaluated("b")
        with pytest.raises(InputError, match="k = 3 and k = 5"):
            comparison.require_same_queries(
                [evaluated("a"), Evaluated("b", {**b.summary, "k": 5}, b.categories, b.queries)]
            )


class TestMethods:
    def test_best_anmrr_first_then_accuracy_then_name(self) -> None:
        worse = evaluated("a", nmrr=(0.2, 0.3, 0.7))
        alike = [
            evaluated(name, correct=correct) for name, correct in (("d", [1, 1, 0]), ("c", [1, 1, 0]), ("b", [1, 0, 0]))
        ]
        assert comparison.methods([worse, *alike], **SETTINGS)["method"].tolist() == ["c", "d", "b", "a"]

    def test_the_summary_with_intervals_behind_their_figures(self) -> None:
        table = comparison.methods([evaluated("a")], **SETTINGS)
        ends = ("", "_low", "_high", "_categories_low", "_categories_high")
        figures = [f"{name}{end}" for name in ("accuracy", "anmrr", "map") for end in ends]
        assert list(table) == ["method", "k", "queries", *figures, "worst_category"]
        assert table.loc[0, ["accuracy", "anmrr", "map"]].tolist() == pytest.approx([2 / 3, 0.3, 0.7])

    def test_intervals(self) -> None:
        # Hits of ten draws from seven right of ten are binomial (10, 0.7): P(<= 4) = 0.047 and P(<= 5) = 0.150,
        # P(<= 8) = 0.851 and P(<= 9) = 0.972, so the quantiles 0.1 and 0.9 are 5 and 9; NMRR 0 where right and 1 where
        # wrong reverses them. Accuracy has Wilson's interval: with z = 1.28155 its centre is
        # (0.7 + z^2 / 20) / (1 + z^2 / 10) = 0.671786 and half its width
        # z / (1 + z^2 / 10) sqrt(0.7 x 0.3 / 10 + z^2 / 400) = 0.174415.
        right = [True] * 7 + [False] * 3
        item = evaluated("a", correct=right, nmrr=[float(not value) for value in right])
        row = comparison.methods([item], confidence=0.8, resamples=9999, seed=1).iloc[0]
        assert row[["accuracy_low", "accuracy_high"]].tolist() == pytest.approx([0.497371, 0.846201], abs=1e-6)
        assert row[["anmrr_low", "anmrr_high"]].tolist() == pytest.approx([0.1, 0.5])
        assert row[["map_low", "map_high"]].tolist() == pytest.approx([0.5, 0.9])

    def test_intervals_of_categories(self) -> None:
        # Two categories of five queries, all right in one and none in the other: both draws are of the first, of the
        # second or one of each, with probabilities 1/4, 1/4 and 1/2. Queries alone are binomial (10, 0.5).
        right = [True] * 5 + [False] * 5
        item = evaluated("a", correct=right, nmrr=[float(not value) for value in right], categories_of=2)
        row = comparison.methods([item], confidence=0.8, resamples=9999, seed=1).iloc[0]
        assert row[["anmrr_low", "anmrr_high"]].tolist() == pytest.approx([0.3, 0.7])
        assert row[["anmrr_categories_low", "anmrr_categories_high"]].tolist() == [0, 1]
        assert row[["accuracy_categories_low", "accuracy_categories_high"]].tolist() == [0, 1]

    def test_the_interval_of_an_accuracy_of_one_has_a_lower_bound_below_one(self) -> None:
        # Wilson's lower bound of n of n is n / (n + z^2); of new categories it is no higher.
        item = evaluated("a", correct=[True] * 31, nmrr=[0.5] * 31, categories_of=7)
        row = comparison.methods([item], **SETTINGS).iloc[0]
        bounds = pytest.approx([31 / (31 + 1.959964**2), 1])
        assert row[["accuracy_low", "accuracy_high"]].tolist() == bounds
        assert row[["accuracy_categories_low", "accuracy_categories_high"]].tolist() == bounds

    def test_the_interval_of_perfect_rankings_is_not_a_point(self) -> None:
        item = evaluated("a", correct=[True] * 31, nmrr=[0.0] * 30 + [np.nan], categories_of=7)
        row = comparison.methods([item], **SETTINGS).iloc[0]
        least = 30 / (30 + 1.959964**2)
        assert row[["anmrr_low", "anmrr_high"]].tolist() == pytest.approx([0, 1 - least])
        assert row[["map_categories_low", "map_categories_high"]].tolist() == pytest.approx([least, 1])
        # As two methods that are both right everywhere: the bounds are as far from 0 as these from 1.
        found = compare(item, item, **SETTINGS)
        assert (found["map"]["low"], found["map"]["high"]) == pytest.approx((least - 1, 1 - least))

    def test_a_method_with_an_undefined_figure_is_last(self, tmp_path: Path) -> None:
        item = evaluated("a", nmrr=[np.nan] * 3)
        undefined = Evaluated("a", {**item.summary, "anmrr": None, "map": None}, item.categories, item.queries)
        table = comparison.methods([undefined, evaluated("b")], **SETTINGS)
        assert table["method"].tolist() == ["b", "a"]
        assert table.loc[1, ["anmrr", "anmrr_low", "map_high"]].isna().all()
        plots.method_figures(comparison.methods([undefined], **SETTINGS), 0.95, tmp_path / "methods.svg")


class TestCategories:
    def test_side_by_side_best_mean_first(self) -> None:
        a = evaluated("a", f1={"cat": 1.0, "ant": 0.5, "bee": 0.5, "dog": 0.25})
        b = evaluated("b", f1={"dog": 1.0, "ant": 0.5, "bee": 0.5, "cat": 0.5})
        # Means: cat 0.75, dog 0.625, ant and bee 0.5.
        table = comparison.categories([b, a])
        assert list(table) == ["category", "support", "f1_b", "f1_a"]
        assert table["category"].tolist() == ["cat", "dog", "ant", "bee"]
        assert table["f1_a"].tolist() == [1.0, 0.25, 0.5, 0.5]
        assert table["f1_b"].tolist() == [0.5, 1.0, 0.5, 0.5]

    def test_best_and_worst_five(self) -> None:
        ordered = {f"c{number}": 1 - number / 20 for number in range(12)}
        table = comparison.best_worst([evaluated("b", f1=ordered), evaluated("a")])
        of_b = table[table["method"] == "b"]
        assert of_b["place"].tolist() == ["best"] * 5 + ["worst"] * 5
        assert of_b["rank"].tolist() == [1, 2, 3, 4, 5] * 2
        assert of_b["category"].tolist() == ["c0", "c1", "c2", "c3", "c4", "c11", "c10", "c9", "c8", "c7"]
        # One category alone is the best and the worst.
        assert table[table["method"] == "a"]["category"].tolist() == ["x", "x"]

    def test_deltas_largest_first(self) -> None:
        a = evaluated("a", f1={"cat": 0.75, "dog": 0.5, "bee": 0.5, "ant": 0.25, "eel": 1.0})
        b = evaluated("b", f1={"cat": 0.25, "dog": 0.5, "bee": 0.5, "ant": 0.75, "eel": 0.75})
        table = comparison.f1_deltas(a, b)
        assert list(table) == ["category", "f1_a", "f1_b", "delta", "support"]
        assert table["category"].tolist() == ["cat", "eel", "bee", "dog", "ant"]
        assert table["f1_a"].tolist() == [0.75, 1.0, 0.5, 0.5, 0.25]
        assert table["delta"].tolist() == [0.5, 0.25, 0.0, 0.0, -0.5]


# Each p-value below is worked out by hand: of McNemar's test 2 / 2^d of d queries that one method alone got right, of a
# permutation test the share of the flippings that are as extreme, or 1 / 1000 where 999 random ones hold none. Then
# Holm's correction for three tests: the smallest times 3, the next times 2, and no less than the one before.
TESTS = " The p-values for each are corrected for 3 tests (Holm)."
SITUATIONS = {
    # Thirty queries and ten categories with the same difference: 2 of 2^30 and 2 of 2^10 flippings are as extreme.
    "clear": (
        evaluated("a", correct=[True] * 30, nmrr=[0.25] * 30, categories_of=10),
        evaluated("b", correct=[True] * 30, nmrr=[0.5] * 30, categories_of=10),
        "For new images of these categories: real at 95 % confidence, a is better in ANMRR (0.250 against 0.500, "
        "p ≤ 0.003) and MAP (0.750 against 0.500, p ≤ 0.003); the difference in accuracy (a 100.0 %, b 100.0 %, p = 1) "
        "may be chance. For new categories: real at 95 % confidence, a is better in ANMRR (p = 0.00586) and MAP "
        "(p = 0.00586); the difference in accuracy (p = 1) may be chance.",
    ),
    # As many better as worse, in each category.
    "chance": (
        evaluated("a", correct=[True, False] * 15, nmrr=[0.25, 0.5] * 15, categories_of=15),
        evaluated("b", correct=[False, True] * 15, nmrr=[0.5, 0.25] * 15, categories_of=15),
        "For new images of these categories: the differences in accuracy (a 50.0 %, b 50.0 %, p = 1), ANMRR (a 0.375, "
        "b 0.375, p = 1) and MAP (a 0.625, b 0.625, p = 1) may be chance. For new categories: the differences in "
        "accuracy (p = 1), ANMRR (p = 1) and MAP (p = 1) may be chance.",
    ),
    # Five queries, all to one side: 2 of 2^5, three times. One category cannot be exchanged with another.
    "too few": (
        evaluated("a", correct=[True] * 5, nmrr=[0.25] * 5),
        evaluated("b", correct=[False] * 5, nmrr=[0.5] * 5),
        "For new images of these categories: 5 queries are too few to tell whether the differences in accuracy "
        "(a 100.0 %, b 0.0 %, p = 0.188), ANMRR (a 0.250, b 0.500, p = 0.188) and MAP (a 0.750, b 0.500, p = 0.188) "
        "are real. For new categories: 1 category is too few to tell whether the differences in accuracy (p = 1), "
        "ANMRR (p = 1) and MAP (p = 1) are real.",
    ),
    # All twenty queries that differ are of two of the ten categories: 2 of 2^2.
    "real by query only": (
        evaluated("a", correct=[True] * 100, nmrr=[0.25] * 100, categories_of=10),
        evaluated("b", correct=[False] * 20 + [True] * 80, nmrr=[0.25] * 100, categories_of=10),
        "For new images of these categories: real at 95 % confidence, a is better in accuracy (100.0 % against 80.0 %, "
        "p < 0.0001); the differences in ANMRR (a 0.250, b 0.250, p = 1) and MAP (a 0.750, b 0.750, p = 1) may be "
        "chance. For new categories: the differences in accuracy (p = 1), ANMRR (p = 1) and MAP (p = 1) may be chance.",
    ),
    # Six queries to one side, of six of the ten categories: 2 of 2^6 twice, which is 0.0938 of three tests.
    "corrected away": (
        evaluated("a", correct=[False, True, True] * 6 + [True] * 12, nmrr=[0.25] * 30, categories_of=10),
        evaluated("b", correct=[True] * 30, nmrr=[0.25] * 30, categories_of=10),
        "For new images of these categories: the differences in accuracy (a 80.0 %, b 100.0 %, p = 0.0938, 0.0312 "
        "before correction), ANMRR (a 0.250, b 0.250, p = 1) and MAP (a 0.750, b 0.750, p = 1) may be chance. For new "
        "categories: the differences in accuracy (p = 0.0938, 0.0312 before correction), ANMRR (p = 1) and MAP (p = 1) "
        "may be chance.",
    ),
}  # fmt: skip


class TestCompare:
    @pytest.mark.parametrize("situation", SITUATIONS)
    def test_in_words(self, situation: str) -> None:
        a, b, words = SITUATIONS[situation]
        assert compare(a, b, **SETTINGS)["words"] == words + TESTS

    def test_only_discordant_queries_count(self) -> None:
        # Six queries right with b alone and none with a alone: p = 2 / 2^6 = 0.03125, three times of three tests. That
        # is real at 90 %, not at 95 %.
        a = evaluated("a", correct=[True] * 4 + [False] * 6, nmrr=[0.5] * 10)
        b = evaluated("b", correct=[True] * 10, nmrr=[0.5] * 10)
        accuracy = compare(a, b, **SETTINGS)["accuracy"]
        assert (accuracy["only_a"], accuracy["only_b"], accuracy["p_value"]) == (0, 6, 0.03125)
        assert (accuracy["p_corrected"], accuracy["verdict"]) == (0.09375, "chance")
        assert accuracy["difference"] == pytest.approx(-0.6)
        assert -1 <= accuracy["low"] < -0.6 < accuracy["high"] < 0
        loose = compare(a, b, **{**SETTINGS, "confidence": 0.9})
        assert loose["accuracy"]["verdict"] == "real"
        assert loose["words"].startswith(
            "For new images of these categories: real at 90 % confidence, b is better in accuracy (100.0 % against"
        )

    def test_a_lower_anmrr_is_the_better_one(self) -> None:
        # Twenty queries with the same difference: 2 of 2^20 flippings are as extreme, and p is at most 1 / 1000.
        ones = [True] * 20
        a, b = (evaluated(name, correct=ones, nmrr=[value] * 20) for name, value in (("a", 0.25), ("b", 0.5)))
        found = compare(a, b, **SETTINGS)
        assert found["anmrr"]["difference"] == -0.25
        assert (found["anmrr"]["low"], found["anmrr"]["high"]) == (-0.25, -0.25)
        assert (found["anmrr"]["p_value"], found["anmrr"]["p_at_most"]) == (0.001, True)
        assert "a is better in ANMRR (0.250 against 0.500, p ≤ 0.003) and MAP (0.750 against" in found["words"]

    def test_each_method_may_be_better_in_one_figure(self) -> None:
        ones = [True] * 20
        a = evaluated("a", correct=ones, nmrr=[0.25] * 20, precision=[0.25] * 20)
        b = evaluated("b", correct=ones, nmrr=[0.5] * 20, precision=[0.5] * 20)
        found = compare(a, b, **SETTINGS)
        assert (
            "a is better in ANMRR (0.250 against 0.500, p ≤ 0.003) and b is better in MAP (0.500 against"
            in found["words"]
        )

    def test_the_correction_covers_the_tests_of_other_pairs(self) -> None:
        # By queries, of 999 resamples. Accuracy: of a and b 8 of 9 queries to one side, 2 (1 + 9) / 2^9 = 20 / 512; of
        # a and c one each, p = 1; of b and c all seven, 2 / 2^7 = 8 / 512. ANMRR and MAP: at the floor, 0.001, of a and
        # b and of a and c; 1 of b and c. Holm over nine: 9 x 0.001 four times, then 5 x 8 / 512, then 4 x 20 / 512.
        a = evaluated("a", correct=[True] * 1 + [False] * 8 + [True] * 11, nmrr=[0.5] * 20)
        b = evaluated("b", correct=[False] * 1 + [True] * 8 + [True] * 11, nmrr=[0.25] * 20)
        c = evaluated("c", correct=[False] * 1 + [True] * 1 + [False] * 7 + [True] * 11, nmrr=[0.25] * 20)
        found = compare(a, b, others=[c], **SETTINGS)
        assert found["tests"] == 9
        assert found["accuracy"]["p_value"] == pytest.approx(20 / 512)
        assert found["accuracy"]["p_corrected"] == pytest.approx(80 / 512)
        assert found["anmrr"]["p_corrected"] == pytest.approx(0.009)
        assert found["accuracy"]["verdict"] == "chance"
        # The other pairs get the same correction.
        other = compare(a, c, others=[b], **SETTINGS)
        assert other["anmrr"]["p_corrected"] == pytest.approx(0.009)
        assert (other["accuracy"]["p_value"], other["accuracy"]["p_corrected"]) == (1, 1)
        assert compare(b, c, others=[a], **SETTINGS)["accuracy"]["p_corrected"] == pytest.approx(40 / 512)

    def test_the_tests_of_all_pairs_survive_a_file(self, tmp_path: Path) -> None:
        a = evaluated("a", correct=[True] * 5, nmrr=[0.25] * 5)
        # A method named as a number; one without a defined ranking.
        b = evaluated("7", correct=[False] * 5, nmrr=[np.nan] * 5)
        tests = comparison.pair_tests([a, b], **SETTINGS)
        accuracy, anmrr, _ = tests[tests["scope"] == "queries"].to_dict("records")
        # A single test, because the two other metrics are not defined: McNemar's of five queries, 2 / 2^5.
        assert (accuracy["test"], accuracy["difference"], accuracy["p_corrected"]) == ("McNemar", 1, 2 / 32)
        assert (accuracy["verdict"], anmrr["verdict"], anmrr["units"]) == ("too few", "", 0)
        path = tmp_path / "tests.csv"
        write_csv(path, tests)
        pd.testing.assert_frame_equal(comparison.read_tests(str(path)), tests, check_dtype=False)
        path.write_text(path.read_text().replace("False", "perhaps"))
        with pytest.raises(InputError, match="has a flag that is neither True nor False"):
            comparison.read_tests(str(path))
        with pytest.raises(InputError, match="The tests lack a and c"):
            comparison.compare(a, replace(b, method="c"), tests, **SETTINGS)

    def test_seven_categories_cannot_decide_nine_tests(self) -> None:
        # The least p-value of seven categories is 2 / 2^7 = 0.0156, which is 0.141 of nine tests and 0.0469 of three.
        a = evaluated("a", correct=[True] * 35, nmrr=[0.25] * 35, categories_of=7)
        b = evaluated("b", correct=[True] * 35, nmrr=[0.5] * 35, categories_of=7)
        alone = compare(a, b, **SETTINGS)["anmrr"]["categories"]
        assert (alone["p_value"], alone["least"], alone["verdict"]) == (2 / 128, 6 / 128, "real")
        both = compare(a, b, others=[replace(b, method="c")], **SETTINGS)
        assert (both["anmrr"]["categories"]["least"], both["anmrr"]["categories"]["verdict"]) == (18 / 128, "too few")
        assert both["anmrr"]["verdict"] == "real"
        assert "For new categories: 7 categories are too few to tell whether the differences in " in both["words"]

    def test_too_few_resamples(self) -> None:
        # At best 1 / 100 nine times.
        a = evaluated("a", correct=[True] * 30, nmrr=[0.25] * 30, categories_of=10)
        b = evaluated("b", correct=[True] * 30, nmrr=[0.5] * 30, categories_of=10)
        found = compare(a, b, others=[replace(b, method="c")], **{**SETTINGS, "resamples": 99})
        assert found["anmrr"]["verdict"] == found["anmrr"]["categories"]["verdict"] == "too few"
        assert "; 99 resamples are too few to tell whether the differences in ANMRR (" in found["words"]

    def test_a_p_value_of_one_minus_the_confidence_is_real(self) -> None:
        # Five discordant queries on one side: p = 2 / 2^5 = 0.0625, three times 0.1875, which 1 - 0.8125 is exactly.
        a = evaluated("a", correct=[True] * 5, nmrr=[0.5] * 5)
        b = evaluated("b", correct=[False] * 5, nmrr=[0.5] * 5)
        assert compare(a, b, **{**SETTINGS, "confidence": 0.8125})["accuracy"]["verdict"] == "real"
        assert compare(a, b, **{**SETTINGS, "confidence": 0.8126})["accuracy"]["verdict"] == "too few"

    def test_queries_without_a_figure_are_left_out(self) -> None:
        a = evaluated("a", nmrr=(0.1, np.nan, 0.6))
        b = evaluated("b", nmrr=(0.3, np.nan, 0.6))
        assert compare(a, b, **SETTINGS)["anmrr"]["difference"] == pytest.approx(-0.1)

    def test_undefined_figures_are_null(self) -> None:
        item = evaluated("a", correct=(True,), nmrr=(np.nan,))
        a, b = (
            Evaluated(name, {**item.summary, "anmrr": None, "map": None}, item.categories, item.queries)
            for name in ("a", "b")
        )
        found = compare(a, b, **SETTINGS)
        json.dumps(found, allow_nan=False)
        assert found["anmrr"]["p_value"] is found["anmrr"]["verdict"] is found["anmrr"]["difference"] is None
        # They do not count in the correction either.
        assert (found["accuracy"]["difference"], found["tests"]) == (0.0, 1)
        # A single category says nothing about spread.
        assert found["accuracy"]["categories"]["low"] is None
        assert "ANMRR and MAP cannot be computed: no query has images" in found["words"]

    def test_the_seed_decides(self) -> None:
        random = np.random.default_rng(0)
        a, b = (evaluated(name, correct=[True] * 30, nmrr=list(random.random(30))) for name in ("a", "b"))
        first, again, other = (compare(a, b, **{**SETTINGS, "seed": seed}) for seed in (1, 1, 2))
        assert first == again
        assert first["anmrr"]["low"] != other["anmrr"]["low"]
        assert first["map"]["p_value"] != other["map"]["p_value"]


@pytest.mark.parametrize("count", [1, 3])
def test_plots_show_the_numbers_of_the_tables(tmp_path: Path, count: int) -> None:
    f1 = [{"cat": 0.75, "dog $x$": 0.5}, {"cat": 0.875, "dog $x$": 0.5}, {"cat": 0.0, "dog $x$": 0.0}]
    found = [evaluated(name, f1=values) for name, values in zip("abc", f1, strict=True)][:count]
    texts = {}
    drawings: dict[str, Callable[[Path], None]] = {
        "methods": lambda path: plots.method_figures(comparison.methods(found, **SETTINGS), 0.95, path),
        "categories": lambda path: plots.method_categories(comparison.categories(found), path),
        "deltas": lambda path: plots.f1_deltas(comparison.f1_deltas(found[0], found[-1]), "a", "c", path),
    }
    for name, draw in drawings.items():
        path = tmp_path / f"{name}.svg"
        draw(path)
        texts[name] = path.read_text(encoding="utf-8")
        draw(path)
        assert path.read_text(encoding="utf-8") == texts[name]
    assert ">0.667<" in texts["methods"]
    assert ">0.300<" in texts["methods"]
    assert ">0.700<" in texts["methods"]
    assert ">0.750<" in texts["categories"]
    assert "dog $x$" in texts["categories"]
    assert (">+0.750<" in texts["deltas"]) == (count == 3)


class TestConfiguration:
    @pytest.fixture
    def check(self) -> Callable[..., dict[str, Any]]:
        root = Path(__file__).parents[2]
        schema, default = (
            yaml.safe_load((root / name).read_text())
            for name in ("scripts/cbir/workflow/config.schema.yaml", "config.yaml")
        )
        return lambda **changes: configuration.check(
            {**default, **{key: {**default[key], **changes[key]} for key in changes}}, schema
        )

    def test_the_default(self, check: Callable[..., dict[str, Any]]) -> None:
        assert check()["comparison"]["pairs"] == [
            *(["pretrained", "finetuned"], ["pretrained", "combined"]),
            *(["pretrained", "expanded"], ["finetuned", "finetuned-expanded"]),
        ]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"pairs": [["pretrained", "resnet"]]}, r"pairs names the method 'resnet', .* \[pretrained, resnet\]"),
            ({"pairs": [["pretrained"]]}, r"comparison\.pairs\.0 is .* at least 2"),
            ({"pairs": [["siamese", "siamese"]]}, r"comparison\.pairs\.0 is .*without repetitions"),
            ({"confidence": 95}, r"comparison\.confidence is 95, but must be below 1"),
            # Of 399 resamples 0.0025 are beyond either end of an interval, with the observed mean; of 398 none.
            ({"confidence": 0.995, "resamples": 99}, r"comparison\.resamples is 99, too few .* 0\.995.*at least 399"),
            ({"confidence": 0.995, "resamples": 398}, r"comparison\.resamples is 398, too few .* 0\.995"),
        ],
    )  # fmt: skip
    def test_invalid_comparisons_are_refused(
        self, check: Callable[..., dict[str, Any]], changes: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(InputError, match=sentence):
            check(comparison=changes)

    def test_a_method_that_is_switched_off(self, check: Callable[..., dict[str, Any]]) -> None:
        off = {"finetuned": None, "combined": None, "finetuned-expanded": None}
        with pytest.raises(
            InputError, match=r"'finetuned', which is unknown or switched off: .* are expanded, pretrained, siamese\.$"
        ):
            check(methods=off)
        remaining = check(methods=off, comparison={"pairs": []})
        assert remaining["comparison"]["pairs"] == []
