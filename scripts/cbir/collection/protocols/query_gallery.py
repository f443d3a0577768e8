"""Queries, gallery, and the relevant and junk images of each query from a file, as in Revisited Oxford and Paris."""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS
from cbir.collection.relevance import read
from cbir.collection.small import listed_names
from cbir.files.errors import InputError

FILE = True
SETTINGS = ("relevance",)
EXPLANATION = (
    "A file names the queries, and for each its relevant images and its junk images, which are removed from the "
    "ranking before anything is measured. Accuracy, F1 and the simulated user use the categories."
)

log = logging.getLogger("cbir")


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Put the queries of the file into test and its gallery into train; without a gallery, all other images.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        settings: ``relevance``, the path of the file.
        groups: ignored; the file lists as junk which images are not to be counted as results of a query.

    Returns:
        A table a split, columns ``SPLIT_COLUMNS``, sorted by image_id; ``val`` is empty.

    Raises:
        InputError: when the file cannot be used, names an image that is not usable, or has a query in the gallery.
    """
    path, listed = settings["relevance"], read(settings["relevance"])
    rows = images.sort_values("image_id", ignore_index=True)[SPLIT_COLUMNS]
    queries, known = set(listed.queries), set(rows["image_id"])
    gallery = known - queries if listed.gallery is None else set(listed.gallery)
    _refuse(queries - known, f"{path} names queries", "that are no usable images of the collection")
    _refuse(gallery - known, f"{path} names images of the gallery", "that are no usable images of the collection")
    _refuse(queries & gallery, f"{path} names queries", "that are in the gallery, too")
    _refuse(set(listed.table["image_id"]) - gallery, f"{path} judges images", "that are not in the gallery")
    if not gallery:
        raise InputError(f"{path} leaves no image for the gallery: take queries out, or add images.")
    if empty := sorted(queries - set(listed.table.loc[listed.table["grade"] != "junk", "query"])):
        log.warning("%d queries have no relevant image and count in no mean: %s", len(empty), ", ".join(empty[:20]))
    return {
        "train": rows[rows["image_id"].isin(gallery)].reset_index(drop=True),
        "val": rows.iloc[:0],
        "test": rows[rows["image_id"].isin(queries)].reset_index(drop=True),
    }


def relevance(settings: Mapping[str, Any]) -> pd.DataFrame:
    """Return the images that the file judges for each query, columns ``RELEVANCE_COLUMNS``."""
    return read(settings["relevance"]).table


def _refuse(names: set[str], first: str, then: str) -> None:
    if names:
        shown = listed_names(map(repr, sorted(names)), most=5)
        raise InputError(
            f"{first} {then} ({shown}): correct it; results/collection/rejected.csv lists what is unusable."
        )
