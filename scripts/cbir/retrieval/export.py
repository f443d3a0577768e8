"""Vectors for other search engines, as Parquet."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cbir.collection.categories import UNKNOWN, names_of
from cbir.features.store import FeatureStore
from cbir.files.atomic import atomic
from cbir.files.errors import InputError

# Rows of a Parquet row group, the part of a file that is read at once: 84 MB of 1280 float32 values.
_GROUP = 16_384


def export(stores: Iterable[tuple[str, FeatureStore]], categories: list[str], path: str | Path) -> int:
    """Write the vectors of a method into a Parquet file.

    Its columns are ``image_id``, ``category`` (text, empty where images have none), ``split`` (text) and ``vector`` (a
    list of d float32, the same number in each row). What made the vectors is in the metadata of the file, each value
    with the prefix ``cbir.``.

    Args:
        stores: pairs of a split's name and the method's features of it; memory-mapped ones are read in blocks.
        categories: the name of each label.
        path: the file to write.

    Returns:
        The number of rows.

    Raises:
        InputError: when pyarrow is not installed, a label has no category, or the file cannot be written.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            "The export needs pyarrow, which is not installed: run `.venv/bin/pip install pyarrow`."
        ) from None
    held = list(stores)
    about, dimension = held[0][1].about, held[0][1].features.shape[1]
    vector = arrow.list_(arrow.float32(), dimension)
    fields = [("image_id", arrow.string()), ("category", arrow.string()), ("split", arrow.string()), ("vector", vector)]
    schema = arrow.schema(fields, {f"cbir.{name}": str(value) for name, value in about.items() if name in _METADATA})
    rows = 0
    size = sum(4 * store.features.size for _, store in held)
    with atomic(path, size) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for split, store in held:
            if len(store.label) and not UNKNOWN <= store.label.min() <= store.label.max() < len(categories):
                raise InputError(f"The feature store of {split} has labels without a category: run again.")
            for start in range(0, len(store.features), _GROUP):
                writer.write_table(_table(arrow, schema, split, store, categories, slice(start, start + _GROUP)))
            rows += len(store.features)
    return rows


_METADATA = ("method", "encoder", "encoder_fingerprint", "transform_fingerprint", "weights", "preprocessing")


def _table(arrow: Any, schema: Any, split: str, store: FeatureStore, categories: list[str], rows: slice) -> Any:
    values = np.ascontiguousarray(store.features[rows], np.float32)
    columns = [
        arrow.array(store.image_id[rows], arrow.string()),
        arrow.array(names_of(store.label[rows], categories).tolist(), arrow.string()),
        arrow.array([split] * len(values), arrow.string()),
        arrow.FixedSizeListArray.from_arrays(arrow.array(values.reshape(-1)), values.shape[1]),
    ]
    return arrow.Table.from_arrays(columns, schema=schema)
