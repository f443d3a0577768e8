"""Read the files of a collection once: which are usable images, of which category, and why the others are rejected."""

import hashlib
import json
import logging
import os
import unicodedata
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import imagehash
import pandas as pd
import PIL

from cbir.collection import corrections as corrected
from cbir.collection import images, perceptual, ranges
from cbir.collection.categories import UNKNOWN, category_labels, members, rarest, singles
from cbir.collection.columns import HASHES_COLUMNS, IMAGE_COLUMNS, NOTE_COLUMNS, REJECTED_COLUMNS
from cbir.collection.contents import hash_files, hash_folder
from cbir.collection.exclusions import EXCLUDED, Exclusions
from cbir.collection.images import ImageError
from cbir.collection.layout import IGNORED, are_parts, called_parts, likely_root, place, spellings, split_of
from cbir.collection.ranges import Ranges
from cbir.collection.reasons import count_reasons
from cbir.collection.small import listed_names, refuse_small
from cbir.files import errors
from cbir.files.atomic import sweep
from cbir.files.errors import InputError
from cbir.files.printable import printable
from cbir.files.progress import Progress
from cbir.files.tables import write_text
from cbir.files.versions import version
from cbir.workflow import code_hash

log = logging.getLogger("cbir")

# Results are saved after each batch of this many images, so that an interrupted run need not decode them again.
_SAVE_EVERY = 2000


class Collected(NamedTuple):
    """The tables that describe a collection, see `collect`."""

    images: pd.DataFrame
    rejected: pd.DataFrame
    hashes: pd.DataFrame
    notes: pd.DataFrame
    ranges: Ranges


def collect(
    folder: str | Path,
    memory: str | Path,
    workers: int = 1,
    exclude: Sequence[str] = (),
    layout: str = "categories",
    rows: Mapping[str, Mapping[str, str]] | None = None,
    corrections: Mapping[str, Mapping[str, str]] | None = None,
) -> Collected:
    """Read every file below a folder once and say which can be used as images.

    The category of an image is the name of its top-level folder; deeper folders do not matter. If several files in one
    category have the same bytes, the first by name is kept. If files in two categories have the same bytes, none is
    kept, because their categories contradict each other. With ``layout`` none, every image has the empty category.
    Hidden files and folders (a dot in front), and those that programs keep (see `cbir.collection.exclusions`), are
    rejected.

    Args:
        folder: the collection.
        memory: folder of a cache by file content, so that only new images are decoded, also after an interruption.
        workers: number of threads.
        exclude: patterns of further files that do not belong to the collection.
        layout: how folders are read, see `cbir.collection.layout`; with ``parts`` the images have a column ``split``.
        rows: ``category`` and further columns of each image by its path relative to the folder, from a manifest (see
            `sources.manifest`). Then only these files are read, their columns are added, and folders do not matter.
        corrections: the corrections of single images by a user, see `cbir.collection.corrections`.

    Returns:
        ``images``: columns ``IMAGE_COLUMNS``, sorted by image_id. ``rejected``: ``REJECTED_COLUMNS``, sorted by path.
        ``hashes``: ``HASHES_COLUMNS`` of the images (see `perceptual.hashes`), sorted by sha256. ``notes``:
        ``NOTE_COLUMNS`` of images that are used although they are unusual. ``ranges``: of images whose files do not
        state the range of their values, see `cbir.collection.ranges`. ``path`` is ``folder`` joined with the file's
        relative path (a file whose path is not UTF-8 is rejected and its path written with escapes); labels number
        the categories from 0 in alphabetical order.

    Raises:
        InputError: when the folder is missing or cannot be read.
    """
    root, memory = Path(folder), Path(memory)
    exclusions = Exclusions(exclude)
    if rows is None:
        hashes = hash_folder(root, memory / "contents.json", exclude)
        misplaced = {name: _misplaced(name, exclusions, layout) for name in hashes}
        known = {name: dict(zip(("category", "split"), place(name, layout), strict=True)) for name in hashes}
        columns = ["split"] * (layout == "parts")
    else:
        hashes = hash_files(root, sorted(rows), memory / "contents.json")
        misplaced = {name: _unlisted(name, exclusions, rows[name]) for name in hashes}
        known = {name: dict(row) for name, row in rows.items()}
        columns = [name for name in next(iter(known.values()), {}) if name != "category"]
    applied = corrections or {}
    if layout == "none":
        # Without categories, corrections of a category do not apply.
        applied = {name: row for name, row in applied.items() if row["verdict"] == corrected.EXCLUDE}
    moved = corrected.apply(applied, known, misplaced)
    findings = _decode_new(
        root, {name: digest for name, digest in hashes.items() if not misplaced[name]}, memory / "decoded.json", workers
    )

    kept: list[dict] = []
    rejected = {name: reason for name, reason in misplaced.items() if reason}
    owners: dict[str, dict[str, list[str]]] = {}
    for name, digest in hashes.items():
        if name in rejected:
            continue
        reason = findings[digest].get("reason", "") if digest in findings else _unreadable(root / name)
        if reason:
            rejected[name] = reason
        else:
            owners.setdefault(digest, {}).setdefault(known[name]["category"], []).append(name)
    for digest, categories in owners.items():
        if len(categories) > 1:
            for names in categories.values():
                for name in names:
                    others = ", ".join(
                        sorted(other for group in categories.values() for other in group if other != name)
                    )
                    rejected[name] = f"conflict: the same image in another category ({others})"
            continue
        [(category, names)] = categories.items()
        for name in names[1:]:
            rejected[name] = f"duplicate of {names[0]}"
        finding = findings[digest]
        kept.append(
            {
                "image_id": names[0],
                "path": os.path.join(root, names[0]),
                **{column: known[names[0]][column] for column in columns},
                "category": category,
                "sha256": digest,
                "width": finding["width"],
                "height": finding["height"],
                "bytes": finding["bytes"],
            }
        )
    columns = [*IMAGE_COLUMNS, *columns]
    table = pd.DataFrame(kept, columns=columns).sort_values("image_id", ignore_index=True)
    labels = category_labels(table["category"])
    table["label"] = [labels.get(category, UNKNOWN) for category in table["category"]]
    refused = pd.DataFrame(
        [
            {"path": os.path.join(root, name if _is_utf8(name) else printable(name)), "reason": reason}
            for name, reason in sorted(rejected.items())
        ],
        columns=REJECTED_COLUMNS,
    )
    hashed = pd.DataFrame(
        [[digest, *findings[digest]["hashes"]] for digest in sorted(table["sha256"])], columns=HASHES_COLUMNS
    )
    found = ranges.find({digest: findings[digest].get("unstated") for digest in table["sha256"]})
    notes = [
        (path, note)
        for path, digest in zip(table["path"], table["sha256"], strict=True)
        for note in _notes(findings[digest], found.images.get(digest, 0))
    ]
    notes += [(path, moved[name]) for name, path in zip(table["image_id"], table["path"], strict=True) if name in moved]
    return Collected(table[columns], refused, hashed, pd.DataFrame(notes, columns=NOTE_COLUMNS), found)


