"""Checks of the tables about the quality of the collection: near-duplicates and doubtful labels."""

from pathlib import Path

from cbir.artifacts.found import Found
from cbir.collection import compared as earlier
from cbir.collection.columns import GROUP_COLUMNS, HASH_COLUMNS, HASHES_COLUMNS, NEAR_DUPLICATE_COLUMNS, SPLITS
from cbir.collection.perceptual import is_hashes
from cbir.collection.splits import near_duplicates
from cbir.evaluation.suspects import SUSPECT_COLUMNS
from cbir.files import memory
from cbir.files.tables import read_csv
from cbir.results import GROUPS, HASHES, Results
from cbir.retrieval import known


def hashes(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images: there must be a row for each content."""
    table = read_csv(path, HASHES_COLUMNS)
    empty = int((table["phash"] == "").sum())
    found.count = f"{len(table):,} images, {empty:,} of them too small or too plain to be compared"
    found.rows = table
    found.require(
        all(is_hashes(row) for row in table[HASH_COLUMNS].to_numpy().tolist()),
        "its form",
        f"{path} has values that are not perceptual hashes",
    )
    found.require(
        table["sha256"].tolist() == sorted(results.images["sha256"]),
        "images.csv",
        f"{path} does not hold the contents of images.csv, sorted",
    )


def groups(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the hashes: every image of a group must have hashes."""
    table = read_csv(path, GROUP_COLUMNS)
    found.count = f"{len(table):,} images in {table['group'].nunique():,} groups"
    found.rows = table
    hashed = results.table(HASHES, HASHES_COLUMNS)
    known = set(hashed.loc[hashed["phash"] != "", "sha256"])
    found.require_known([*table["sha256"], *table["group"], *table["nearest"]], known, path, "hashes.csv")
    alone = table["group"].value_counts().eq(1).any()
    found.require(not alone, "itself", f"{path} has a group of one image")


def compared(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count the images and pairs. The next run uses those that are still valid, or none of a damaged file."""
    images = earlier.read(path)
    found.count = f"{len(images.sha256):,} images, {images.pairs.shape[1]:,} pairs of near ones"


def neighbours(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count the images and neighbours. The next run uses those that are still valid, or none of a damaged file."""
    _, arrays = memory.read(path, known.FORM)
    found.count = f"{len(arrays['queries']):,} images, {arrays['places'].shape[1]} nearest pictures of each"


def listed(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Make the table again from the groups and the splits, and compare."""
    table = read_csv(path, NEAR_DUPLICATE_COLUMNS)
    across = table.loc[(table["across_splits"] == 1) & (table["doubted"] == 0), "group"].nunique()
    found.count = f"{len(table):,} images in {table['group'].nunique():,} groups, {across:,} of them in several splits"
    found.rows = table
    made = near_duplicates(
        results.images,
        results.table(GROUPS, GROUP_COLUMNS),
        {name: results.split(name) for name in SPLITS},
    )
    found.require(
        made.astype(str).to_numpy().tolist() == table[NEAR_DUPLICATE_COLUMNS].astype(str).to_numpy().tolist(),
        "groups.csv and the splits",
        f"{path} has other rows than groups.csv and the splits give",
    )


def suspects(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images and their categories."""
    table = read_csv(path, SUSPECT_COLUMNS)
    found.count = f"{len(table):,} images without a neighbour of their own category"
    found.rows = table
    images = results.images.set_index("image_id")["category"]
    found.require_known([*table["image_id"], *table["nearest"]], images.index, path, "images.csv")
    found.require(
        images[table["image_id"]].tolist() == table["category"].tolist()
        and not (table["category"] == table["suggested"]).any(),
        "their categories",
        f"{path} has categories that are not those of images.csv, or suggests the category that an image has",
    )
