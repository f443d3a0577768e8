"""Read the results of a run for the sections of the report."""

import functools
import itertools
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from cbir import results
from cbir.collection.roles import gallery_of
from cbir.report import pictures
from cbir.report.thumbnails import Thumbnails
from cbir.results import IMAGES, RANGES, SPLIT, SUMMARY

INPUTS = (IMAGES, RANGES, SPLIT, SUMMARY)
"""The files that `Results` itself reads; see `cbir.report.sections`."""
PICTURE_SIDE = 192
"""Pixels of a picture's longer side: enough for high-resolution screens at the size shown."""


@dataclass(frozen=True)
class Method:
    """A method and its summary."""

    name: str
    summary: dict[str, Any]


class Results(results.Results):
    """A run's results; see `cbir.results.Results` for the readers of files.

    Args:
        root: the folder ``results`` of the run.
        config: the checked configuration.
        names: the values of each wildcard of the patterns, in the order of display; see `cbir.report.sections`.

    Attributes:
        splits: the table of each split.
        methods: the methods, lowest ANMRR first; if images have no categories, by name and with empty summaries.
        thumbnails: the pictures of all tiles that were made so far.

    Raises:
        InputError: when a file is missing or damaged.
    """

    def __init__(self, root: str | Path, config: dict[str, Any], names: Mapping[str, Sequence[str]]) -> None:
        super().__init__(root)
        self.config, self.names = config, names
        self.splits = {name: self.split(name) for name in names["split"]}
        methods = (Method(name, self.json(SUMMARY, method=name) if self.labelled else {}) for name in names["method"])
        self.methods = sorted(methods, key=_order)
        columns = ["image_id", "path", "category"]
        self._known = {row[0]: row[1:] for row in self.images[columns].itertuples(index=False, name=None)}
        self._picture = functools.cache(functools.partial(pictures.picture, side=PICTURE_SIDE, whites=self.whites))
        self.thumbnails = Thumbnails(self.images, self.whites)
        self._places = {name: place for place, name in enumerate(sorted(set(self.images["category"])))}

    @functools.cached_property
    def gallery(self) -> str:
        """The split that is searched."""
        return gallery_of(self.config["split"]["protocol"])

    def vector(self, pattern: str, **names: str) -> str:
        """Return an SVG file as a ``data:`` URI.

        Raises:
            InputError: when it is missing or not a regular file.
        """
        return pictures.vector(self.path(pattern, **names))

    def card(self, image_id: str, **more: Any) -> dict[str, Any]:
        """Return an image as plain data for the macro ``card`` of the templates.

        Args:
            image_id: an image of the collection; any other name is taken as the path of an image file.
            more: further values, which may replace the others.

        Returns:
            ``image_id``, ``name``, ``inside`` (whether it is in the collection), ``category`` (empty if images have no
            categories, None if it is not in the collection) and ``picture``, a ``data:`` URI.
        """
        inside = image_id in self._known
        path, category = self._known.get(image_id, (image_id, None))
        name = PurePosixPath(image_id).name
        found = {"image_id": image_id, "name": name, "inside": inside, "category": category}
        return {**found, "picture": self._picture(path), **more}

    def tile(self, image_id: str, large: bool = False, **more: Any) -> dict[str, Any]:
        """Return an image of the collection as `card` does, but with its picture as a class of the style sheet.

        Each picture is in the file once, so this is for sections with many pictures, or with repeated ones.

        Args:
            image_id: the image.
            large: whether it is also shown large.
            more: further values.
        """
        thumbnail = self.thumbnails.ask(image_id, large)
        name, category = image_id.rpartition("/")[2], self._known[image_id][1]
        return {"image_id": image_id, "name": name, "category": category, "thumbnail": thumbnail, **more}

    def anchor(self, method: str, category: str, taken_for: str | None = None) -> str:
        """Return the anchor of a category's errors in the section `errors`.

        Args:
            method: the method.
            category: the true category.
            taken_for: the predicted category, for the errors of this pair only.
        """
        places = [self._places[name] for name in (category, taken_for) if name is not None]
        return ".".join(["errors", method, *map(str, places)])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as dictionaries of plain values."""
    return [dict(zip(map(str, table.columns), row, strict=True)) for row in table.itertuples(index=False, name=None)]


def expand(patterns: Iterable[str], names: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the files that patterns match, each once: with every combination of the values of their wildcards.

    Raises:
        KeyError: when a pattern has a wildcard that ``names`` lacks.
    """
    files: dict[str, None] = {}
    for pattern in patterns:
        wildcards = list(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(pattern) if name))
        for values in itertools.product(*(names[wildcard] for wildcard in wildcards)):
            files[pattern.format(**dict(zip(wildcards, values, strict=True)))] = None
    return list(files)


def _order(method: Method) -> tuple[float, float, str]:
    return method.summary.get("anmrr", 0), -method.summary.get("accuracy", 0), method.name
