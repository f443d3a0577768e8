"""The results of a small run, written by hand, and a parser of the report made from them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from cbir.collection.columns import HASHES_COLUMNS, NEAR_DUPLICATE_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.features import store
from cbir.files import tables
from cbir.report import build
from cbir.report.results import Results

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
    """Build the tree of elements; unlike a browser, refuse tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Node("root")
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def calibrated(**changes: Any) -> dict[str, Any]:
    """Return the calibration of a method: 4 results had probability 0.9, and 3 were right; 8 had 0.1, and 2 were."""
    bins = [(0.1, 0.2, 8, 0.1, 0.25), (0.9, 1.0, 4, 0.9, 0.75)]
    names = ("from", "to", "results", "mean_probability", "share_right")
    rates = {"known": 12, "unknown": 9, "auroc": 0.875, "false_alarms": 0.0625, "detected": 0.5}
    return {
        "results": 10,
        "probability": {
            "too_few": None,
            "distances": [0.5, 2.0],
            "probabilities": [0.9, 0.1],
            "reliability": {
                "results": 12,
                "expected_calibration_error": 0.15,
                "bins": [dict(zip(names, row, strict=True)) for row in bins],
            },
        },
        "novelty": {"too_few": None, "neighbours": 3, "threshold": 1.25, "val": rates, "test": rates | {"auroc": 0.75}},
    } | changes


# One of the 4 cats is classified as a dog, two of the 4 dogs as fish; all 4 fish are right.
CONFUSION = [[3, 1, 0], [0, 2, 2], [0, 0, 4]]
# The predicted labels of the test images, numbers 6 to 9 of each category.
PREDICTED = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2]
# Computed by hand from CONFUSION, except ANMRR. They are not sorted by F1, because the report has to sort them.
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
    "map_trapezoid": 0.58,
    "mp_at_k": 0.75,
    "hit_at_k": 0.9,
}


