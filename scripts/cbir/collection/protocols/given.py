"""The collection's own split, from a column of its manifest or from folders named train, val and test."""

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS
from cbir.files.errors import InputError

log = logging.getLogger("cbir")


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Split by the column ``split`` of the images; an image whose cell is empty is in no split.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS`` and ``split``.
        settings: ignored.
        groups: by sha256, the group of each image that has near-duplicates. Groups may be in several splits; a warning
            says how many are.

    Returns:
        A table a split, columns ``SPLIT_COLUMNS``, sorted by image_id.

    Raises:
        InputError: when the column is missing, or no image is in train or in test.
    """
    if "split" not in images.columns:
        raise InputError(
            "split.protocol is given, but the collection names no split: set split.from to folders where there are "
            "folders named train, val and test, add the column split to a manifest, or set split.protocol to random."
        )
    rows = images.sort_values("image_id", ignore_index=True)
    tables = {name: rows.loc[rows["split"] == name, SPLIT_COLUMNS].reset_index(drop=True) for name in SPLITS}
    for name in ("train", "test"):
        if tables[name].empty:
            raise InputError(
                f"The given split has no usable image for {name}: add images to it, or set split.protocol to random."
            )
    divided = (
        rows.assign(_group=rows["sha256"].map(groups)).dropna(subset="_group").groupby("_group")["split"].nunique()
    )
    if (divided > 1).any():
        log.warning(
            "%d groups of near-duplicates are in several parts of the given split, so that queries may find copies.",
            (divided > 1).sum(),
        )
    unknown = sorted(set(tables["test"]["category"]) - set(tables["train"]["category"]))
    if unknown:
        log.warning("%d categories of test have no image in train: %s", len(unknown), ", ".join(unknown[:20]))
    return tables
