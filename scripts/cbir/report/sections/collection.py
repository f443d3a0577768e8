"""The collection: images of each category and split, and the files that were not used."""

from typing import Any

import pandas as pd

from cbir.collection.categories import members, singles
from cbir.collection.columns import NOTE_COLUMNS, REJECTED_COLUMNS
from cbir.collection.exclusions import EXCLUDED, SYSTEM
from cbir.collection.sources import REGISTRY as SOURCES
from cbir.report import filters
from cbir.report.results import Results, records
from cbir.results import NOTES, REJECTED

TITLE = "Collection"
ORDER = 10
INPUTS = (REJECTED, NOTES)
MAX_REJECTED = 200
"""The most rows of the table of rejected files."""


def gather(results: Results) -> dict[str, Any]:
    """Return the number of images of each category and split, and the files that were not used."""
    config = results.config["collection"]
    counts = pd.DataFrame({name: _counts(table["category"]) for name, table in results.splits.items()})
    counts = counts.reindex(singles(results.images["category"])).fillna(0).astype(int)
    rejected = results.table(REJECTED, REJECTED_COLUMNS)
    totals = counts.sum(axis=1)
    return {
        "source": SOURCES.get_entry(config["source"]).DESCRIPTION.format(**config),
        "images": len(results.images),
        "splits": {name: len(table) for name, table in results.splits.items()},
        "split_words": [f"{len(table):,} {name}" for name, table in results.splits.items()],
        "rows": [
            {"category": str(category), "counts": list(map(int, row)), "total": int(sum(row))}
            for category, row in zip(counts.index, counts.to_numpy(), strict=True)
        ],
        **({name: _extreme(totals, int(end)) for name, end in _ends(totals).items()}),
        "rejected": records(rejected.head(MAX_REJECTED)),
        "rejected_count": len(rejected),
        "rejected_file": str(results.path(REJECTED)),
        "reasons": _reasons(rejected["reason"]),
        "notes": [
            {"note": str(note), "count": len(rows), "first": str(rows["path"].iloc[0])}
            for note, rows in results.table(NOTES, NOTE_COLUMNS).groupby("note", sort=True)
        ],
        "notes_file": str(results.path(NOTES)),
    }


def _counts(categories: pd.Series) -> pd.Series:
    """Count the images of each category; an image with several categories counts in each."""
    return categories.map(members).explode().dropna().value_counts()


def _ends(totals: pd.Series) -> dict[str, int]:
    """Return the smallest and the largest count; {} if images have no categories."""
    return {"smallest": totals.min(), "largest": totals.max()} if len(totals) else {}


def _extreme(totals: pd.Series, count: int) -> dict[str, Any]:
    """Return the first category with this count, the number of further ones with it, and the count."""
    names = [str(name) for name in totals.index[totals == count]]
    return {"category": names[0], "more": len(names) - 1, "count": count}


def _reasons(reasons: pd.Series) -> list[str]:
    duplicates = int(reasons.str.startswith("duplicate of ").sum())
    conflicts = int(reasons.str.startswith("conflict: ").sum())
    system = int(reasons.str.contains(f"^(?:folder|file) {SYSTEM}").sum())
    excluded = int(reasons.str.startswith(EXCLUDED).sum())
    unusable = len(reasons) - duplicates - conflicts - system - excluded
    parts = [
        (duplicates, filters.plural(duplicates, "exact duplicate")),
        (conflicts, f"{conflicts:,} with the same image in another category"),
        (system, f"{system:,} {SYSTEM}"),
        (excluded, f"{excluded:,} {EXCLUDED}"),
        (unusable, f"{unusable:,} that cannot be used"),
    ]
    return [text for count, text in parts if count]
