"""The report: gather what a run made into plain data, and write it as one page that opens offline.

The page is a row of sections. A section is a row of ``SECTIONS``: a function that gathers its data, and the template
``sections/<name>.html.j2`` that shows them.
"""

import csv
import functools
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import yaml

from cbir.collection.manifest import HASHES_COLUMNS, IMAGE_COLUMNS, REJECTED_COLUMNS
from cbir.collection.splits import NEAR_DUPLICATE_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.features import store
from cbir.feedback.records import SHOWN_RESULTS, SHOWN_ROUNDS, flags
from cbir.feedback.strategies import REGISTRY as STRATEGIES
from cbir.files.tables import read_csv, read_json, write_text
from cbir.report import html

PICTURE_SIDE = 192

# What the study measured on 45 kinds of mammals (2,750 test images), method by method.
STUDY = {
    "pretrained": {"accuracy": 0.8620, "anmrr": 0.39},
    "siamese": {"accuracy": 0.1214, "anmrr": 0.88},
    "finetuned": {"accuracy": 0.8380, "anmrr": 0.40},
    "combined": {"accuracy": 0.8709, "anmrr": 0.39},
}
"""Pixels of a picture's longer side: enough for sharp screens at the size shown."""
MAX_REJECTED = 200
"""Rows of the table of rejected files."""
MAX_GROUPS = 12
"""Groups of near-duplicates shown."""
MAX_COPIES = 6
"""Images shown of each."""
MAX_SUSPECTS = 24
"""Images with a doubtful label shown."""
MAX_CONFUSIONS = 10
"""Rows of the table of most frequent confusions."""
MAX_FILES = 5
"""Files named in one row of the credits."""


@dataclass(frozen=True)
class Figure:
    """A figure of summary.json; ``written`` is the filter of `pages` that writes it, {k} is evaluation.k."""

    key: str
    name: str
    more_is_better: bool
    written: str
    meaning: str


FIGURES = (
    Figure(
        "accuracy",
        "Accuracy",
        True,
        "percent",
        "Share of queries whose category the majority of the {k} nearest images names.",
    ),
    Figure(
        "macro_f1",
        "Macro F1",
        True,
        "decimal",
        "F1, the harmonic mean of precision and recall of that naming, averaged over the categories.",
    ),
    Figure(
        "anmrr",
        "ANMRR",
        False,
        "decimal",
        "Average normalised modified retrieval rank (MPEG-7): how far down the ranking the right images stand. 0 is "
        "perfect, 1 the worst.",
    ),
    Figure(
        "nmrr_at_k",
        "NMRR at {k}",
        False,
        "decimal",
        "The same for somebody who looks at the first {k} results only.",
    ),
    Figure(
        "map",
        "Mean average precision",
        True,
        "decimal",
        "Precision at the rank of each right image, averaged over all right images, then over the queries.",
    ),
    Figure(
        "map_at_r",
        "MAP@R",
        True,
        "decimal",
        "The same within the first R results, R being how many right images the gallery holds; a right image that is "
        "not among them counts 0.",
    ),
    Figure(
        "r_precision",
        "R-precision",
        True,
        "decimal",
        "Share of right images among the first R results.",
    ),
    Figure(
        "precision_at_k",
        "Precision at {k}",
        True,
        "decimal",
        "Share of right images among the first {k} results.",
    ),
    Figure(
        "recall_at_k",
        "Recall at {k}",
        True,
        "decimal",
        "Share of all right images that the first {k} results bring; small wherever a category has many more than {k} "
        "images.",
    ),
)

SOURCES = {
    "sample": "The sample: photographs out of Debian's package gcompris-qt-data.",
    "digits": "Handwritten digits that come with scikit-learn.",
    "folder": "The folder {path}.",
    "kaggle": "The Kaggle data set {dataset}.",
}


@dataclass(frozen=True)
class MethodFiles:
    """Where a method's results stand; ``queries`` maps the name of an example query to its JSON file."""

    name: str
    summary: str
    categories: str
    confusion: str
    worst: str
    index: str
    gallery: str
    queries: Mapping[str, str]


