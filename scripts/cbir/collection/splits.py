"""The table of near-duplicates and of the splits that they are in."""

import pandas as pd

from cbir.collection.columns import NEAR_DUPLICATE_COLUMNS


def near_duplicates(images: pd.DataFrame, groups: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """List near-duplicates with their splits: groups across several splits first, then those across categories.

    Args:
        images: columns image_id, category, sha256.
        groups: see `cbir.collection.near_duplicates.groups`.
        tables: the images of each split, see `cbir.collection.protocols`.

    Returns:
        Columns ``NEAR_DUPLICATE_COLUMNS``, a row an image. ``group`` counts from 1; ``nearest`` is the image_id of the
        nearest image; ``mirrored``, ``across_splits``, ``across_categories`` and ``doubted`` are 0 or 1.
    """
    of = {digest: name for name, table in tables.items() for digest in table["sha256"]}
    table = groups.merge(images[["image_id", "category", "sha256"]], on="sha256", validate="one_to_one")
    # An image may be in no split.
    table["split"] = table["sha256"].map(of).fillna("")
    table["nearest"] = table["nearest"].map(images.set_index("sha256")["image_id"])
    for column, found in (("split", "across_splits"), ("category", "across_categories")):
        known = table[column].mask(table[column] == "")
        table[found] = (known.groupby(table["group"]).transform("nunique") > 1).astype(int)
    table["_first"] = table.groupby("group")["image_id"].transform("min")
    order = ["across_splits", "across_categories", "_first", "image_id"]
    table = table.sort_values(order, ascending=[False, False, True, True], ignore_index=True)
    table["group"] = pd.factorize(table["group"])[0] + 1
    return table[NEAR_DUPLICATE_COLUMNS]
