"""What the search page shows: the images and methods of a finished run, read and checked once, at the start."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection.categories import members
from cbir.collection.columns import IMAGE_COLUMNS
from cbir.collection.sources import REGISTRY as SOURCES
from cbir.features.store import FeatureStore
from cbir.feedback.rounds import Gallery
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError
from cbir.results import CONFIGURATION, FEATURES, IMAGES, Results
from cbir.web.state import image_key

# Test images first: the gallery does not hold them, so they are the fairer queries.
_SPLITS = ("test", "val", "train")


@dataclass(frozen=True)
class Image:
    """An image of the collection.

    ``path`` is where it lies, ``sha256`` its content when the collection was read, and ``details`` are the further
    columns of a list of images, name and value, that are not empty.
    """

    image_id: str
    category: str
    path: Path
    sha256: str
    details: tuple[tuple[str, str], ...] = ()

    def matches(self, words: str) -> bool:
        """Tell whether each word is in its name, its category or a detail, such as ``2024`` or ``year:2024``."""
        details = (f"{name}:{value}" for name, value in self.details)
        text = "\n".join([self.image_id, self.category, *details]).casefold()
        return all(word in text for word in words.casefold().split())

    @property
    def folder(self) -> str:
        """Where it lies in the collection; empty at its top."""
        return self.image_id.rpartition("/")[0]


@dataclass(frozen=True, eq=False)
class Method:
    """One method's gallery, and the feature vectors of all images that may be queries."""

    name: str
    gallery: Gallery
    about: Mapping[str, object]
    vectors: Mapping[str, NDArray[np.float32]]

    @property
    def queries(self) -> Iterable[str]:
        """The image_ids that have a vector, those outside the gallery first."""
        return self.vectors.keys()


class Library:
    """A run's results.

    Attributes:
        files: their files.
        source: what the collection was made from, ``collection.source`` of the run's configuration.
        folder: where the run reads refinements from, ``feedback.folder``; a relative one starts beside the results.
        weights: Rocchio's, of the run's configuration.
        judged_first: whether images judged relevant come first, and those judged irrelevant leave the results.
        k: results of a round, of the run's configuration.
        images: by image_id.
        details: names of the further columns that a list of images has.
        pictures: image files by the SHA-256 of their content.
        by_key: image_ids by what flags call the images, see `state.image_key`.
        categories: names with their numbers of images, in order; none where images have no categories.
        examples: an image of each category.
        methods: by name, in order.
    """

    def __init__(self, results: str | Path) -> None:
        """Read the results.

        Raises:
            InputError: when a file is missing or damaged, or the files do not belong together.
        """
        self.files = Results(results)
        names = self.files.require_methods()
        table = self.files.images
        _require_one_folder(self.files.path(IMAGES), table)
        rows = zip(table["image_id"], table["category"], table["path"], table["sha256"], strict=True)
        self.details = [name for name in table.columns if name not in (*IMAGE_COLUMNS, "split")]
        cells = table[self.details].to_numpy(str)
        self.images = {
            image_id: Image(image_id, category, self.files.home / path, sha256, _filled(self.details, values))
            for (image_id, category, path, sha256), values in zip(rows, cells, strict=True)
        }
        self.pictures = {image.sha256: image.path for image in self.images.values()}
        self.by_key = {image_key(image.sha256): image.image_id for image in self.images.values()}
        named = [(name, image) for image in self.images.values() for name in members(image.category)]
        self.categories = dict(sorted(Counter(name for name, _ in named).items()))
        self.examples = dict(reversed(named))
        self.source, self.folder, self.weights, self.k, self.judged_first = _configuration(self.files)
        self._read: dict[Path, tuple[int, int]] = {}
        self.methods = {name: self._method(name) for name in names}

    def _method(self, name: str) -> Method:
        stores: dict[str, FeatureStore] = {}
        for split in _SPLITS:
            path = self.files.path(FEATURES, method=name, split=split)
            if path.exists():
                stores[split] = self.files.store(name, split)
                self._read[path] = _stamp(path)
                unknown = next((image_id for image_id in stores[split].image_id if image_id not in self.images), None)
                if unknown is not None:
                    raise InputError(
                        f"{path} holds the image {unknown!r}, which is not in the collection's images.csv: "
                        "run the workflow again."
                    )
        train = stores["train"]
        image_ids = [str(image_id) for image_id in train.image_id]
        categories = np.array([self.images[image_id].category for image_id in image_ids], dtype=np.str_)
        vectors = {
            str(image_id): vector
            for held in stores.values()
            for image_id, vector in zip(held.image_id, held.features, strict=True)
        }
        return Method(name, Gallery(train.features, image_ids, categories), train.about, vectors)

    def require_current(self) -> None:
        """Check that the features are still those that were read.

        Raises:
            InputError: when a run has made them anew, so that the search page no longer shows what the workflow has.
        """
        if any(not path.exists() or _stamp(path) != stamp for path, stamp in self._read.items()):
            raise InputError(
                "The workflow has made the results anew since the search page was started: start it again."
            )


def _filled(names: list[str], values: NDArray[np.str_]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in zip(names, values, strict=True) if value)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _configuration(results: Results) -> tuple[str, str, Weights, int, bool]:
    """Return what the run's configuration says: source, folder of refinements, Rocchio's weights, k, judged_first."""
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
        # A run from before there was this key is searched as it was.
        k, judged_first = int(asked["k"]), bool(asked.get("judged_first", False))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not the configuration of a run ({error}): run the workflow again.") from None
    return source, folder, weights, k, judged_first


def _require_one_folder(manifest: Path, table: pd.DataFrame) -> None:
    """Refuse a collection whose images lie in several folders.

    Raises:
        InputError: naming an image whose path does not lead into the one folder of all others.
    """
    root = ""
    for row, (image_id, path) in enumerate(zip(table["image_id"], table["path"], strict=True)):
        root = root if row else path.removesuffix(image_id)
        if path != f"{root}{image_id}" or not root.endswith("/") or ".." in PurePosixPath(image_id).parts:
            raise InputError(
                f"{manifest}: the image {image_id!r} has the path {path!r}, which is not in one folder with the other "
                "images of the collection: run the workflow again, and open no results of somebody you do not trust."
            )