@dataclass(frozen=True)
class SimulationFiles:
    """Where the simulated user's results with a method stand: tables of the gain, its curve (SVG) and the example."""

    method: str
    gain: str
    curve: str
    example: str


@dataclass(frozen=True)
class ComparisonFiles:
    """Where the comparison of all methods stands: tables (CSV), pictures (SVG), and a JSON and an SVG file a pair."""

    methods: str
    methods_picture: str
    categories_picture: str
    best_worst: str
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Files:
    """Where everything that the report shows stands.

    Attributes:
        config: the checked configuration.
        images: the collection's table.
        rejected: the table of files that were not used.
        hashes: the perceptual hashes, empty where an image cannot be compared.
        near_duplicates: the table of near-duplicates with the split each is in.
        suspects: the table of images that are likely mislabelled.
        splits: the manifest of each split, by its name.
        encoders: what each encoder says about itself (JSON), by its name.
        methods: the methods' results.
        benchmarks: the folder of Snakemake's benchmark files; it may be missing.
        credits: authors and licences of the images (CSV), where the source states them.
        simulations: the simulated user's results.
        refinements: the rounds of each refinement (JSON), by its name.
        comparison: figures and categories of the methods side by side, and the pairs; None for a single method.
        trainings: history (CSV) and its picture (SVG) of each trained encoder, by its name.
    """

    config: dict[str, Any]
    images: str
    rejected: str
    hashes: str
    near_duplicates: str
    suspects: str
    splits: Mapping[str, str]
    encoders: Mapping[str, str]
    methods: Sequence[MethodFiles]
    benchmarks: str
    credits: str | None = None
    simulations: Sequence[SimulationFiles] = ()
    refinements: Mapping[str, str] = field(default_factory=dict)
    comparison: ComparisonFiles | None = None
    trainings: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method's results, read; see `MethodFiles`. ``support`` counts the test images of each category."""

    name: str
    summary: dict[str, Any]
    categories: list[dict[str, Any]]
    names: list[str]
    counts: np.ndarray
    worst: dict[str, Any]
    index: dict[str, Any]
    store: dict[str, Any]
    queries: dict[str, dict[str, Any]]


