"""The results of a run as arrays and data frames, for notebooks and scripts; `cbir.open` returns `Results`."""

import hashlib
import logging
import os
from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir import results
from cbir.collection import images, ranges
from cbir.collection.columns import SPLIT_COLUMNS
from cbir.collection.depths import Whites
from cbir.collection.images import ImageError
from cbir.evaluation import calibration, comparison
from cbir.evaluation.calibration import Novelty
from cbir.evaluation.evaluate import Evaluation
from cbir.features import store
from cbir.features.store import FeatureStore
from cbir.files import threads
from cbir.files.errors import InputError
from cbir.retrieval import exact
from cbir.retrieval.export import export
from cbir.retrieval.index import Index
from cbir.retrieval.outside import OutsideEncoder, by_angle, encode_files
from cbir.retrieval.searching import searched

log = logging.getLogger("cbir")

# The order in which an image is searched for; most queries are test images.
_SPLITS = ("test", "train", "val")


class Results:
    """The results of a run.

    Files are read when they are needed, and TensorFlow is imported when an image must be encoded. Files are cached, so
    open the results again after another run.

    Attributes:
        folder: the folder of the results.
        methods: the names of the methods, in alphabetical order.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """See `cbir.open`."""
        self.folder = Path(folder)
        self._files = results.Results(self.folder)
        self.methods = self._files.require_methods()
        self._indexed: dict[str, tuple[FeatureStore, Index | None]] = {}

    @cached_property
    def images(self) -> pd.DataFrame:
        """The usable images of the collection, one per row.

        Columns: image_id, path (absolute), category, label, sha256, width, height (pixels) and bytes.
        """
        table = self._files.images
        return table.assign(path=[os.path.join(self._files.home, path) for path in table["path"]])

    def features(self, method: str, split: str | None = None) -> FeatureStore:
        """Return the features of a method: ``features`` (n, d) float32, and ``image_id`` and ``label`` of each row.

        Args:
            method: a name in ``methods``.
            split: ``train``, ``test`` (the queries) or ``val``; None for the gallery, which is ``train`` except for
                split protocols whose gallery is ``test``.

        Raises:
            InputError: when there is no such method or split, or the file is damaged.
        """
        self._require(method)
        split = self._files.gallery if split is None else split
        self._require_split(split)
        return self._files.store(method, split)

    def evaluation(self, method: str) -> Evaluation:
        """Return the evaluation of a method.

        Returns:
            ``summary`` and ``worst`` as dictionaries; ``categories``, ``queries``, ``neighbours``, ``confusion`` and
            ``cmc`` as data frames with the columns of the files; ``folds``, too, or None without folds.

        Raises:
            InputError: when there is no such method, or a file is missing or damaged.
        """
        self._require(method)
        self._require_labels()
        has_folds = self._files.path(results.FOLDS, method=method).is_file()
        folds = self._files.table(results.FOLDS, ["fold"], method=method) if has_folds else None
        table, json = partial(self._files.table, method=method), partial(self._files.json, method=method)
        return Evaluation(
            summary=json(results.SUMMARY),
            categories=table(results.METHOD_CATEGORIES, ["category"]),
            queries=table(results.METHOD_QUERIES, ["image_id"]),
            neighbours=table(results.NEIGHBOURS, ["query", "image_id"]),
            confusion=table(results.CONFUSION, ["category"]).set_index("category"),
            worst=json(results.WORST),
            cmc=table(results.CMC, ["rank", "cmc"]),
            folds=folds,
        )

    def comparison(self) -> pd.DataFrame:
        """Return the metrics of all methods, one method per row, indexed by method.

        Raises:
            InputError: when the file is missing or damaged.
        """
        self._require_labels()
        if len(self.methods) == 1:
            # The workflow writes no comparison of a single method.
            [method] = self.methods
            files = (results.SUMMARY, results.METHOD_CATEGORIES, results.METHOD_QUERIES)
            evaluated = comparison.read(method, *(str(self._files.path(file, method=method)) for file in files))
            settings = {key: self._files.setting("comparison", key) for key in ("confidence", "resamples", "seed")}
            return comparison.methods([evaluated], **settings).set_index("method")
        return self._files.table(results.METHODS, ["method"]).set_index("method")

    def search(
        self,
        query: str | os.PathLike[str] | None = None,
        method: str | None = None,
        k: int = 5,
        *,
        text: str | None = None,
    ) -> pd.DataFrame:
        """Return the k images of the gallery that are nearest to a query.

        If the index of the method is approximate, it is used, and may miss some of the nearest images.

        Args:
            query: an image_id of the collection, or an image file. An image of the gallery is not a result of itself.
            method: the method whose features are compared, a name in ``methods``.
            k: number of results; a smaller gallery gives all its images.
            text: words to look for, instead of a query. The method's encoder must be a preset of keras-hub that also
                takes texts. The vectors of such an encoder are compared at unit length, those of a derived method as
                its steps made them, see docs/encoders.md.

        Returns:
            A data frame with the columns rank (from 1), image_id, category, distance (Euclidean), probability (that the
            result is of the query's category, learned from the val images; NaN if unknown, as for texts) and
            path; the nearest image is first, and ties are in the order of the gallery.

        Raises:
            InputError: when there is no such image or method, k is not positive, the image cannot be encoded, the
                method cannot be searched for texts, or not one of query and text is given.
        """
        if method is None:
            raise InputError(f"No method is named to search with: use one of {', '.join(self.methods)}.")
        self._require(method)
        if (query is None) == (text is None):
            raise InputError("A search has one query, an image or a text: name one of them.")
        if k < 1:
            raise InputError(f"k is {k}, but a search gives at least 1 image: raise it.")
        learned = None
        if text is None:
            image_ids, distances = self._nearest(os.fspath(query or ""), method, k)
            learned = calibration.read(self._files, method)
        else:
            image_ids, distances = self._nearest_to_text(text, method, k)
        known = self.images.set_index("image_id").loc[list(image_ids)]
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(image_ids) + 1),
                "image_id": image_ids,
                "category": known["category"].to_numpy(),
                "distance": distances,
                "probability": np.nan if learned is None else learned.probabilities(distances),
                "path": known["path"].to_numpy(),
            }
        )

    def novelty(self, query: str | os.PathLike[str], method: str) -> Novelty | None:
        """Return whether a query is new, that is, whether its category is probably not in the gallery.

        Args:
            query: an image_id of the collection, or an image file.
            method: the method whose features are compared, a name in ``methods``.

        Returns:
            The mean distance to the nearest images, the threshold above which a query is called new, and whether this
            query is; None if the run has no threshold.

        Raises:
            InputError: when there is no such image or method, or the image cannot be encoded.
        """
        self._require(method)
        learned = calibration.read(self._files, method)
        if learned is None or not learned.neighbours:
            return None
        return learned.novelty(self._nearest(os.fspath(query), method, learned.neighbours)[1])

    def encode(self, paths: Iterable[str | os.PathLike[str]], encoder: str, output: str | os.PathLike[str]) -> int:
        """Write the features of image files to an HDF5 file in the format of a feature store.

        Its datasets are ``features`` (n, d) float32, ``image_id`` (the path of the file), ``label`` (-1) and
        ``sha256``.

        Args:
            paths: image files, and folders, which are searched recursively. A file in a folder that is not a usable
                image is skipped with a warning; hidden files are skipped silently.
            encoder: an encoder of the run.
            output: the file to write.

        Returns:
            The number of images.

        Raises:
            InputError: when a file in ``paths`` is not a usable image, no image is found, or no method uses the
                encoder.
        """
        about = self._encoder(encoder)
        rows = [row for path in map(Path, paths) for row in _found(path, self._files.whites)]
        if not rows:
            raise InputError("No image was found to encode: name image files, or folders that hold some.")
        manifest = pd.DataFrame([(path, path, "", -1, digest) for path, digest, _ in rows], columns=SPLIT_COLUMNS)
        manifest = ranges.with_whites(manifest, {digest: white for _, digest, white in rows})
        network = self._files.path(results.NETWORK, encoder=encoder)
        batch = self._files.setting("encoders", encoder, "batch")
        encode_files(manifest, os.fspath(output), network, about, batch, threads.count())
        return len(manifest)

    def export(
        self, method: str, output: str | os.PathLike[str], splits: Iterable[str] = ("train", "val", "test")
    ) -> int:
        """Write the feature vectors of a method to a Parquet file, for another search engine.

        Its columns are ``image_id``, ``category``, ``split`` and ``vector``, a list of d float32.

        Args:
            method: a name in ``methods``.
            output: the file to write.
            splits: the splits to write, in this order; splits without features in the results are skipped.

        Returns:
            The number of images.

        Raises:
            InputError: when there is no such method or split, pyarrow is not installed, or a file is missing or
                damaged.
        """
        self._require(method)
        for split in splits:
            self._require_split(split)
        there = [split for split in splits if self._files.path(results.FEATURES, method=method, split=split).exists()]
        if not there:
            raise InputError(f"The results have no features of the method {method!r} to export: name other splits.")
        stores = [(split, self._files.store(method, split, mapped=True)) for split in there]
        return export(stores, self._files.categories(), os.fspath(output))

    def _searched(self, method: str) -> tuple[FeatureStore, Index | None]:
        if method not in self._indexed:
            self._indexed[method] = searched(self._files, method)
        return self._indexed[method]

    def _require_split(self, split: str) -> None:
        if split not in _SPLITS:
            raise InputError(f"There is no split {split!r}: use one of train, test, val.")

    def _require(self, method: str) -> None:
        if method not in self.methods:
            raise InputError(f"The results have no method {method!r}: use one of {', '.join(self.methods)}.")

    def _require_labels(self) -> None:
        if not self._files.labelled:
            raise InputError(
                "The images of these results have no categories (collection.labels is none), so nothing was evaluated."
            )

    @cached_property
    def _about(self) -> dict[str, dict[str, Any]]:
        split = self._files.gallery
        paths = {method: self._files.path(results.FEATURES, method=method, split=split) for method in self.methods}
        return {method: store.about(path, method) for method, path in paths.items()}

    @cached_property
    def _outside(self) -> OutsideEncoder:
        return OutsideEncoder(self._files, self._about)

    def _nearest(self, query: str, method: str, k: int) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        """Return image_ids and distances of the k nearest images of the gallery, without the query itself."""
        gallery, index = self._searched(method)
        vector, count = self._vector(query, method)[None], min(k + 1, len(gallery.features))
        distances, rows = index.search(vector, count) if index else exact.nearest(vector, gallery.features, count)
        other = gallery.image_id[rows[0]] != query
        return gallery.image_id[rows[0]][other][:k], distances[0][other][:k]

    def _nearest_to_text(self, text: str, method: str, k: int) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        """Return image_ids and distances of the k images of the gallery that are nearest to a text."""
        vector = self._outside.text_features(method, text)[None]
        gallery, index = self._searched(method)
        rows = by_angle(gallery.features, gallery.about)
        count = min(k, len(rows))
        # An index holds the vectors as they are.
        found = (
            index.search(vector, count) if index and rows is gallery.features else exact.nearest(vector, rows, count)
        )
        return gallery.image_id[found[1][0]], found[0][0]

    def _encoder(self, encoder: str) -> dict[str, Any]:
        """Return the attributes of a feature store of the encoder."""
        known = {str(about["encoder"]): about for about in self._about.values() if "encoder" in about}
        if encoder not in known:
            raise InputError(f"No method of the results uses an encoder {encoder!r}: use one of {', '.join(known)}.")
        return known[encoder]

    def _vector(self, query: str, method: str) -> NDArray[np.float32]:
        """Return the features (d,) of an image of the collection or of an image file."""
        row = self.images[self.images["image_id"] == query]
        if row.empty and not os.path.lexists(query):
            raise InputError(f"{query!r} is neither an image_id of the collection nor an image file: correct it.")
        if not row.empty:
            for split in _SPLITS:
                # The val features of a method exist only if the run needed them.
                if self._files.path(results.FEATURES, method=method, split=split).exists():
                    held = self.features(method, split)
                    if query in held.image_id:
                        return held.features[held.row(query)]
        path = query if row.empty else row["path"].iloc[0]
        try:
            return self._outside.features(method, images.read_bytes(path))
        except ImageError as error:
            raise InputError(f"The query image {path} cannot be used: {error}; choose another one.") from None


def _found(path: Path, whites: Whites) -> list[tuple[str, str, int]]:
    """Return path, SHA-256 and white of an image file, or of all usable images below a folder, sorted by path."""
    if not path.is_dir():
        try:
            return [(str(path), *_inspected(path, whites))]
        except ImageError as error:
            raise InputError(f"The image {path} cannot be used: {error}; leave it out.") from None
    found = []
    for file in sorted(path.rglob("*")):
        if file.is_dir() or any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        try:
            found.append((str(file), *_inspected(file, whites)))
        except ImageError as error:
            log.warning("%s is left out: %s", file, error)
    return found


def _inspected(path: Path, whites: Whites) -> tuple[str, int]:
    data = images.read_bytes(path)
    return hashlib.sha256(data).hexdigest(), ranges.white_of(data, whites)
