"""The report over small results written by hand, read back from the page."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cbir.collection.columns import HASHES_COLUMNS, NEAR_DUPLICATE_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.features import store
from cbir.files import tables
from cbir.files.errors import InputError
from cbir.report import build

TEMPLATES = Path(__file__).parents[2] / "report"
VOID = {"meta", "img", "br", "link", "input", "hr"}


@dataclass
class Node:
    """An element of a page."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    parts: list["Node | str"] = field(default_factory=list)

    def all(self, tag: str = "", **attrs: str) -> list["Node"]:
        found = [node for node in self._walk() if tag in ("", node.tag)]
        return [
            node for node in found if all(node.attrs.get(name.strip("_")) == value for name, value in attrs.items())
        ]

    def one(self, tag: str, **attrs: str) -> "Node":
        [node] = self.all(tag, **attrs)
        return node

    def _walk(self) -> Iterator["Node"]:
        for part in self.parts:
            if isinstance(part, Node):
                yield part
                yield from part._walk()

    @property
    def text(self) -> str:
        return " ".join("".join(part if isinstance(part, str) else f" {part.text} " for part in self.parts).split())

    def cells(self) -> list[list[str]]:
        return [[cell.text for cell in row.parts if isinstance(cell, Node)] for row in self.all("tr")]