class Results:
    """A run's results, read once for all sections.

    Attributes:
        files: where they stand.
        config: the checked configuration.
        images: the collection, indexed by image_id.
        splits: the manifests.
        methods: the best ranking (lowest ANMRR) first.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.config = files.config
        self.images = read_csv(files.images, IMAGE_COLUMNS).set_index("image_id")
        self.splits = {name: read_csv(path, ["image_id", "category"]) for name, path in files.splits.items()}
        self.methods = sorted(map(_read_method, files.methods), key=_order)
        self._picture = functools.cache(functools.partial(html.picture, side=PICTURE_SIDE))

    def card(self, image_id: str, **more: Any) -> dict[str, Any]:
        """Return an image as the templates show it; a name that is not in the collection is the path of a file."""
        inside = image_id in self.images.index
        path = self.images.at[image_id, "path"] if inside else image_id
        category = str(self.images.at[image_id, "category"]) if inside else None
        name = PurePosixPath(image_id).name
        return {"image_id": image_id, "name": name, "category": category, "picture": self._picture(path), **more}


def _read_method(files: MethodFiles) -> Method:
    table = read_csv(files.categories, ["category", "precision", "recall", "f1", "support", "anmrr"])
    figures = ["precision", "recall", "f1", "support", "anmrr"]
    # A figure that is not defined is an empty cell.
    table[figures] = table[figures].apply(pd.to_numeric, errors="coerce")
    confusion = read_csv(files.confusion, [])
    return Method(
        name=files.name,
        summary=read_json(files.summary),
        categories=_records(table.sort_values("f1", ascending=False, kind="stable")),
        names=[str(name) for name in confusion.iloc[:, 0]],
        counts=confusion.iloc[:, 1:].to_numpy(np.int64),
        worst=read_json(files.worst),
        index=read_json(files.index),
        store=store.about(files.gallery, files.name),
        queries={name: read_json(path) for name, path in files.queries.items()},
    )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(map(str, table.columns), row, strict=True)) for row in table.itertuples(index=False, name=None)]


def _order(method: Method) -> tuple[float, float, str]:
    return method.summary["anmrr"], -method.summary["accuracy"], method.name


def collection(results: Results) -> dict[str, Any]:
    """Counts of each category and split, and the files that were not used."""
    config = results.config["collection"]
    counts = pd.DataFrame({name: table["category"].value_counts() for name, table in results.splits.items()})
    counts = counts.reindex(sorted(set(results.images["category"]))).fillna(0).astype(int)
    rejected = read_csv(results.files.rejected, REJECTED_COLUMNS)
    totals = counts.sum(axis=1)
    return {
        "source": SOURCES[config["source"]].format(**config),
        "images": len(results.images),
        "splits": {name: len(table) for name, table in results.splits.items()},
        "split_words": [f"{len(table):,} {name}" for name, table in results.splits.items()],
        "rows": [
            {"category": str(category), "counts": list(map(int, row)), "total": int(sum(row))}
            for category, row in zip(counts.index, counts.to_numpy(), strict=True)
        ],
        "smallest": {"category": str(totals.idxmin()), "count": int(totals.min())},
        "largest": {"category": str(totals.idxmax()), "count": int(totals.max())},
        "rejected": _records(rejected.head(MAX_REJECTED)),
        "rejected_count": len(rejected),
        "rejected_file": results.files.rejected,
        "reasons": _reasons(rejected["reason"]),
    }


def _reasons(reasons: pd.Series) -> list[str]:
    duplicates = int(reasons.str.startswith("duplicate of ").sum())
    conflicts = int(reasons.str.startswith("conflict: ").sum())
    unusable = len(reasons) - duplicates - conflicts
    parts = [
        (duplicates, html.plural(duplicates, "exact duplicate")),
        (conflicts, f"{conflicts:,} with the same image in another category"),
        (unusable, f"{unusable:,} that cannot be used"),
    ]
    return [text for count, text in parts if count]


def quality(results: Results) -> dict[str, Any]:
    """Near-duplicates, those across splits and categories first, and doubtful labels, the clearest first."""
    near = read_csv(results.files.near_duplicates, NEAR_DUPLICATE_COLUMNS)
    suspects = read_csv(results.files.suspects, SUSPECT_COLUMNS)
    groups = [rows for _, rows in near.groupby("group", sort=False)]
    return {
        "together": results.config["split"]["near_duplicates"]["together"],
        "distance": results.config["split"]["near_duplicates"]["distance"],
        "not_compared": int((read_csv(results.files.hashes, HASHES_COLUMNS)["phash"] == "").sum()),
        "images": len(near),
        "groups": len(groups),
        "across_splits": sum(int(rows["across_splits"].iloc[0]) for rows in groups),
        "across_categories": sum(int(rows["across_categories"].iloc[0]) for rows in groups),
        "near_file": results.files.near_duplicates,
        "rows": [
            {
                "number": int(rows["group"].iloc[0]),
                "across_splits": bool(rows["across_splits"].iloc[0]),
                "across_categories": bool(rows["across_categories"].iloc[0]),
                "count": len(rows),
                "images": [
                    results.card(
                        row["image_id"], split=row["split"], distance=row["distance"], mirrored=row["mirrored"]
                    )
                    for row in _records(rows.head(MAX_COPIES))
                ],
            }
            for rows in groups[:MAX_GROUPS]
        ],
        "suspects": [
            {
                "image": results.card(row["image_id"]),
                "nearest": results.card(row["nearest"]),
                **{key: row[key] for key in ("suggested", "share", "neighbours")},
            }
            for row in _records(suspects.head(MAX_SUSPECTS))
        ],
        "suspects_count": len(suspects),
        "suspects_file": results.files.suspects,
    }


def figures(results: Results) -> dict[str, Any]:
    """The summary's figures, a row a figure and a column a method."""
    k = results.config["evaluation"]["k"]
    rows = []
    for figure in FIGURES:
        values = [method.summary[figure.key] for method in results.methods]
        best = max(values) if figure.more_is_better else min(values)
        rows.append(
            {
                "name": figure.name.format(k=k),
                "meaning": figure.meaning.format(k=k),
                "more_is_better": figure.more_is_better,
                "written": figure.written,
                "cells": [{"value": value, "best": len(set(values)) > 1 and value == best} for value in values],
            }
        )
    return {"rows": rows}


