"""Checks of the collection and its splits."""

import hashlib
from collections import Counter
from pathlib import Path

import pandas as pd

from cbir.artifacts.found import Found, pairs
from cbir.collection import images as image_files
from cbir.collection.categories import UNKNOWN, category_labels
from cbir.collection.columns import IMAGE_COLUMNS, NOTE_COLUMNS, REJECTED_COLUMNS, SPLIT_COLUMNS, SPLITS
from cbir.collection.corrections import NOTE as CORRECTED
from cbir.collection.manifest import shard_of
from cbir.collection.ranges import read as read_ranges
from cbir.collection.ranges import whites_of
from cbir.collection.relevance import GRADES, RELEVANCE_COLUMNS
from cbir.files.errors import InputError
from cbir.files.progress import Progress
from cbir.files.tables import read_csv
from cbir.results import CATEGORIES, CONFIGURATION, NOTES, RANGES, SHARD_MANIFEST, SPLIT, Results, read_object


def images(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the image files (by content) and the categories, and check the order of the rows."""
    table = read_csv(path, IMAGE_COLUMNS)
    known = category_labels(table["category"])
    found.count = f"{len(table):,} images in {len(known)} categories, {table['bytes'].sum():,} bytes"
    found.rows = table
    found.require(
        list(table["image_id"]) == sorted(set(table["image_id"])),
        "its order",
        f"{path} is not sorted by image_id, or repeats one",
    )
    found.require(table["sha256"].is_unique, "contents once each", f"{path} has the same content twice")
    # With given splits, the folders train, val and test contain those of the categories. A manifest need not follow
    # the folders.
    if known and _source(results) != "manifest":
        level = 1 if "split" in table.columns else 0
        corrected = _corrected(results)
        found.require(
            all(
                str(name).split("/")[level : level + 1] == [category] or file in corrected
                for name, file, category in zip(table["image_id"], table["path"], table["category"], strict=True)
            ),
            "its names",
            f"{path} has a category that is not the folder in its image_id",
        )
    labels = [known.get(name, UNKNOWN) for name in table["category"]]
    found.require(
        labels == list(table["label"]),
        "its labels",
        f"{path} has labels that do not number its categories in alphabetical order",
    )
    _require_categories(results, table, path, found)
    progress = Progress("images read", len(table))
    for name, digest in zip(table["path"], table["sha256"], strict=True):
        _require_content(results.home, name, digest)
        progress.advance()
    found.fits.append(f"{len(table):,} image files, by content")


def _source(results: Results) -> str:
    return str(results.setting("collection", "source")) if results.path(CONFIGURATION).is_file() else ""


def _corrected(results: Results) -> set[str]:
    """Return the paths of the images whose category was corrected."""
    if not results.path(NOTES).exists():
        return set()
    table = results.table(NOTES, NOTE_COLUMNS)
    return {path for path, note in zip(table["path"], table["note"], strict=True) if str(note).startswith(CORRECTED)}


def _require_categories(results: Results, table: pd.DataFrame, path: Path, found: Found) -> None:
    found.require(
        results.categories() == list(category_labels(table["category"])),
        "categories.json",
        f"{path} has other categories than {results.path(CATEGORIES)}",
    )


def _require_content(home: Path, name: str, sha256: str) -> None:
    try:
        data = image_files.read_bytes(home / name)
    except image_files.ImageError as error:
        raise InputError(f"The image {name} cannot be read ({error}): put it back, or run again.") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"The image {name} has changed since the collection was read: run again.")


def rejected(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images: no file may be in both tables."""
    table = read_csv(path, REJECTED_COLUMNS)
    reasons = Counter(str(reason).split(":")[0].split(" of ")[0] for reason in table["reason"])
    found.count = f"{len(table):,} files" + "".join(f", {count} {reason}" for reason, count in reasons.most_common(3))
    found.rows = table
    both = min(set(table["path"]) & set(results.images["path"]), default=None)
    found.require(both is None, "images.csv", f"{path} rejects {both!r}, which images.csv holds")


def notes(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images: every file must be used."""
    table = read_csv(path, NOTE_COLUMNS)
    found.count = f"{len(table):,} notes" + "".join(
        f", {count} {note}" for note, count in Counter(table["note"]).most_common(3)
    )
    found.rows = table
    other = min(set(table["path"]) - set(results.images["path"]), default=None)
    found.require(other is None, "images.csv", f"{path} has a note about {other!r}, which images.csv does not hold")


def ranges(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images: each one whose white is listed is used."""
    held = read_ranges(path)
    found.count = f"{len(held.images):,} images read by the range of others" + "".join(
        f"; in files of {bits} bits white is {' or '.join(map(str, whites))}" for bits, whites in held.whites.items()
    )
    found.rows = pairs(held.images)
    found.require_known(held.images, set(results.images["sha256"]), path, "images.csv")


def _require_whites(results: Results, table: pd.DataFrame, path: Path, found: Found) -> None:
    chosen = read_ranges(results.path(RANGES)).images if results.path(RANGES).exists() else {}
    found.require(
        whites_of(table) == [chosen.get(digest, 0) for digest in table["sha256"]],
        "ranges.json",
        f"{path} does not give the white of each image that ranges.json gives",
    )


def categories(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the two directions with each other, and with the images."""
    table = read_object(path)
    found.count = f"{len(table['index_to_category'])} categories"
    found.rows = pairs(table["category_to_index"])
    back = {name: int(label) for label, name in table["index_to_category"].items()}
    found.require(
        back == table["category_to_index"],
        "itself in both directions",
        f"{path} has labels and categories that do not agree",
    )
    _require_categories(results, results.images, path, found)


def shard(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images that belong to this shard."""
    table = read_csv(path, ["path", "sha256"])
    found.count = f"{len(table):,} images"
    found.rows = table
    parts = len(results.find(SHARD_MANIFEST))
    of_all = results.images[["path", "sha256"]]
    here = of_all[[shard_of(digest, parts) == int(names["shard"]) for digest in of_all["sha256"]]]
    found.source = {"shard": f"{names['shard']} of {parts}, by the first digits of the contents' hashes"}
    found.require(
        table[["path", "sha256"]].to_numpy().tolist() == here.to_numpy().tolist(),
        "images.csv",
        f"{path} does not hold the images of images.csv that belong to it",
    )
    _require_whites(results, table, path, found)


def split(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the images and with the other splits."""
    table = read_csv(path, SPLIT_COLUMNS)
    found.rows = table
    if names["split"].startswith("outside-"):
        found.count = f"{len(table)} image from outside the collection"
        for name, digest in zip(table["path"], table["sha256"], strict=True):
            _require_content(results.home, name, digest)
        found.fits.append("the image file, by content")
        return
    found.count = f"{len(table):,} images in {len(category_labels(table['category']))} categories"
    whole = results.images
    found.source = {"share": f"{len(table) / max(len(whole), 1):.1%} of the {len(whole):,} images of images.csv"}
    part = whole[whole["image_id"].isin(table["image_id"])]
    found.require(
        part[SPLIT_COLUMNS].to_numpy().tolist() == table[SPLIT_COLUMNS].to_numpy().tolist(),
        "images.csv",
        f"{path} has rows that images.csv does not have, or in another order",
    )
    _require_whites(results, table, path, found)
    for other in SPLITS:
        if other != names["split"]:
            shared = min(set(table["image_id"]) & set(results.split(other)["image_id"]), default=None)
            found.require(
                shared is None, f"{other}.csv (no image is in both)", f"{path} and {other}.csv share {shared!r}"
            )


def relevance(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the images with the splits."""
    table = read_csv(path, RELEVANCE_COLUMNS)
    found.count = f"{len(table):,} judgements of {table['query'].nunique():,} queries"
    found.rows = table
    for column, split in (("query", "test"), ("image_id", results.gallery)):
        found.require_known(table[column], results.split(split)["image_id"], path, SPLIT.format(split=split))
    found.require_known(table["grade"], GRADES, path, "the known grades")


def credits(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare with the files of the source."""
    table = read_csv(path, ["file", "licence"])
    found.count = f"{len(table):,} images" + "".join(
        f", {count} {licence}" for licence, count in table["licence"].value_counts().head(3).items()
    )
    found.rows = table
    folder = path.parent / "images"
    absent = next((name for name in table["file"].astype(str) if not (folder / name).is_file()), None)
    found.require(
        absent is None,
        "the image files",
        f"{path} credits {absent!r}, which is not in {folder}",
        "remove the source's folder and run again",
    )


def source_folder(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count the files. Their contents are compared when images.csv is inspected."""
    files = sorted(item for item in path.rglob("*") if item.is_file() and not item.name.startswith("."))
    found.count = f"{len(files):,} files in {len({item.parent for item in files})} folders"
    found.rows = pd.DataFrame({"file": [item.relative_to(path).as_posix() for item in files]})


def source_image(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Compare the content with images.csv, if it lists the image."""
    data = image_files.read_bytes(path)
    info = image_files.inspect(data)
    found.count = f"{info.width} x {info.height} pixels, {len(data):,} bytes"
    table = results.images
    row = table[table["image_id"] == names["image"]]
    if len(row):
        found.require(
            hashlib.sha256(data).hexdigest() == row["sha256"].iloc[0],
            "images.csv",
            f"{path} has changed since the collection was read",
            "run again",
        )