def _notes(finding: Mapping[str, Any], white: int) -> list[str]:
    """Return notes about what is unusual in an image; ``white`` as in `ranges.note`."""
    notes = list(finding.get("notes", []))
    if "unstated" in finding:
        bits, largest = finding["unstated"]
        notes.insert(0, ranges.note(bits, largest, white))
    return [note for note in notes if note]


def _misplaced(name: str, exclusions: Exclusions, layout: str) -> str:
    """Return why the path of a file keeps it out of the collection; empty if it may belong."""
    if not _is_utf8(name):
        return "its name is not UTF-8"
    if reason := exclusions.reason(name):
        return reason
    if layout == "none" or place(name, layout)[0]:
        return ""
    return "not in a category folder" if layout == "categories" else "not in a category folder of a part such as train"


def _unlisted(name: str, exclusions: Exclusions, row: Mapping[str, str]) -> str:
    """Return why a listed file does not belong to the collection; empty if it may belong."""
    if row.get("split") == IGNORED:
        return "ignored by the list"
    reason = exclusions.reason(name)
    return reason if reason.startswith(EXCLUDED) else ""


def _is_utf8(name: str) -> bool:
    # Python represents bytes that are not UTF-8 as surrogates, which cannot be encoded.
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode_new(root: Path, hashes: dict[str, str], memory: Path, workers: int) -> dict[str, dict]:
    """Decode the files that are not in the cache of this version of the decoder; return all results by content hash."""
    root_of_code = Path(images.__file__).parents[2]
    # `errors` is covered, too, because error messages are written to rejected.csv.
    modules = [Path(str(module.__file__)) for module in (images, perceptual, errors)]
    own = [code_hash.fingerprint(path, root_of_code) for path in modules]
    versions = (
        f"pillow {PIL.__version__} pillow-heif {version('pillow-heif') or 'none'} imagehash {imagehash.__version__}"
    )
    decoder = " ".join([*own, versions])
    findings = _read_findings(memory, decoder)
    first: dict[str, str] = {}
    for name, digest in hashes.items():
        if digest and digest not in findings:
            first.setdefault(digest, name)
    sweep(memory)
    progress = Progress("images decoded", len(first))
    names = list(first.values())

    def examine(name: str) -> dict | None:
        try:
            data = images.read_bytes(root / name)
        except ImageError:
            return None
        # Results are cached by content, but the file may have changed since it was hashed.
        if hashlib.sha256(data).hexdigest() != hashes[name]:
            return None
        try:
            image = images.decode(data)
        except ImageError as error:
            return {"reason": str(error)}
        perceived = list(vars(perceptual.hashes(image)).values())
        found = {"width": image.width, "height": image.height, "bytes": len(data), "hashes": perceived}
        notes = image.info["notes"] + ["of one colour"] * images.is_flat(image)
        unstated = image.info["unstated"]
        return (
            found
            | ({"notes": notes} if notes else {})
            | ({"unstated": [unstated.bits, unstated.largest]} if unstated else {})
        )

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(names), _SAVE_EVERY):
            batch = names[start : start + _SAVE_EVERY]
            for name, finding in zip(batch, pool.map(examine, batch), strict=True):
                if finding is not None:
                    findings[hashes[name]] = finding
                progress.advance()
            _save_findings(memory, decoder, findings)
    # Results of files that are gone are dropped, so that the cache does not depend on earlier collections.
    current = {digest: findings[digest] for digest in sorted(set(hashes.values()) & findings.keys())}
    if list(current) != list(findings) or not memory.exists():
        _save_findings(memory, decoder, current)
    return current