class Reader(HTMLParser):
    """Build the tree and refuse tags that are not closed in order, as a browser would not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Node("root")
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute stands twice in <{tag}>"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


# Of the 4 cats one is taken for a dog; of the 4 dogs two for fish; all 4 fish are right.
CONFUSION = [[3, 1, 0], [0, 2, 2], [0, 0, 4]]
# By hand from it; ANMRR is free. Not in order of F1, which the report has to make.
CATEGORIES = {
    "precision": [1.0, 2 / 3, 4 / 6],
    "recall": [3 / 4, 2 / 4, 4 / 4],
    "f1": [6 / 7, 4 / 7, 8 / 10],
    "support": [4, 4, 4],
    "anmrr": [0.1, 0.5, ""],
}
FIGURES = {
    "accuracy": 0.75,
    "macro_f1": 0.743,
    "anmrr": 0.3,
    "nmrr_at_k": 0.2,
    "map": 0.6,
    "map_at_r": 0.5,
    "r_precision": 0.55,
    "precision_at_k": 0.7,
    "recall_at_k": 0.1,
}


class Run:
    """A folder with the results of a run over 3 categories of 10 images each: 6 train, 4 test."""

    def __init__(self, folder: Path, names: tuple[str, str, str] = ("cat", "dog", "fish")) -> None:
        self.folder, self.names = folder, names
        rows = []
        for label, name in enumerate(names):
            for number in range(10):
                path = folder / "pictures" / f"{label}-{number}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(np.full((20, 30, 3), 20 * number + label, np.uint8)).save(path)
                rows.append([f"{name}/{number}.png", str(path), name, label, f"{label}{number}", 30, 20, 99])
        columns = ["image_id", "path", "category", "label", "sha256", "width", "height", "bytes"]
        self.images = pd.DataFrame(rows, columns=columns)
        train = self.images["image_id"].str.fullmatch(r"(?s:.*)/[0-5]\.png")
        config = {
            "collection": {"source": "folder", "path": "photos", "dataset": "a/b"},
            "split": {"near_duplicates": {"together": True, "distance": 72}},
            "methods": {"plain": {"encoder": "net"}},
            "evaluation": {"k": 3},
            "queries": {"k": 2, "choose": ["best"]},
            "report": {"title": "Pets & co"},
        }
        self.files = build.Files(
            config=config,
            images=self.csv("images.csv", self.images),
            rejected=self.csv("rejected.csv", pd.DataFrame(columns=["path", "reason"])),
            hashes=self.csv("hashes.csv", pd.DataFrame(columns=HASHES_COLUMNS)),
            near_duplicates=self.csv("near.csv", pd.DataFrame(columns=NEAR_DUPLICATE_COLUMNS)),
            suspects=self.csv("suspects.csv", pd.DataFrame(columns=SUSPECT_COLUMNS)),
            splits={
                "train": self.csv("train.csv", self.images[train]),
                "val": self.csv("val.csv", self.images.iloc[:0]),
                "test": self.csv("test.csv", self.images[~train]),
            },
            encoders={"net": self.json("net.json", {"encoder": "net", "weights": "random", "dimension": 2})},
            methods=[self.method("plain")],
            benchmarks=str(folder / "benchmarks"),
        )

    def csv(self, name: str, table: pd.DataFrame) -> str:
        tables.write_csv(self.folder / name, table)
        return str(self.folder / name)

    def json(self, name: str, value: Any) -> str:
        tables.write_json(self.folder / name, value)
        return str(self.folder / name)

    def image(self, label: int, number: int) -> str:
        return f"{self.names[label]}/{number}.png"

    def method(self, name: str, **figures: float) -> build.MethodFiles:
        summary = {"method": name, "k": 3, "queries": 12, "gallery": 18, "worst_category": self.names[1]}
        confusion = pd.DataFrame(CONFUSION, columns=list(self.names))
        confusion.insert(0, "category", list(self.names), allow_duplicates=True)
        gallery = str(self.folder / f"{name}.h5")
        store.write(gallery, self.images, [np.zeros((30, 2), np.float32)], 2, {"method": name})
        worst = {
            "category": self.names[1],
            **{key: CATEGORIES[key][1] for key in ("precision", "recall", "f1")},
            "retrieved": 2,
            "anmrr_at_retrieved": 0.25,
            "images": [{"image_id": self.image(1, 7), "nmrr": 0.25, "retrieved": [self.image(1, 1), self.image(2, 3)]}],
            "taken_for": [{"category": self.names[2], "count": 2}],
        }
        return build.MethodFiles(
            name=name,
            summary=self.json(f"{name}-summary.json", summary | FIGURES | figures),
            categories=self.csv(f"{name}-c.csv", pd.DataFrame({"category": self.names, **CATEGORIES})),
            confusion=self.csv(f"{name}-confusion.csv", confusion),
            worst=self.json(f"{name}-worst.json", worst),
            index=self.json(
                f"{name}-index.json", {"kind": "tree", "rows": 18, "dimension": 2, "features_sha256": "ab" * 32}
            ),
            gallery=gallery,
            queries={"best": self.query(f"{name}-best.json", self.image(0, 8), self.names[0])},
        )

    def query(self, name: str, image: str, category: str | None) -> str:
        answers = [(self.image(0, 2), self.names[0]), (self.image(2, 5), self.names[2])]
        neighbours = [
            {
                "rank": rank,
                "image_id": found,
                "category": of,
                "distance": rank / 4,
                "right": category and of == category,
            }
            for rank, (found, of) in enumerate(answers, start=1)
        ]
        return self.json(name, {"query": image, "category": category, "method": "m", "k": 2, "neighbours": neighbours})

    def page(self, **changes: Any) -> Node:
        return Reader(self.text(**changes)).root

    def text(self, **changes: Any) -> str:
        path = self.folder / "out" / "report.html"
        build.write(replace(self.files, **changes), TEMPLATES, path)
        return path.read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def methods(run: Run, **anmrr: float) -> dict[str, Any]:
    """Changes that give the run several methods."""
    config = run.files.config | {"methods": {name: {"encoder": "net"} for name in anmrr}}
    return {"config": config, "methods": [run.method(name, anmrr=value) for name, value in anmrr.items()]}


def section(page: Node, name: str) -> Node:
    return page.one("section", id=name)


def test_the_page_loads_nothing_from_elsewhere(run: Run) -> None:
    page = run.page()
    assert not page.all("link") and not page.all("iframe") and not page.all("object")
    assert page.all("img") and all(image.attrs["src"].startswith("data:image/") for image in page.all("img"))
    [style], [script] = page.all("style"), page.all("script")
    assert "url(" not in style.text and "@import" not in style.text
    assert not script.attrs
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attrs["content"]
    digest = base64.b64encode(hashlib.sha256("".join(map(str, script.parts)).encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_everybody_can_find_their_way(run: Run) -> None:
    page = run.page(**methods(run, one=0.2, two=0.3))
    html = page.one("html")
    assert html.attrs["lang"] == "en" and html.one("title").text == html.one("h1").text == "Pets & co"
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


def test_the_lead_names_the_best_ranking_and_the_best_accuracy(run: Run) -> None:
    config = run.files.config | {"methods": {"alpha": {"encoder": "net"}, "beta": {"encoder": "net"}}}
    pair = [run.method("alpha", accuracy=0.9, anmrr=0.3), run.method("beta", accuracy=0.8, anmrr=0.2)]
    lead = run.page(config=config, methods=pair).one("header").text
    assert "30 images in 3 categories" in lead and "12 test images" in lead and "18 train images" in lead
    assert "beta ranks best" in lead and "80.0 %" in lead and "0.200" in lead
    assert "The highest accuracy is that of alpha" in lead


def test_each_figure_marks_its_best_method_in_its_own_direction(run: Run) -> None:
    config = run.files.config | {"methods": {"alpha": {"encoder": "net"}, "beta": {"encoder": "net"}}}
    pair = [run.method("alpha", accuracy=0.9, anmrr=0.3), run.method("beta", accuracy=0.8, anmrr=0.2)]
    head, *rows = section(run.page(config=config, methods=pair), "figures").one("table").cells()
    assert head == ["Figure", "Better", "beta", "alpha"]
    found = {row[0].split()[0]: row[1:] for row in rows}
    assert found["Accuracy"] == ["higher ↑", "80.0 %", "90.0 % best"]
    assert found["ANMRR"] == ["lower ↓", "0.200 best", "0.300"]
    assert len(rows) == len(FIGURES)


def test_one_method_is_not_called_best(run: Run) -> None:
    page = run.page()
    assert "best" not in section(page, "figures").one("table").text.split()
    assert not page.all("details", class_="method")


def test_several_methods_are_folded_and_the_best_is_open(run: Run) -> None:
    page = run.page(**methods(run, a=0.5, b=0.1, c=0.3))
    for name in ("categories", "confusion", "worst", "queries"):
        folded = section(page, name).all("details", **{"class": "method"})
        assert [item.one("h3").text for item in folded] == ["b", "c", "a"]
        assert ["open" in item.attrs for item in folded] == [True, False, False]


def test_categories_stand_by_f1_and_an_undefined_figure_is_a_dash(run: Run) -> None:
    rows = section(run.page(), "categories").one("table").cells()[1:]
    assert rows == [
        ["cat", "", "0.857", "1.000", "0.750", "0.100", "4"],
        ["fish", "", "0.800", "0.667", "1.000", "–", "4"],
        ["dog", "", "0.571", "0.667", "0.500", "0.500", "4"],
    ]


def test_confusions(run: Run) -> None:
    matrix, frequent = section(run.page(), "confusion").all("table")
    assert matrix.cells()[1:] == [["cat", "3", "1", ""], ["dog", "", "2", "2"], ["fish", "", "", "4"]]
    assert frequent.cells()[1:] == [["dog", "fish", "2", "4", "50.0 %"], ["cat", "dog", "1", "4", "25.0 %"]]
    assert matrix.all("td", title="dog taken for fish: 2 of 4")


def test_the_weakest_category(run: Run) -> None:
    part = section(run.page(), "worst")
    assert "dog has the lowest F1: 0.571, of precision 0.667 and recall 0.500" in part.text
    assert "Of its 4 test images, 2 were taken for another category: fish (2)." in part.text
    assert "Images of other categories were taken for it: cat (1)." in part.text
    assert [card.attrs["class"] for card in part.all("figure")] == ["card query", "card  right", "card  wrong"]
    assert [card.one("figcaption").text for card in part.all("figure")] == [
        "query 7.png NMRR 0.25",
        "✓ right dog 1.png",
        "✗ wrong fish 3.png",
    ]


def test_a_query_from_outside_has_neither_right_nor_wrong(run: Run) -> None:
    outside = run.folder / "elsewhere.png"
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(outside)
    [method] = run.files.methods
    changed = replace(method, queries={"elsewhere-1a": run.query("outside.json", str(outside), None)})
    part = section(run.page(methods=[changed]), "queries")
    assert str(outside) in part.text
    assert [card.one("figcaption").text for card in part.all("figure")] == [
        "query from outside elsewhere.png",
        "cat 2.png distance 0.250",
        "fish 5.png distance 0.500",
    ]
    assert len(part.all("img")) == 3


def test_a_picture_that_is_gone_leaves_a_note(run: Run) -> None:
    Path(run.images["path"][8]).unlink()
    part = section(run.page(), "queries")
    assert part.one("div", **{"class": "gone"}).text == "picture cannot be read"
    assert len(part.all("img")) == 2


def test_rejected_files_are_counted_by_reason_and_the_table_is_cut(run: Run) -> None:
    conflict = "conflict: the same image in another category (x)"
    reasons = ["duplicate of cat/1.png"] * 201 + [conflict] * 2 + ["empty file"]
    table = pd.DataFrame({"path": [f"photos/{number}.png" for number in range(204)], "reason": reasons})
    part = section(run.page(rejected=run.csv("rejected.csv", table)), "collection")
    assert "201 exact duplicates, 2 with the same image in another category and 1 that cannot be used." in part.text
    assert "The first 200 of 204" in part.text and "rejected.csv" in part.text
    assert len(part.all("table")[1].cells()) == 201


def test_counts_of_each_category_and_split(run: Run) -> None:
    part = section(run.page(), "collection")
    assert "No file was rejected." in part.text
    assert part.one("table").cells() == [
        ["Category", "train", "val", "test", "all"],
        ["cat", "6", "0", "4", "10"],
        ["dog", "6", "0", "4", "10"],
        ["fish", "6", "0", "4", "10"],
        ["all", "18", "0", "12", "30"],
    ]


def near(run: Run, rows: list[list[Any]]) -> str:
    """A list of near-duplicates: group, category's number, image's number, split, across splits, across categories."""
    table = [
        [group, run.image(label, number), run.names[label], split, run.image(label, 0), 9, 0, splits, categories]
        for group, label, number, split, splits, categories in rows
    ]
    return run.csv("near.csv", pd.DataFrame(table, columns=NEAR_DUPLICATE_COLUMNS))


def test_near_duplicates_are_counted_and_shown(run: Run) -> None:
    rows: list[list[Any]] = [[1, 0, 1, "train", 1, 1], [1, 1, 7, "test", 1, 1], [2, 2, 1, "test", 0, 0]]
    hashes = pd.DataFrame([["aa", "", "", "", ""], ["bb", *["0f" * 32] * 4]], columns=HASHES_COLUMNS)
    path = near(run, [*rows, [2, 2, 2, "test", 0, 0]])
    part = section(run.page(near_duplicates=path, hashes=run.csv("hashes.csv", hashes)), "quality")
    assert "4 images in 2 groups are near-duplicates" in part.text
    assert "1 group stands in several splits" in part.text and "too little would be left" in part.text
    assert "1 group has images of several categories" in part.text
    assert "1 image was not compared" in part.text and "near.csv" in part.text
    assert "open" in part.one("details").attrs
    assert [title.text for title in part.all("p", **{"class": "strip-title"})] == [
        "Group 1: 2 images, in several splits, in several categories",
        "Group 2: 2 images",
    ]
    assert [card.one("figcaption").text for card in part.all("figure")][:2] == [
        "cat 1.png train, distance 9",
        "dog 7.png test, distance 9",
    ]
    assert len(part.all("img")) == 4
    config = run.files.config | {"split": {"near_duplicates": {"together": False, "distance": 72}}}
    assert "split.near_duplicates.together is off" in section(
        run.page(near_duplicates=path, config=config), "quality"
    ).text.replace("  ", " ")


def test_groups_and_their_images_are_bounded(run: Run) -> None:
    rows = [[1, 0, number, "train", 0, 0] for number in range(10)]
    rows += [[group, 1, number, "train", 0, 0] for group in range(2, 22) for number in (1, 2)]
    part = section(run.page(near_duplicates=near(run, rows)), "quality")
    assert "The first 12 of 21 groups" in part.text
    assert "No group stands in several splits." in part.text
    assert "open" not in part.one("details").attrs
    assert part.all("p", **{"class": "strip-title"})[0].text == "Group 1: 10 images"
    assert len(part.all("img")) == 6 + 11 * 2


def test_a_collection_without_faults(run: Run) -> None:
    part = section(run.page(), "quality")
    assert "No two images are near-duplicates" in part.text
    assert "Every image has a neighbour of its own category." in part.text
    assert not part.all("details")


def test_doubtful_labels_are_shown_with_their_neighbour_and_bounded(run: Run) -> None:
    rows = [[run.image(0, number % 10), "cat", "dog", 0.7, 10, run.image(1, 3), 0.4, 0.5] for number in range(30)]
    path = run.csv("suspects.csv", pd.DataFrame(rows, columns=SUSPECT_COLUMNS))
    part = section(run.page(suspects=path), "quality")
    assert "No two images are near-duplicates" in part.text
    assert "30 images have no nearest neighbour of their own category" in part.text
    assert "The 24 clearest of 30" in part.text and "suspects.csv" in part.text
    assert [card.one("figcaption").text for card in part.all("figure")][:2] == [
        "labelled cat 0.png 7 of 10: dog",
        "nearest: dog 3.png",
    ]
    assert len(part.all("img")) == 48


def test_timings_may_be_missing_or_not_measured(run: Run) -> None:
    assert not run.page().all("section", id="timings")
    folder = Path(run.files.benchmarks)
    (folder / "encode" / "net").mkdir(parents=True)
    (folder / "collect.tsv").write_text("s\th:m:s\tmax_rss\n0.40\t0:00:00\tNA\n")
    (folder / "encode" / "net" / "0.tsv").write_text("s\th:m:s\tmax_rss\n75.2\t0:01:15\t1164.52\n")
    part = section(run.page(), "timings")
    assert part.one("table").cells()[1:] == [
        ["encode", "net/0", "1 min 15 s", "1,165 MB"],
        ["collect", "", "0.4 s", "–"],
    ]
    assert "1 min 16 s" in part.text


def test_provenance(run: Run) -> None:
    part = section(run.page(), "provenance")
    assert part.one("table").cells()[1] == ["plain", "encoder: net", "tree", "18", "2", "abababababababab…"]
    assert "weights random" in part.text and f"numpy {np.__version__}" in part.text
    assert "title: Pets & co" in part.one("pre").text


def test_credits_share_rows_and_link_only_to_web_addresses(run: Run) -> None:
    assert not run.page().all("section", id="credits")
    table = pd.DataFrame(
        {
            "file": [f"cat/{number}.png" for number in range(7)] + ["dog/1.png"],
            "author": ["Ann"] * 7 + ["<i>Bob</i>"],
            "licence": ["CC0-1.0"] * 7 + ["CC-BY-4.0"],
            "source": ["https://example.org/cats"] * 7 + ["javascript:alert(1)"],
        }
    )
    part = section(run.page(credits=run.csv("credits.csv", table)), "credits")
    assert "Licences: CC0-1.0 (7), CC-BY-4.0 (1)." in part.text
    head, cats, dogs = part.one("table").cells()
    assert head == ["Image", "Author", "Licence", "Source"]
    assert cats[0] == "cat/0.png, cat/1.png, cat/2.png, cat/3.png, cat/4.png and 2 more"
    assert dogs == ["dog/1.png", "<i>Bob</i>", "CC-BY-4.0", "javascript:alert(1)"]
    assert [link.attrs["href"] for link in part.all("a")] == ["https://example.org/cats"]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", 'x" onerror="alert(2)', "category")
    hostile = Run(tmp_path, names)
    paths, reasons = ["photos/a\nb\u202egpj.png", "</pre><img src=//x>"], ["{{ 7 * 7 }}", "'\">"]
    rejected = pd.DataFrame({"path": paths, "reason": reasons})
    config = hostile.files.config | {"report": {"title": "</title><script>alert(3)</script>"}}
    changes = {"rejected": hostile.csv("rejected.csv", rejected), "config": config}
    page = hostile.page(**changes)
    assert len(page.all("script")) == 1
    assert not [name for node in page.all() for name in node.attrs if name.startswith("on")]
    assert page.one("h1").text == "</title><script>alert(3)</script>"
    files_table = section(page, "collection").all("table")[1].cells()[1:]
    assert files_table == [[r"photos/a\nb\u202egpj.png", "{{ 7 * 7 }}"], ["</pre><img src=//x>", "'\">"]]
    # A category called as the first column of the confusion matrix is still itself.
    assert [row[0] for row in section(page, "confusion").all("table")[0].cells()[1:]] == list(names)
    text = hostile.text(**changes)
    assert "\u202e" not in text and "&lt;img src=//x&gt;" in text


def test_same_results_same_bytes(run: Run) -> None:
    assert run.text() == run.text()


def test_a_missing_or_damaged_file_is_told(run: Run) -> None:
    [method] = run.files.methods
    with pytest.raises(InputError, match=r"none\.csv does not exist"):
        run.page(images=str(run.folder / "none.csv"))
    Path(method.worst).write_text("{")
    with pytest.raises(InputError, match=r"worst\.json is not valid JSON"):
        run.page()
    assert not (run.folder / "out").exists()


def test_every_section_has_its_template_and_no_template_is_left_over() -> None:
    templates = {path.name.removesuffix(".html.j2") for path in (TEMPLATES / "sections").iterdir()}
    assert templates == {part.name for part in build.SECTIONS}


def test_gathered_data_are_plain(run: Run) -> None:
    data = build.gather(run.files)
    assert json.loads(json.dumps(data))["lead"]["images"] == 30
