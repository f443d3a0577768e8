"""All images are in the gallery and none is a query: the protocol of collections without categories."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cbir.collection.columns import SPLIT_COLUMNS, SPLITS


def split(images: pd.DataFrame, settings: Mapping[str, Any], groups: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Put every image into train.

    Args:
        images: table with at least the columns ``SPLIT_COLUMNS``.
        settings: ignored.
        groups: ignored.

    Returns:
        A table a split, columns ``SPLIT_COLUMNS``, sorted by image_id; val and test are empty.
    """
    rows = images.sort_values("image_id", ignore_index=True)[SPLIT_COLUMNS]
    return {name: rows if name == "train" else rows.iloc[:0] for name in SPLITS}