def _save_findings(memory: Path, decoder: str, findings: dict[str, dict]) -> None:
    write_text(memory, json.dumps({"decoder": decoder, "images": findings}))


def _read_findings(memory: Path, decoder: str) -> dict[str, dict]:
    try:
        saved = json.loads(memory.read_text(encoding="utf-8"))
        if saved["decoder"] != decoder:
            return {}
        return {digest: finding for digest, finding in saved["images"].items() if _is_finding(finding)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _is_finding(value: Any) -> bool:
    if isinstance(value, dict) and set(value) == {"reason"}:
        return isinstance(value["reason"], str)
    return (
        isinstance(value, dict)
        and set(value) - {"notes", "unstated"} == {"width", "height", "bytes", "hashes"}
        and all(isinstance(note, str) for note in value.get("notes", []))
        and _are_values(value.get("unstated", [16, 0]))
        and all(type(value[key]) is int for key in ("width", "height", "bytes"))
        and perceptual.is_hashes(value["hashes"])
    )


def _are_values(value: Any) -> bool:
    return list(map(type, value)) == [int, int] and value[0] in (16, 32) and 0 <= value[1] < 2**32


def _unreadable(path: Path) -> str:
    try:
        images.read_bytes(path)
    except ImageError as error:
        return str(error)
    return "changed while it was read"


def require_categories(
    folder: str | Path,
    found: Collected,
    listed: str | Path,
    exclude: Sequence[str] = (),
    layout: str = "categories",
    rows: Mapping[str, Mapping[str, str]] | None = None,
    least: int = 1,
    corrections: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Refuse a collection that cannot be evaluated; log warnings about unusual images and categories.

    Args:
        folder: the collection.
        found: its tables.
        listed: path of the table of rejected files, named in messages.
        exclude: see `collect`.
        layout: see `collect`.
        rows: see `collect`.
        least: number of images that a category needs.
        corrections: see `collect`.

    Raises:
        InputError: when there is no usable image, only one category, a category folder without a usable image,
            categories with too few images, or when the folders are not categories but parts of a split. Without
            categories (``layout`` none), when there are fewer than two usable images.
    """
    root, table = Path(folder), found.images
    counts = rarest(table["category"]).value_counts()
    because = "; ".join(count_reasons(found.rejected["reason"]))
    why = f" ({because}; see {listed})" if because else ""
    if table.empty and rows is not None:
        raise InputError(f"The list in {root} names no usable image{why}: correct collection.path or the list's paths.")
    if layout == "none" and len(table) < 2:
        held = "a single usable image" if len(table) else "no usable image"
        raise InputError(f"The image folder {root} holds {held}{why}: a search needs two, so add images.")
    if table.empty:
        inside = "a category folder" if layout == "categories" else "folders such as train/CATEGORY and test/CATEGORY"
        raise InputError(
            f"The image folder {root} holds no usable image in {inside}{why}: set collection.path to a folder with one "
            "sub-folder a category, or collection.labels to none if the images have no categories."
        )
    for note, noted in found.notes.groupby("note", sort=True):
        log.warning("%d images: %s", len(noted), note)
    _warn_of_several_ranges(found.ranges)
    if layout == "none":
        return
    names = list(table["image_id"])
    if layout == "categories" and rows is None and are_parts(names):
        parts = ", ".join(sorted({name.split("/")[0] for name in names}))
        raise InputError(
            f"The folders of {root} ({parts}) are parts of a split, which hold the categories: set split.from to "
            "folders (`split: {from: folders}`) to use them as such."
        )
    if len(singles(table["category"])) == 1:
        below, parts_below = likely_root(names)
        with_split = ", and split.from to folders" if parts_below else ""
        hint = (
            f"set collection.path to {root / below}{with_split}, which holds several folders"
            if below and layout == "categories" and rows is None
            else "give each category a sub-folder, or a name in the list, of its own, or set collection.labels to none"
        )
        raise InputError(
            f"The image folder {root} holds one category only, {counts.index[0]!r}{why}, so that every result would "
            f"count as right: {hint}."
        )
    # A category folder may be empty because corrections moved or excluded its images.
    corrected_away = {
        place(name, layout)[0]
        for name, correction in (corrections or {}).items()
        if correction["verdict"] != corrected.RIGHT
    }
    folders = _category_folders(root, exclude, layout) if rows is None else set()
    if empty := sorted(folders - set(table["category"]) - corrected_away):
        several = len(empty) > 1
        raise InputError(
            f"The category folder{'s' * several} {listed_names(str(root / name) for name in empty)} "
            f"hold{'s' * (not several)} no usable image{why}: add images or remove the folder{'s' * several}, or name "
            f"{'them' if several else 'it'} in collection.exclude."
        )
    refuse_small({str(name): int(count) for name, count in counts.items()}, least)
    if layout == "categories" and rows is None and called_parts(set(table["category"])):
        log.warning(
            "The folders of %s (%s) are called like the parts of a split, but images lie directly in them, so each "
            "counts as a category. If they are parts, put the images of each into a folder for each category and set "
            "split.from to folders.",
            root,
            ", ".join(sorted(map(printable, set(table["category"])))),
        )
    for group in spellings(singles(table["category"])):
        log.warning(
            "These categories are spelt alike and count as different ones: %s. Rename their folders if they are one.",
            ", ".join(f"{printable(name)} ({_encoding(name, group)}{_images(table, name)} images)" for name in group),
        )


def _warn_of_several_ranges(found: Ranges) -> None:
    """Warn if files of the same bit depth that do not state their range get different white values."""
    for bits, whites in found.whites.items():
        if len(whites) > 1:
            log.warning(
                "Files of %d bits that do not state their range are read by %d different ones (white is %s), because "
                "the largest would make some of them black: if one camera made them all, those look too bright. Write "
                "the range into the files then (sBIT of a PNG, MaxSampleValue of a TIFF).",
                bits,
                len(whites),
                ", ".join(map(str, whites)),
            )


def _images(table: pd.DataFrame, category: str) -> int:
    return sum(category in members(name) for name in table["category"])


def _encoding(name: str, group: list[str]) -> str:
    """Return how a category name differs from another of the group that looks the same, for a message."""
    same = [other for other in group if unicodedata.normalize("NFC", other) == unicodedata.normalize("NFC", name)]
    if len(same) == 1:
        if any(unicodedata.category(character) == "Cf" for character in name):
            return "with an invisible character, "
        return "with a space at its end, " if name != name.rstrip() else ""
    return "composed, " if unicodedata.is_normalized("NFC", name) else "accents apart, "


def _category_folders(root: Path, exclude: Sequence[str], layout: str) -> set[str]:
    """Return the names of the folders of categories, without excluded ones."""
    exclusions = Exclusions(exclude)

    def folders(below: str) -> list[str]:
        names = [f"{below}{entry.name}" for entry in os.scandir(root / below) if entry.is_dir()]
        return [name for name in names if not exclusions.reason(f"{name}/")]

    tops = folders("")
    if layout == "categories":
        return set(tops)
    return {name.split("/")[1] for top in tops if split_of(top) for name in folders(f"{top}/")}


def shard_of(sha256: str, shards: int) -> int:
    """Return an image's shard, from 0 to ``shards`` - 1, by the first 8 hexadecimal digits of its SHA-256."""
    return int(sha256[:8], 16) * shards >> 32