def categories(results: Results) -> dict[str, Any]:
    """Each method's categories, best F1 first."""
    return {method.name: method.categories for method in results.methods}


def confusion(results: Results) -> dict[str, Any]:
    """Each method's confusion matrix as shares of the true category, and its most frequent confusions."""
    return {method.name: _confusion(method) for method in results.methods}


def _confusion(method: Method) -> dict[str, Any]:
    supports = method.counts.sum(axis=1)
    shares = method.counts / np.maximum(supports, 1)[:, None]
    wrong = [
        {
            "true": method.names[row],
            "predicted": method.names[column],
            "count": int(method.counts[row, column]),
            "support": int(supports[row]),
            "share": float(shares[row, column]),
        }
        for row, column in zip(*np.nonzero(method.counts), strict=True)
        if row != column
    ]
    wrong.sort(key=lambda item: (-item["count"], -item["share"], item["true"], item["predicted"]))
    return {
        "names": method.names,
        "counts": method.counts.tolist(),
        "shares": shares.tolist(),
        "supports": supports.tolist(),
        "frequent": wrong[:MAX_CONFUSIONS],
        "errors": sum(item["count"] for item in wrong),
        "queries": int(supports.sum()),
    }


def worst(results: Results) -> dict[str, Any]:
    """Each method's category with the lowest F1: some of its test images, what they retrieve, what it is taken for."""
    return {method.name: _worst(results, method) for method in results.methods}


def _worst(results: Results, method: Method) -> dict[str, Any]:
    found = method.worst
    place = method.names.index(found["category"])
    column = method.counts[:, place].copy()
    column[place] = 0
    taken = [{"category": method.names[row], "count": int(column[row])} for row in np.flatnonzero(column)]
    return {
        **{key: found[key] for key in ("category", "precision", "recall", "f1", "retrieved", "anmrr_at_retrieved")},
        "support": int(method.counts[place].sum()),
        "taken_for": found["taken_for"],
        "taken_for_it": sorted(taken, key=lambda item: (-item["count"], item["category"])),
        "rows": [
            {
                "query": results.card(item["image_id"]),
                "nmrr": item["nmrr"],
                "results": [_answer(results, image_id, found["category"]) for image_id in item["retrieved"]],
            }
            for item in found["images"]
        ],
    }


def _answer(results: Results, image_id: str, category: str) -> dict[str, Any]:
    card = results.card(image_id)
    return {**card, "right": card["category"] == category}


def queries(results: Results) -> dict[str, Any] | None:
    """Each method's example queries with their nearest images."""
    if not any(method.queries for method in results.methods):
        return None
    chosen = results.config["queries"]["choose"]
    return {
        method.name: [
            {
                "chosen": name if name in chosen else None,
                "query": results.card(data["query"], category=data["category"]),
                "results": [
                    results.card(item["image_id"], right=item["right"], distance=item["distance"])
                    for item in data["neighbours"]
                ],
            }
            for name, data in method.queries.items()
        ]
        for method in results.methods
    }


def comparison(results: Results) -> dict[str, Any] | None:
    """The methods side by side and beside the study's, and which differences in pairs are real."""
    files = results.files.comparison
    if files is None:
        return None
    figures = ["accuracy", "anmrr", "map"]
    table = read_csv(files.methods, ["method", *figures])
    numbers = [name for figure in figures for name in (figure, f"{figure}_low", f"{figure}_high")]
    table[numbers] = table[numbers].apply(pd.to_numeric, errors="coerce")
    best_worst = read_csv(files.best_worst, ["method", "place", "rank", "category", "f1"])
    return {
        "rows": [{**row, "study": STUDY.get(row["method"])} for row in _records(table[["method", *numbers]])],
        "confidence": results.config["comparison"]["confidence"],
        "methods_picture": html.vector(files.methods_picture),
        "categories_picture": html.vector(files.categories_picture),
        "places": [
            {"method": method, "place": place, "categories": _records(rows)}
            for (method, place), rows in best_worst.groupby(["method", "place"], sort=False)
        ],
        "pairs": [{**read_json(data), "picture": html.vector(picture)} for data, picture in files.pairs],
    }


