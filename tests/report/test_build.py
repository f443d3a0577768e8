"""The whole report; the tests of each section are in ``sections``."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from cbir.collection.columns import NEAR_DUPLICATE_COLUMNS
from cbir.files.errors import InputError
from cbir.report import build
from cbir.report.results import INPUTS, Results, expand
from cbir.report.sections import REGISTRY
from cbir.results import OF_LABELS, RANGES
from report_run import CATEGORIES, Reader, Run


def test_the_report_loads_nothing_from_elsewhere(run: Run) -> None:
    page = run.report()
    assert not page.all("link") and not page.all("iframe") and not page.all("object")
    assert page.all("img") and all(image.attrs["src"].startswith("data:image/") for image in page.all("img"))
    [style], [script] = page.all("style"), page.all("script")
    # The pictures that several sections show are in the style sheet.
    assert style.text.count("url(") == style.text.count("url(data:image/jpeg;base64,") > 0
    assert "@import" not in style.text
    assert not script.attrs
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attrs["content"]
    digest = base64.b64encode(hashlib.sha256("".join(map(str, script.parts)).encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_the_report_has_landmarks_headings_and_links(run: Run) -> None:
    run.methods(one=0.2, two=0.3)
    page = run.report()
    html = page.one("html")
    assert html.attrs["lang"] == "en" and html.one("head").one("title").text == html.one("h1").text == "Pets & co"
    assert len(page.all("main")) == len(page.all("nav")) == len(page.all("header")) == 1
    ids = [node.attrs["id"] for node in page.all() if "id" in node.attrs]
    assert len(ids) == len(set(ids))
    assert all(link.attrs["href"][1:] in ids for link in page.all("a"))
    assert [link.attrs["href"][1:] for link in page.one("nav").all("a")] == [
        item.attrs["id"] for item in page.all("section")
    ]
    assert all(item.attrs["aria-labelledby"] in ids for item in page.all("section"))
    assert all(image.attrs["alt"] for image in page.all("img"))
    for table in page.all("table"):
        assert table.one("caption").text
        assert all(cell.attrs.get("scope") in ("row", "col") for cell in table.all("th"))
        assert len({len(row) for row in table.cells()}) == 1
    levels = [int(node.tag[1]) for node in page.all() if node.tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))


def test_the_summary_names_the_methods_with_the_best_anmrr_and_accuracy(run: Run) -> None:
    run.methods(alpha=0.3, beta=0.2)
    run.method("alpha", accuracy=0.9, anmrr=0.3)
    run.method("beta", accuracy=0.8, anmrr=0.2)
    header = run.report().one("header")
    table = header.one("table")
    assert "95 % intervals" not in header.text and "Compared" not in table.text
    assert [row[:3] for row in table.cells()] == [
        ["Method", "Accuracy", "ANMRR"],
        ["beta", "80.0 %", "0.200 best"],
        ["alpha", "90.0 % best", "0.300"],
    ]
    lead = header.text
    assert "30 images in 3 categories: 12 test images are the queries, 18 train images the gallery." in lead
    assert "Of 2 methods, beta ranks these queries best: it has an ANMRR of 0.200" in lead
    assert "the majority of the 3 nearest images is of the right category for 80.0 % of the queries" in lead
    assert "On these queries alpha has the highest accuracy." in lead


def test_the_summary_has_intervals_and_significant_differences_to_the_first(run: Run) -> None:
    run.compare()
    run.method("three", anmrr=0.75)
    run.tests(
        ("two", "one", "accuracy", 0.25, "chance"),
        ("two", "one", "anmrr", 0.25, "real"),
        ("two", "one", "map", -0.25, "too few"),
        ("one", "three", "accuracy", -0.25, "real"),
        ("one", "three", "anmrr", -0.5, "real"),
        ("two", "three", "map", 0.5, "real"),
    )
    header = run.report().one("header")
    assert (
        "Small figures: 95 % intervals for new images of these categories, for which the last column is" in header.text
    )
    assert "The same queries chose the best method and measured it" in header.text
    _, one, two, three = header.one("table").cells()
    assert one == ["one", "75.0 % 70.0 % to 80.0 %", "0.250 best 0.200 to 0.300", "0.600 0.600 to 0.650", "–"]
    # ANMRR of the second is the higher one, and lower is better.
    assert two[-1] == "worse in ANMRR; accuracy: may be chance; MAP: too few queries to tell"
    # As method b of a pair; MAP has no test.
    assert three == ["three", "75.0 %", "0.750", "0.600", "better in accuracy; worse in ANMRR"]


def test_equal_methods_are_named_together_and_none_is_best(run: Run) -> None:
    run.methods(alpha=0.25, beta=0.25)
    header = run.report().one("header")
    assert "Of 2 methods, alpha and beta rank these queries equally well. alpha has an ANMRR of 0.250" in header.text
    assert "best" not in header.one("table").text.split()


def test_the_summary_names_the_weakest_category_and_rejected_files(run: Run) -> None:
    [item] = run.report().one("header").all("li")
    assert (item.one("a").attrs["href"], item.text) == ("#worst", "dog: the lowest F1 with plain, 0.571")
    run.csv("collection/rejected.csv", pd.DataFrame({"path": ["a", "b"], "reason": ["empty file"] * 2}))
    run.csv("evaluation/plain/categories.csv", pd.DataFrame({"category": run.categories, **CATEGORIES, "f1": 1.0}))
    # If all categories have the same value, none is the weakest.
    assert [item.text for item in run.report().one("header").all("li")] == ["2 rejected files"]


def test_only_the_best_of_several_methods_is_unfolded(run: Run) -> None:
    run.methods(a=0.5, b=0.1, c=0.3)
    page = run.report()
    for name in ("categories", "confusion", "worst", "queries"):
        folded = page.one("section", id=name).all("details", **{"class": "method"})
        assert [item.one("h3").text for item in folded] == ["b", "c", "a"]
        assert ["open" in item.attrs for item in folded] == [True, False, False]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", 'x" onerror="alert(2)', "category")
    hostile = Run(tmp_path, names)
    paths, reasons = ["photos/a\nb\u202egpj.png", "</pre><img src=//x>"], ["{{ 7 * 7 }}", "'\">"]
    rejected = pd.DataFrame({"path": paths, "reason": reasons})
    hostile.config["report"]["title"] = "</title><script>alert(3)</script>"
    hostile.csv("collection/rejected.csv", rejected)
    page = hostile.report()
    assert len(page.all("script")) == 1
    assert not [name for node in page.all() for name in node.attrs if name.startswith("on")]
    assert page.one("h1").text == "</title><script>alert(3)</script>"
    files_table = page.one("section", id="collection").all("table")[1].cells()[1:]
    assert files_table == [[r"photos/a\nb\u202egpj.png", "{{ 7 * 7 }}"], ["</pre><img src=//x>", "'\">"]]
    # A category may have the name of the confusion matrix's first column.
    assert [row[0] for row in page.one("section", id="confusion").all("table")[0].cells()[1:]] == list(names)
    text = hostile.text()
    assert "\u202e" not in text and "&lt;img src=//x&gt;" in text


def test_same_results_same_bytes(run: Run) -> None:
    assert run.text() == run.text()


def test_a_missing_or_damaged_file_is_reported(run: Run) -> None:
    run.names["method"].append("none")
    with pytest.raises(InputError, match=r"none/summary\.json does not exist"):
        run.report()
    run.names["method"].remove("none")
    run.write("evaluation/plain/worst.json", "{")
    with pytest.raises(InputError, match=r"worst\.json is not valid JSON"):
        run.report()
    assert not (run.results / "report.html").exists()


def test_every_section_has_its_template_and_no_template_is_left_over() -> None:
    templates = {path.name.removesuffix(".html.j2") for path in REGISTRY.folder.glob("*.j2")}
    assert templates == {REGISTRY.path(name).stem for name in REGISTRY}


def test_sections_come_in_their_order(run: Run) -> None:
    names = [section["name"] for section in run.gather()["sections"]]
    assert names == [
        *("collection", "quality", "figures", "categories", "confusion", "errors", "worst", "calibration"),
        *("embedding-map", "queries", "provenance"),
    ]


def test_sections_fold_and_some_are_folded_at_first(run: Run) -> None:
    folds = {section.attrs["id"]: section.one("details", class_="fold") for section in run.report().all("section")}
    assert [name for name, fold in folds.items() if "open" not in fold.attrs] == ["provenance"]
    assert all(fold.all("summary")[0].one("h2") for fold in folds.values())


@pytest.mark.parametrize("name", REGISTRY)
def test_a_section_reads_the_files_that_it_declares_and_no_others(run: Run, name: str) -> None:
    run.train()
    run.compare()
    run.method("plain")
    run.simulate()
    run.credit()
    run.names["refinement"] = ["mine"]
    run.json("feedback/mine/rounds.json", run.rounds())
    section = REGISTRY[name]
    declared = {run.results / file for file in expand([*INPUTS, *section.INPUTS], run.names)}
    for path in [path for path in run.results.rglob("*") if path.is_file()]:
        if path not in declared:
            path.unlink()
    section.gather(Results(run.results, run.config, run.names))
    # Results of earlier versions have no ranges, so they may be missing.
    for path in declared - {run.results / RANGES}:
        path.rename(path.with_suffix(".away"))
        with pytest.raises(InputError, match=re.escape(f"{path} does not exist")):
            section.gather(Results(run.results, run.config, run.names))
        path.with_suffix(".away").rename(path)


def test_a_new_section_is_a_module_and_a_template(tmp_path: Path) -> None:
    shutil.copytree(Path(build.__file__).parents[1], tmp_path / "cbir", ignore=shutil.ignore_patterns("__pycache__"))
    sections = tmp_path / "cbir" / "report" / "sections"
    (sections / "longest_side.py").write_text(
        'TITLE, ORDER, INPUTS = "Longest side", 15, ("mine/{method}.txt",)\n'
        "def gather(results):\n"
        '    return {"pixels": int(results.images[["width", "height"]].max(axis=None))}\n'
    )
    (sections / "longest_side.html.j2").write_text("<p>{{ data.pixels }} pixels</p>")
    run = Run(tmp_path)
    program = (
        "import json, sys; from cbir.report import build; from cbir.report.results import Results\n"
        "results, config, names = json.load(sys.stdin)\n"
        "build.write(Results(results, config, names), 'report.html'); print(*build.inputs(names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([str(run.results), run.config, run.names]),
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = Reader((tmp_path / "report.html").read_text(encoding="utf-8")).root
    assert page.one("section", id="longest-side").text == "Longest side 30 pixels"
    assert [item.attrs["id"] for item in page.all("section")][:3] == ["collection", "longest-side", "quality"]
    assert "mine/plain.txt" in done.stdout.split()


def test_gathered_data_are_json_data(run: Run) -> None:
    data = run.gather()
    assert json.loads(json.dumps(data))["lead"]["images"] == 30


def test_without_labels_sections_that_need_them_are_missing(run: Run) -> None:
    run.methods(one=0.2, two=0.3)
    near = ["1", run.image(0, 0), "", "train", run.image(0, 1), 3, 0, 0, 0, 0]
    run.csv("collection/near_duplicates.csv", pd.DataFrame([near], columns=NEAR_DUPLICATE_COLUMNS))
    run.forget_labels()
    page = run.report()
    titles = [heading.text for heading in page.all("h2")]
    assert titles == ["Collection", "Near-duplicates", "Example queries", "Provenance"]
    assert page.one("p", class_="lead").text.startswith("30 images without categories, searchable with 2 m")
    for word in ("test image", "categor", "evaluat", "split", "from outside", "right", "wrong", "None", "ANMRR"):
        assert word not in " ".join(section.text for section in page.all("section")[:3]).replace(
            "without categories", ""
        ), word
    assert not [line for line in page.all("span", class_="line") if not line.text]
    assert "dog" not in page.one("section", id="queries").text.replace("dog/", "")


def test_without_labels_files_that_need_them_are_no_inputs() -> None:
    names = {name: ["x"] for name in ("split", "gallery", "encoder", "method", "query", "refinement", "source")}
    names |= {name: [] for name in ("trained", "simulated", "pair", "comparison", "approximate")}
    inputs = set(build.inputs(names)) - set(build.inputs(names, OF_LABELS))
    assert inputs == {
        "collection/suspects.csv",
        *(f"evaluation/x/{name}" for name in ("summary.json", "categories.csv", "confusion.csv", "worst.json")),
        *(f"evaluation/x/{name}" for name in ("queries.csv", "neighbours.csv", "calibration.json", "calibration.svg")),
    }
