"""The images and methods of a finished run, read and checked once, for the search page."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection import images
from cbir.collection.categories import members, singles
from cbir.collection.columns import IMAGE_COLUMNS, REJECTED_COLUMNS
from cbir.collection.corrections import DEFAULT
from cbir.collection.sources import REGISTRY as SOURCES
from cbir.evaluation import calibration
from cbir.evaluation.calibration import Calibration, Novelty
from cbir.features.store import FeatureStore
from cbir.feedback.rounds import Gallery
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.files.tables import read_csv
from cbir.results import (
    CALIBRATION,
    CONFIGURATION,
    CONTENTS_MEMORY,
    FEATURES,
    GROUPS,
    IMAGES,
    NEAR_DUPLICATES,
    RANGES,
    REJECTED,
    SUMMARY,
    SUSPECTS,
    Results,
)
from cbir.retrieval import exact
from cbir.retrieval.outside import by_angle
from cbir.retrieval.searching import searched
from cbir.web.state import State, image_key

# Test images first: they are usually not in the gallery, so they make fairer queries.
_SPLITS = ("test", "val", "train")
# The most distinct values of a column that can be a filter; a column with more, such as a date, is left out.
_MOST_VALUES = 500
# How many images are sampled to find the usual distance to the nearest image.
_SAMPLE = 200


@dataclass(frozen=True)
class Image:
    """An image of the collection; ``sha256`` is the hash of its content when the workflow read it."""

    image_id: str
    category: str
    path: Path
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return PurePosixPath(self.image_id).name

    @property
    def folder(self) -> str:
        """Its folder within the collection; empty for the collection's own folder."""
        return self.image_id.rpartition("/")[0]


@dataclass(frozen=True, eq=False)
class Method:
    """One method's gallery, the feature vectors of all images that may be queries, and its calibration.

    Attributes:
        name: the method's name.
        gallery: the images that are searched.
        about: the attributes of the gallery's feature store.
        vectors: the vector of each image that may be a query, by image_id.
        calibration: the probabilities of results; None if the run has none.
        values: for each column that may filter results, the value of each image by image_id.
        group: the group of near-duplicates by image_id, for images that are in one.
    """

    name: str
    gallery: Gallery
    about: Mapping[str, object]
    vectors: Mapping[str, NDArray[np.float32]]
    calibration: Calibration | None
    values: Mapping[str, Mapping[str, str]]
    group: Mapping[str, str]

    @property
    def queries(self) -> Iterable[str]:
        """The image_ids of all images with a vector, those that are not in the gallery first."""
        return self.vectors.keys()

    def novelty(self, vector: NDArray[np.float32], image_id: str | None) -> Novelty | None:
        """Return whether anything like a query is in the gallery; None if the run has no threshold of novelty.

        Args:
            vector: (d,), the query.
            image_id: the query's image_id, so that it is not compared with itself; None for an image from outside.
        """
        if self.calibration is None or not self.calibration.neighbours:
            return None
        distances, (rows,) = self.nearest(vector[None], self.calibration.neighbours + 1)
        other = [self.gallery.image_ids[row] != image_id for row in rows]
        return self.calibration.novelty(distances[0][other])

    @cached_property
    def columns(self) -> dict[str, NDArray[np.object_]]:
        """For each column that may filter results, the values of the gallery's images, (n,)."""
        ids = self.gallery.image_ids
        return {
            name: np.array([value.get(image_id, "") for image_id in ids], object) for name, value in self.values.items()
        }

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The group of near-duplicates of each gallery image, int64 (n,); an image without copies is a group alone."""
        names = [self.group.get(image_id, f"/{image_id}") for image_id in self.gallery.image_ids]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def copies(self) -> NDArray[np.int64]:
        """How many other gallery images are near-duplicates of each gallery image, int64 (n,)."""
        _, places, counts = np.unique(self.groups, return_inverse=True, return_counts=True)
        copies: NDArray[np.int64] = counts[places] - 1
        return copies

    @cached_property
    def usual(self) -> NDArray[np.float64]:
        """The usual distances to the nearest gallery image, ascending, from a sample of images outside the gallery.

        If all images are in the gallery, they are the distances of a sample to the nearest other image.
        """
        outside = [image_id for image_id in self.vectors if image_id not in self.gallery.row_of]
        held = outside or list(self.vectors)
        step = math.ceil(len(held) / _SAMPLE)
        sample = np.stack([self.vectors[image_id] for image_id in held[::step]])
        k = min(1 if outside else 2, len(self.gallery.image_ids))
        return np.sort(self.nearest(sample, k)[0][:, -1])

    @cached_property
    def for_texts(self) -> "Method":
        """The method as texts are compared with it, see `cbir.retrieval.outside.by_angle`.

        What was learned of the distances between images says nothing about those to a text.
        """
        features = by_angle(self.gallery.features, self.about)
        # An index holds the vectors as they are.
        index = self.gallery.index if features is self.gallery.features else None
        return replace(self, gallery=replace(self.gallery, features=features, index=index), calibration=None)

    def nearest(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return distances and rows of the k nearest gallery images, each (n, k), by the index if there is one."""
        index = self.gallery.index
        return exact.nearest(vectors, self.gallery.features, k) if index is None else index.search(vectors, k)