def training(results: Results) -> dict[str, Any] | None:
    """How each trained encoder came to its weights."""
    if not results.files.trainings:
        return None
    encoders = []
    for name, (path, picture) in results.files.trainings.items():
        history = read_csv(path, ["epoch", "images", "anmrr", "map", "best"])
        encoders.append(
            {
                "name": name,
                "epochs": int(history["epoch"].max()),
                "images": int(history["images"].max()),
                "first": _records(history.iloc[:1])[0],
                "best": _records(history[history["best"] == 1])[0],
                "picture": html.vector(picture),
            }
        )
    return {"encoders": encoders}


def feedback(results: Results) -> dict[str, Any] | None:
    """What the simulated user gained with each method, and the rounds of each refinement."""
    if not results.files.simulations and not results.files.refinements:
        return None
    simulations = {files.method: _simulation(results, files) for files in results.files.simulations}
    refinements = [
        {"name": name, **_refinement(results, read_json(path))} for name, path in results.files.refinements.items()
    ]
    used = {row["strategy"] for item in simulations.values() for row in item["rows"]}
    used |= {item["strategy"] for item in refinements}
    return {
        "settings": results.config["feedback"],
        "strategies": [(name, STRATEGIES[name].EXPLANATION) for name in STRATEGIES if name in used],
        # The best ranking method first, as everywhere.
        "methods": [
            {"name": method.name, **method.summary} for method in results.methods if method.name in simulations
        ],
        "simulations": simulations,
        "refinements": refinements,
    }


