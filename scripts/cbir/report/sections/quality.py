"""Near-duplicates and doubtful labels."""

from typing import Any

import pandas as pd

from cbir.collection.columns import HASHES_COLUMNS, NEAR_DUPLICATE_COLUMNS
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.report.results import Results, records
from cbir.results import HASHES, NEAR_DUPLICATES, SUSPECTS

TITLE = "Near-duplicates and doubtful labels"
TITLE_UNLABELLED = "Near-duplicates"
ORDER = 20
INPUTS = (HASHES, NEAR_DUPLICATES, SUSPECTS)
MAX_GROUPS = 12
"""The most groups of near-duplicates shown."""
MAX_COPIES = 6
"""The most images shown of each group."""
MAX_SUSPECTS = 24
"""The most images with doubtful labels shown."""


def gather(results: Results) -> dict[str, Any]:
    """Return near-duplicates, those across splits and categories first, and doubtful labels, the clearest first."""
    near = results.table(NEAR_DUPLICATES, NEAR_DUPLICATE_COLUMNS)
    suspects = results.table(SUSPECTS, SUSPECT_COLUMNS) if results.labelled else pd.DataFrame(columns=SUSPECT_COLUMNS)
    doubted = near.loc[near["doubted"] == 1, "group"]
    near = near[near["doubted"] == 0]
    groups = [rows for _, rows in near.groupby("group", sort=False)]
    return {
        "labelled": results.labelled,
        "together": results.config["split"]["near_duplicates"]["together"],
        "distance": results.config["split"]["near_duplicates"]["distance"],
        "not_compared": int((results.table(HASHES, HASHES_COLUMNS)["phash"] == "").sum()),
        "doubted": int(doubted.nunique()),
        "doubted_images": len(doubted),
        "images": len(near),
        "groups": len(groups),
        "across_splits": sum(int(rows["across_splits"].iloc[0]) for rows in groups),
        "across_categories": sum(int(rows["across_categories"].iloc[0]) for rows in groups),
        "near_file": str(results.path(NEAR_DUPLICATES)),
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
                    for row in records(rows.head(MAX_COPIES))
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
            for row in records(suspects.head(MAX_SUSPECTS))
        ],
        "suspects_count": len(suspects),
        "suspects_file": str(results.path(SUSPECTS)),
    }