class Vectors(Mapping[str, NDArray[np.float32]]):
    """The vectors of several feature stores by image_id, without copying them."""

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        self._stores = stores
        self._row = {
            str(image_id): (number, row)
            for number, held in enumerate(stores)
            for row, image_id in enumerate(held.image_id)
        }

    def __getitem__(self, image_id: str) -> NDArray[np.float32]:
        number, row = self._row[image_id]
        return self._stores[number].features[row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._row


class Library:
    """A run's results.

    Attributes:
        files: the files of the results.
        source: ``collection.source`` of the run's configuration.
        folder: ``feedback.folder``, from which the run reads refinements; relative to the folder of the results.
        weights: Rocchio's weights in the run's configuration.
        judged_first: whether images judged relevant come first, and those judged irrelevant are left out.
        k: ``feedback.k``, the number of results of a round.
        corrections: the file in which corrections of the collection are saved.
        images: the images by image_id.
        pictures: the images by the SHA-256 of their content.
        by_key: image_ids by their `state.image_key`.
        categories: the number of images of each category, sorted by name; empty if images have no categories.
        examples: an image of each category.
        methods: the methods by name; lowest ANMRR first if they were evaluated, else sorted by name.
        values: the sorted values of each column that may filter results.
    """

    def __init__(self, results: str | Path) -> None:
        """Read the results.

        Raises:
            InputError: when a file is missing or damaged, or the files do not belong together.
        """
        self.files = Results(results)
        names = self.files.require_methods()
        table = self.files.images
        self._root = _require_one_folder(self.files.path(IMAGES), table)
        rows = zip(table["image_id"], table["category"], table["path"], table["sha256"], strict=True)
        self.images = {
            image_id: Image(image_id, category, self.files.home / path, sha256)
            for image_id, category, path, sha256 in rows
        }
        self.pictures = {image.sha256: image for image in self.images.values()}
        self.by_key = {image_key(image.sha256): image.image_id for image in self.images.values()}
        named = [(name, image) for image in self.images.values() for name in members(image.category)]
        self.categories = dict(sorted(Counter(name for name, _ in named).items()))
        self.examples = dict(reversed(named))
        further = [name for name in table.columns if name not in IMAGE_COLUMNS]
        self.sizes = dict(
            zip(table["image_id"], zip(table["width"], table["height"], table["bytes"], strict=True), strict=True)
        )
        self._columns = {
            name: dict(zip(table["image_id"], table[name].astype(str), strict=True)) for name in ["category", *further]
        }
        self.values = {
            name: sorted(found)
            for name, column in self._columns.items()
            if 1 < len(found := set(column.values()) - {""}) <= _MOST_VALUES
        }
        if "category" in self.values:
            self.values["category"] = singles(self._columns["category"].values())
        self._groups = _groups(self.files)
        self._group = {
            image_id: self._groups[sha256]
            for image_id, sha256 in zip(table["image_id"], table["sha256"], strict=True)
            if sha256 in self._groups
        }
        self.source, self.folder, self.weights, self.k, self.judged_first, corrected = _configuration(self.files)
        self.corrections = self.files.home / corrected
        self._read: dict[Path, tuple[int, int]] = {}
        self._note(IMAGES, RANGES, CONFIGURATION, GROUPS, NEAR_DUPLICATES, REJECTED, SUSPECTS)
        for name in names:
            self._note(SUMMARY, CALIBRATION, method=name)
        self.methods = {name: self._method(name) for name in sorted(names, key=self._rank)}

    def _rank(self, name: str) -> tuple[float, float, str]:
        """Return the sort key of a method: ANMRR, then accuracy, as in the report; methods without them come last."""
        try:
            summary = self.files.json(SUMMARY, method=name)
            return float(summary["anmrr"]), -float(summary["accuracy"]), name
        except (InputError, KeyError, TypeError, ValueError):
            return math.inf, 0.0, name

    def _note(self, *patterns: str, **names: str) -> None:
        for pattern in patterns:
            path = self.files.path(pattern, **names)
            self._read[path] = _stamp(path)

    def _method(self, name: str) -> Method:
        stores: dict[str, FeatureStore] = {}
        held, index = searched(self.files, name)
        for split in _SPLITS:
            path = self.files.path(FEATURES, method=name, split=split)
            if path.exists():
                stores[split] = held if split == self.files.gallery else self.files.store(name, split)
                self._read[path] = _stamp(path)
                unknown = next((image_id for image_id in stores[split].image_id if image_id not in self.images), None)
                if unknown is not None:
                    raise InputError(
                        f"{path} holds the image {unknown!r}, which is not in the collection's images.csv: "
                        "run the workflow again."
                    )
        image_ids = [str(image_id) for image_id in held.image_id]
        categories = np.array([self.images[image_id].category for image_id in image_ids], dtype=np.str_)
        vectors = Vectors(list(stores.values()))
        gallery = Gallery(held.features, image_ids, categories, index)
        values = {column: self._columns[column] for column in self.values}
        learned = calibration.read(self.files, name)
        return Method(name, gallery, held.about, vectors, learned, values, self._group)

    def read(self, image: Image) -> bytes:
        """Return the bytes of an image's file.

        Raises:
            InputError: when it cannot be read, or has another content than the workflow read: the file may have
                changed, or a manipulated images.csv may name another file of this machine.
        """
        data = images.read_bytes(image.path)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise InputError(f"{image.path} is not the image that the workflow read: run the workflow again.")
        return data

    @cached_property
    def rejected(self) -> dict[str, Image]:
        """The rejected files whose content hash the run recorded, by path relative to the collection."""
        try:
            recorded = self.files.json(CONTENTS_MEMORY)["files"]
            found = {}
            for path in self.files.table(REJECTED, REJECTED_COLUMNS)["path"]:
                name = self.relative(path)
                digest = recorded[name][1] if name in recorded else ""
                if name and isinstance(digest, str) and digest:
                    found[name] = Image(name, name.split("/")[0] if "/" in name else "", self.files.home / path, digest)
            return found
        # If the record is damaged or missing, rejected files are shown without pictures.
        except (InputError, KeyError, TypeError, IndexError):
            return {}

    @property
    def folders(self) -> list[Path]:
        """The folders of the run and of its collection."""
        return [self.files.home, self.files.home / self._root]

    def relative(self, path: str) -> str:
        """Return the path of a file relative to the collection; "" if it is not in the collection."""
        name = path.removeprefix(self._root)
        return "" if name == path or ".." in PurePosixPath(name).parts else name

    def picture(self, sha256: str) -> Image | None:
        """Return the image, which may be a rejected one, with a content hash; None if there is none."""
        found = self.pictures.get(sha256)
        return found or next((image for image in self.rejected.values() if image.sha256 == sha256), None)

    @property
    def best(self) -> str:
        """The method with the lowest ANMRR; "" if there is only one, or nothing was evaluated."""
        first = next(iter(self.methods))
        return first if len(self.methods) > 1 and self._rank(first)[0] < math.inf else ""

    def facts(self, image: Image) -> dict[str, str]:
        """Return the values of an image in the additional columns of images.csv."""
        return {name: column[image.image_id] for name, column in self._columns.items() if name != "category"}

    def copies_of(self, image: Image) -> list[Image]:
        """Return the other images of the collection that are near-duplicates of an image."""
        group = self._groups.get(image.sha256)
        if group is None:
            return []
        others = (other for other, name in self._groups.items() if name == group and other != image.sha256)
        return [self.pictures[other] for other in others if other in self.pictures]

    def category(self, state: State) -> str | None:
        """Return the category of a search's query.

        It is None for an image from outside, a part of an image or several images, and if images have no categories.
        """
        if state.query is None or state.box is not None or state.also:
            return None
        return self.images[state.query].category or None

    @cached_property
    def version(self) -> str:
        """A hash of the times and sizes of the files, which differs after another run has replaced them."""
        stamps = sorted((str(path), stamp) for path, stamp in self._read.items())
        return hashlib.sha256(repr(stamps).encode()).hexdigest()[:12]

    def is_current(self) -> bool:
        """Return whether the files are still those that were read; a run may have replaced them."""
        return all(_stamp(path) == stamp for path, stamp in self._read.items())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _groups(results: Results) -> dict[str, str]:
    """Return the group of near-duplicates by content hash; {} if the run has no such table."""
    if not results.path(GROUPS).exists():
        return {}
    table = read_csv(results.path(GROUPS), ["sha256", "group"])
    # Doubted groups do not count, as in the workflow. Results of an earlier version lack the column.
    undoubted = table[table.get("doubted", pd.Series(0, table.index)) == 0]
    return dict(zip(undoubted["sha256"], undoubted["group"], strict=True))


def _configuration(results: Results) -> tuple[str, str, Weights, int, bool, str]:
    """Return settings of the run's configuration.

    They are the source, the folder of refinements, Rocchio's weights, k, judged_first, and the file of corrections.
    """
    path = results.path(CONFIGURATION)
    if not path.exists():
        raise InputError(f"{path} does not exist: run the workflow, which writes it first.")
    try:
        settings = results.json(CONFIGURATION)
        source, asked = settings["collection"]["source"], settings["feedback"]
        if source not in set(SOURCES):
            raise ValueError(f"the source {source!r} does not exist")
        folder = str(asked["folder"]).replace("{source}", source)
        weights = Weights(*(float(asked[name]) for name in ("alpha", "beta", "gamma")))
        # Results of an earlier version lack some of these keys.
        k, judged_first = int(asked["k"]), bool(asked.get("judged_first", False))
        corrected = str(settings["collection"].get("corrections", DEFAULT)).replace("{source}", source)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the configuration of a run ({error}): run the workflow again.") from None
    return source, folder, weights, k, judged_first, corrected


def _require_one_folder(manifest: Path, table: pd.DataFrame) -> str:
    """Return the collection's folder with a trailing slash.

    Raises:
        InputError: naming an image that is not in the same folder as the others.
    """
    root = ""
    for row, (image_id, path) in enumerate(zip(table["image_id"], table["path"], strict=True)):
        root = root if row else path.removesuffix(image_id)
        if path != f"{root}{image_id}" or not root.endswith("/") or ".." in PurePosixPath(image_id).parts:
            raise InputError(
                f"{manifest}: the image {image_id!r} has the path {path!r}, which is not in one folder with the other "
                "images of the collection: run the workflow again, and open no results of somebody you do not trust."
            )
    return root