def _simulation(results: Results, files: SimulationFiles) -> dict[str, Any]:
    keys = ["scope", "category", "strategy"]
    table = read_csv(files.gain, [*keys, "round"])
    figures = table.columns.difference(keys)
    # A figure that is not defined is an empty cell.
    table[figures] = table[figures].apply(pd.to_numeric, errors="coerce")
    rows = [
        {
            **dict(zip(keys, map(str, key), strict=True)),
            "queries": int(rounds["queries"].max()),
            "rounds": _records(rounds),
        }
        for key, rounds in table.groupby(keys, sort=False)
    ]
    # The strategies beside each other, what many queries say before what few do; a stable sort keeps the rest.
    places = {key: place for place, key in enumerate(dict.fromkeys((row["scope"], row["category"]) for row in rows))}
    rows.sort(key=lambda row: (row["scope"] == "category", places[row["scope"], row["category"]]))
    return {
        "curve": html.vector(files.curve),
        "rounds": sorted(set(table["round"].astype(int))),
        "rows": rows,
        "example": _refinement(results, read_json(files.example)),
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


def timings(results: Results) -> dict[str, Any] | None:
    """Duration and memory of each job's last run, longest first."""
    folder = Path(results.files.benchmarks)
    jobs: list[dict[str, Any]] = []
    for path in filter(Path.is_file, folder.rglob("*.tsv")):
        stage, *item = path.relative_to(folder).with_suffix("").parts
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                seconds, memory = _number(row.get("s")), _number(row.get("max_rss"))
                jobs.append({"stage": stage, "item": "/".join(item), "seconds": seconds, "memory": memory})
    if not jobs:
        return None
    jobs.sort(key=lambda job: (-(job["seconds"] or 0), job["stage"], job["item"]))
    return {"jobs": jobs, "total": sum(job["seconds"] or 0 for job in jobs)}


def _number(text: str | None) -> float | None:
    """Snakemake writes NA or a dash where a job was too short to be measured."""
    try:
        return float(text or "")
    except ValueError:
        return None


def provenance(results: Results) -> dict[str, Any]:
    """Encoders, methods, library versions and the configuration."""
    libraries: dict[str, str] = {}
    for method in results.methods:
        libraries |= json.loads(method.store.get("libraries", "{}"))
        libraries |= {name: method.index[name] for name in ("numpy", "scipy") if name in method.index}
    here = {"Python": platform.python_version(), "snakemake": _version("snakemake")}
    return {
        "encoders": [{"name": name, **_encoder(read_json(path))} for name, path in results.files.encoders.items()],
        "methods": [
            {
                "name": method.name,
                "row": _flow(results.config["methods"][method.name]),
                "dimension": method.index.get("dimension"),
                "rows": method.index.get("rows"),
                "kind": method.index.get("kind"),
                "features_sha256": method.index.get("features_sha256"),
            }
            for method in results.methods
        ],
        "libraries": sorted({**libraries, **{name: value for name, value in here.items() if value}}.items()),
        "machine": f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs",
        "config": yaml.safe_dump(results.config, sort_keys=False, allow_unicode=True, width=96).splitlines(),
    }


def _flow(row: dict[str, Any]) -> str:
    return yaml.safe_dump(row, default_flow_style=True, allow_unicode=True, width=10**6).strip().strip("{}")


def _encoder(about: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in about.items() if key != "encoder"}
    return {
        "rows": [
            (key, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value)
            for key, value in plain.items()
        ]
    }


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def credits(results: Results) -> dict[str, Any] | None:
    """Authors and licences of the images; images with the same credit share a row."""
    if results.files.credits is None:
        return None
    table = read_csv(results.files.credits, ["file", "author", "licence", "source"]).astype(str)
    columns = [name for name in table.columns if name != "file"]
    rows = [
        {"files": list(group["file"].head(MAX_FILES)), "more": max(0, len(group) - MAX_FILES), "cells": list(key)}
        for key, group in table.groupby(columns, sort=False)
    ]
    return {
        "columns": columns,
        "rows": rows,
        "licences": table["licence"].value_counts().sort_index().sort_values(ascending=False, kind="stable").to_dict(),
        "count": len(table),
        "file": results.files.credits,
    }


@dataclass(frozen=True)
class Section:
    """A part of the page: ``gather`` returns the data of ``sections/<name>.html.j2``, or None to leave it out."""

    name: str
    title: str
    gather: Callable[[Results], dict[str, Any] | None]


SECTIONS = (
    Section("collection", "Collection", collection),
    Section("quality", "Near-duplicates and doubtful labels", quality),
    Section("figures", "Figures", figures),
    Section("comparison", "Comparison", comparison),
    Section("training", "Training", training),
    Section("categories", "Categories", categories),
    Section("confusion", "Confusion", confusion),
    Section("worst", "The weakest category", worst),
    Section("queries", "Example queries", queries),
    Section("feedback", "Relevance feedback", feedback),
    Section("timings", "Timings", timings),
    Section("provenance", "Provenance", provenance),
    Section("credits", "Credits", credits),
)


def gather(files: Files) -> dict[str, Any]:
    """Return what the page shows as plain data: title, lead, methods (best ranking first) and sections.

    Raises:
        InputError: when a file is missing or damaged.
    """
    results = Results(files)
    return {
        "title": results.config["report"]["title"],
        "lead": {
            "images": len(results.images),
            "categories": int(results.images["category"].nunique()),
            "k": results.config["evaluation"]["k"],
            "queries": results.methods[0].summary["queries"],
            "gallery": results.methods[0].summary["gallery"],
            "most_accurate": max(results.methods, key=lambda method: method.summary["accuracy"]).name,
        },
        "methods": [{"name": method.name, **method.summary} for method in results.methods],
        "sections": [
            {"name": section.name, "title": section.title, "data": data}
            for section in SECTIONS
            if (data := section.gather(results)) is not None
        ],
    }


def write(files: Files, templates: str | Path, path: str | Path) -> None:
    """Write the report as one HTML file.

    Args:
        files: what it shows.
        templates: the folder of ``report.html.j2``, ``sections``, ``page.css`` and ``page.js``.
        path: the page.

    Raises:
        InputError: when a file is missing or damaged, or the page cannot be written.
    """
    write_text(path, html.render(templates, "report.html.j2", **gather(files)))