class Run:
    """Results of a run over 3 categories of 10 images each, 6 train and 4 test, with one method, ``plain``.

    Attributes:
        results: the folder of the results.
        config, names: the arguments of `Results`; tests change them in place.
    """

    def __init__(self, folder: Path, categories: tuple[str, str, str] = ("cat", "dog", "fish")) -> None:
        self.folder, self.results, self.categories = folder, folder / "results", categories
        rows = []
        for label, name in enumerate(categories):
            for number in range(10):
                path = folder / "pictures" / f"{label}-{number}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(np.full((20, 30, 3), 20 * number + label, np.uint8)).save(path)
                rows.append([f"{name}/{number}.png", str(path), name, label, f"{label}{number}", 30, 20, 99])
        columns = ["image_id", "path", "category", "label", "sha256", "width", "height", "bytes"]
        self.images = pd.DataFrame(rows, columns=columns)
        train = self.images["image_id"].str.fullmatch(r"(?s:.*)/[0-5]\.png")
        self.config: dict[str, Any] = {
            "collection": {"source": "folder", "path": "photos", "dataset": "a/b"},
            "split": {"protocol": "random", "near_duplicates": {"together": True, "distance": 72}},
            "methods": {},
            "evaluation": {"k": 3},
            "comparison": {"confidence": 0.95},
            "queries": {"k": 2, "choose": ["best"]},
            "feedback": {"beta": 0.7, "gamma": 0.1, "simulation": {"k": 2, "images": 10_000}},
            "report": {"title": "Pets & co", "study": {}, "projection": "pca"},
        }
        self.names: dict[str, list[str]] = {
            "split": ["train", "val", "test"],
            "gallery": ["train"],
            "encoder": ["net"],
            "query": ["best"],
            **{name: [] for name in ("method", "trained", "simulated", "pair", "comparison", "refinement", "source")},
            "approximate": [],
        }
        self.csv("collection/images.csv", self.images)
        self.csv("collection/rejected.csv", pd.DataFrame(columns=["path", "reason"]))
        self.csv("collection/notes.csv", pd.DataFrame(columns=["path", "note"]))
        self.json("collection/ranges.json", {"whites": {}, "images": {}})
        self.csv("collection/hashes.csv", pd.DataFrame(columns=HASHES_COLUMNS))
        self.csv("collection/near_duplicates.csv", pd.DataFrame(columns=NEAR_DUPLICATE_COLUMNS))
        self.csv("collection/suspects.csv", pd.DataFrame(columns=SUSPECT_COLUMNS))
        self.csv("splits/train.csv", self.images[train])
        self.csv("splits/val.csv", self.images.iloc[:0])
        self.csv("splits/test.csv", self.images[~train])
        self.json("encoders/net.json", {"encoder": "net", "weights": "random", "dimension": 2})
        self.method("plain")

    def csv(self, file: str, table: pd.DataFrame) -> None:
        """Write a file; like in the next two methods, its name is relative to the results."""
        tables.write_csv(self._made(file), table)

    def json(self, file: str, value: Any) -> None:
        tables.write_json(self._made(file), value)

    def write(self, file: str, text: str) -> None:
        self._made(file).write_text(text)

    def _made(self, file: str) -> Path:
        path = self.results / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def image(self, label: int, number: int) -> str:
        return f"{self.categories[label]}/{number}.png"

    def methods(self, **anmrr: float) -> None:
        """Replace ``plain`` by these methods."""
        self.names["method"], self.config["methods"] = [], {}
        for name, value in anmrr.items():
            self.method(name, anmrr=value)

    def method(self, name: str, **figures: Any) -> None:
        """Add a method with its results, or overwrite them with other figures."""
        if name not in self.names["method"]:
            self.names["method"].append(name)
        self.config["methods"][name] = {"encoder": "net"}
        summary = {"method": name, "k": 3, "queries": 12, "gallery": 18, "worst_category": self.categories[1]}
        confusion = pd.DataFrame(CONFUSION, columns=list(self.categories))
        confusion.insert(0, "category", list(self.categories), allow_duplicates=True)
        gallery = self._made(f"features/{name}/train.h5")
        is_test = self.images["image_id"].str.fullmatch(r"(?s:.*)/[6-9]\.png")
        train, test = (self.images[chosen].reset_index(drop=True) for chosen in (~is_test, is_test))
        store.write(gallery, train, [np.zeros((18, 2), np.float32)], 2, {"method": name})
        spread = np.stack([np.arange(12), np.arange(12) % 3], axis=1).astype(np.float32)
        store.write(self._made(f"features/{name}/test.h5"), test, [spread], 2, {"method": name})
        worst = {
            "category": self.categories[1],
            **{key: CATEGORIES[key][1] for key in ("precision", "recall", "f1")},
            "retrieved": 2,
            "anmrr_at_retrieved": 0.25,
            "images": [
                {"image_id": self.image(1, 7), "nmrr_at_k": 0.25, "retrieved": [self.image(1, 1), self.image(2, 3)]}
            ],
            "resamples": 999,
            "lowest_in": [
                {"category": self.categories[1], "share": 0.56},
                {"category": self.categories[0], "share": 0.4},
                {"category": self.categories[2], "share": 0.051},
            ],
            "taken_for": [{"category": self.categories[2], "count": 2}],
        }
        folder = f"evaluation/{name}"
        self.json(f"{folder}/summary.json", summary | FIGURES | figures)
        self.csv(f"{folder}/categories.csv", pd.DataFrame({"category": self.categories, **CATEGORIES}))
        self.csv(f"{folder}/confusion.csv", confusion)
        self.json(f"{folder}/worst.json", worst)
        self.json(f"{folder}/calibration.json", calibrated())
        self.write(f"{folder}/calibration.svg", "<svg>a curve</svg>")
        queries = test[["image_id", "category"]].assign(
            predicted=[self.categories[place] for place in PREDICTED], nmrr=np.arange(12) / 16
        )
        self.csv(f"{folder}/queries.csv", queries)
        nearest = [
            [query, rank, self.image(label, rank), rank / 2]
            for query, own, taken in zip(queries["image_id"], test["label"], PREDICTED, strict=True)
            for rank, label in enumerate((taken, taken, own), start=1)
        ]
        columns = ["query", "rank", "image_id", "distance"]
        self.csv(f"{folder}/neighbours.csv", pd.DataFrame(nearest, columns=columns))
        about = {"kind": "tree", "rows": 18, "dimension": 2, "features_sha256": "ab" * 32}
        self.json(f"index/{name}.json", about)
        self.query(name, "best", self.image(0, 8), self.categories[0])

    def query(
        self, method: str, name: str, image: str, category: str | None, novelty: dict[str, Any] | None = None
    ) -> None:
        answers = [(self.image(0, 2), self.categories[0]), (self.image(2, 5), self.categories[2])]
        neighbours = [
            {
                "rank": rank,
                "image_id": found,
                "category": of,
                "distance": rank / 4,
                "probability": probability,
                "right": category and of == category,
            }
            for (rank, (found, of)), probability in zip(enumerate(answers, start=1), (0.874, None), strict=True)
        ]
        answer = {"query": image, "category": category, "method": method, "k": 2, "neighbours": neighbours}
        answer["novelty"] = novelty
        self.json(f"queries/{method}/{name}.json", answer)

    def train(self, monitor: str = "anmrr") -> None:
        """Add a training of ``net`` to the run; its first epoch was the best."""
        self.names["trained"] = ["net"]
        self.config["encoders"] = {"net": {"training": {"monitor": monitor}}}
        history = {"epoch": [0, 1, 2], "images": [0, 600, 1200], "anmrr": [0.5, 0.25, 0.375], "map": [0.3, 0.6, 0.5]}
        self.csv("encoders/net/history.csv", pd.DataFrame(history | {"best": [0, 1, 0]}))
        self.write("encoders/net/training.svg", "<svg>a training</svg>")

    def compare(self) -> None:
        """Add a comparison of two methods to the run; the interval of the second one's MAP is not defined."""
        self.methods(one=0.25, two=0.5)
        self.names |= {
            "pair": ["one_vs_two"],
            "comparison": ["methods.csv", "tests.csv", "methods.svg", "categories.svg", "best_worst.csv"],
        }
        figures = [
            ["one", 0.75, 0.7, 0.8, 0.65, 0.85, 0.25, 0.2, 0.3, 0.15, 0.35, 0.625, 0.6, 0.65, 0.575, 0.675],
            ["two", 0.5, 0.4, 0.6, 0.3, 0.7, 0.5, 0.45, 0.55, 0.4, 0.6, 0.375, "", "", "", ""],
        ]
        ends = ("", "_low", "_high", "_categories_low", "_categories_high")
        names = [f"{figure}{end}" for figure in ("accuracy", "anmrr", "map") for end in ends]
        self.csv("comparison/methods.csv", pd.DataFrame(figures, columns=["method", *names]))
        places = [["one", "best", 1, "cat", 0.875], ["one", "best", 2, "dog", 0.5], ["two", "worst", 1, "fish", 0.25]]
        self.csv(
            "comparison/best_worst.csv", pd.DataFrame(places, columns=["method", "place", "rank", "category", "f1"])
        )
        self.tests(("one", "two", "accuracy", 0.25, "chance"))
        self.json("comparison/one_vs_two.json", {"a": "one", "b": "two", "words": "No difference is real."})
        for name in ("methods", "categories", "one_vs_two"):
            self.write(f"comparison/{name}.svg", f"<svg>{name}</svg>")

    def tests(self, *rows: tuple[str, str, str, float, str]) -> None:
        """Write tests for new images: of methods a and b and a metric, the difference a - b and the verdict."""
        table = pd.DataFrame(rows, columns=["a", "b", "metric", "difference", "verdict"]).assign(p_corrected=0.25)
        table["p_corrected_at_most"] = table["verdict"] == "real"
        others = table.assign(difference=-table["difference"], verdict="too few", scope="categories")
        self.csv("comparison/tests.csv", pd.concat([table.assign(scope="queries"), others]))

    def rounds(self, k: int = 2, rounds: int = 2) -> dict[str, Any]:
        """Return the rounds of a refinement: a dog's query; a dog and a fish are its results in every round."""
        dog, fish = self.image(1, 2), self.image(2, 3)
        result = {"position": 0, "distance": 1.25, "score": -1.25, "judged": None}
        shown = [{**result, "image_id": dog, "of_category": True}, {**result, "image_id": fish, "of_category": False}]
        after = [shown[0] | {"judged": "relevant"}, shown[1]]
        none: dict[str, list[str]] = {"relevant": [], "irrelevant": []}
        figures = {"precision_at_k": 0.5, "residual_precision_at_k": 0.25, "judged_relevant": 1, "judged_irrelevant": 0}
        first = {
            "round": 0,
            **figures,
            "results": shown,
            "flagged": {"relevant": [dog], "irrelevant": [self.image(0, 1), self.image(0, 2)]},
        }
        return {
            "refinement": {"query": self.image(1, 8), "method": "plain", "k": k, "strategy": "linear", "rounds": []},
            "query": self.image(1, 8),
            "category": self.categories[1],
            "rounds": [first, *({"round": n, **figures, "results": after, "flagged": none} for n in range(1, rounds))],
        }

    def simulate(self) -> None:
        """Add a simulated user to the run, who used ``plain`` with two strategies."""
        scopes = [("category", self.categories[1]), ("worst", ""), ("sample", "")]
        rows = [
            {
                "strategy": strategy,
                "scope": scope,
                "category": category,
                "round": number,
                "queries": 4,
                "judged": 2 * number,
            }
            | {
                "precision_at_k": 0.5 + number / 4,
                "residual_precision_at_k": 0.25,
                "residual_precision_at_k_plain": 0.125,
            }
            | {"residual_anmrr": "" if number else 0.75, "residual_anmrr_plain": "" if number else 0.75}
            | {"residual_queries": 3, "common_queries": 3, "common_residual_precision_at_k": 0.375}
            | {"common_residual_precision_at_k_plain": 0.1875}
            | {"common_residual_anmrr": "" if number else 0.625, "common_residual_anmrr_plain": "" if number else 0.625}
            for strategy in ("rocchio", "linear")
            for scope, category in scopes
            for number in (0, 1)
        ]
        self.names["simulated"] = ["plain"]
        self.csv("feedback/simulated/plain/gain.csv", pd.DataFrame(rows))
        self.write("feedback/simulated/plain/gain.svg", "<svg>a curve</svg>")
        self.json("feedback/simulated/plain/example.json", self.rounds())

    def forget_labels(self) -> None:
        """Change the run to one over images without categories, which has no evaluation."""
        self.images = self.images.assign(category="", label=-1)
        self.csv("collection/images.csv", self.images)
        self.csv("splits/train.csv", self.images)
        self.csv("splits/test.csv", self.images.iloc[:0])
        shutil.rmtree(self.results / "evaluation")
        (self.results / "collection/suspects.csv").unlink()
        self.config["queries"]["choose"], self.names["query"] = [], ["drawn-1"]
        for method in self.names["method"]:
            self.query(method, "drawn-1", self.image(0, 8), None)

    def credit(self) -> None:
        """Add a source with authors and licences to the run."""
        table = pd.DataFrame(
            {
                "file": [f"cat/{number}.png" for number in range(7)] + ["dog/1.png"],
                "author": ["Ann"] * 7 + ["<i>Bob</i>"],
                "licence": ["CC0-1.0"] * 7 + ["CC-BY-4.0"],
                "source": ["https://example.org/cats"] * 7 + ["javascript:alert(1)"],
            }
        )
        self.names["source"] = ["sample"]
        self.csv("sources/sample/credits.csv", table)

    def gather(self) -> dict[str, Any]:
        return build.gather(Results(self.results, self.config, self.names))

    def text(self) -> str:
        """Write the report and return its text."""
        path = self.results / "report.html"
        build.write(Results(self.results, self.config, self.names), path)
        return path.read_text(encoding="utf-8")

    def report(self) -> Node:
        """Write the report and return its elements."""
        return Reader(self.text()).root

    def section(self, name: str) -> Node:
        """Write the report and return one of its sections, with its heading."""
        return self.report().one("section", id=name).one("details", class_="fold")
