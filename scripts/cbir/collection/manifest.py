"""Turn a folder with one sub-folder a category into the table of usable images."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagehash
import pandas as pd
import PIL

from cbir.collection import images, perceptual
from cbir.collection.categories import category_labels
from cbir.collection.columns import HASHES_COLUMNS, IMAGE_COLUMNS, REJECTED_COLUMNS
from cbir.collection.contents import hash_folder
from cbir.collection.images import ImageError
from cbir.files import errors
from cbir.files.atomic import sweep
from cbir.files.errors import InputError
from cbir.files.printable import printable
from cbir.files.progress import Progress
from cbir.files.tables import write_text
from cbir.workflow import code_hash

# Images between two saves of unfinished work.
_SAVE_EVERY = 2000


def collect(
    folder: str | Path, memory: str | Path, workers: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read every file below a folder once and say which can be used as images.

    A file is an image of the category that its first folder names, at any depth. Of several files with the same bytes
    in one category the first by name is kept. The same bytes in two categories are a contradiction: none is kept.
    Hidden files and folders (a dot in front) are what programs leave behind, and no images.

    Args:
        folder: the collection.
        memory: folder for what was found before: results are remembered by content, so that only new images are
            decoded, also after an interruption.
        workers: threads that decode.

    Returns:
        Three tables: ``IMAGE_COLUMNS`` sorted by image_id, ``REJECTED_COLUMNS`` sorted by path, and ``HASHES_COLUMNS``
        of the images in the first (see `perceptual.hashes`), sorted by sha256. ``path`` is
        ``folder`` joined with the file's relative path (one that is not UTF-8 is rejected and written with escapes);
        labels count the categories from 0 in alphabetical order.

    Raises:
        InputError: when the folder is missing or holds no usable image, or a category folder holds none.
    """
    root, memory = Path(folder), Path(memory)
    hashes = hash_folder(root, memory / "contents.json")
    findings = _decode_new(root, hashes, memory / "decoded.json", workers)

    kept: list[dict] = []
    rejected: dict[str, str] = {}
    owners: dict[str, dict[str, list[str]]] = {}
    for name, digest in hashes.items():
        reason = _misplaced(name)
        if not reason:
            reason = findings[digest].get("reason", "") if digest in findings else _unreadable(root / name)
        if reason:
            rejected[name] = reason
        else:
            owners.setdefault(digest, {}).setdefault(name.split("/")[0], []).append(name)
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
                "category": category,
                "sha256": digest,
                "width": finding["width"],
                "height": finding["height"],
                "bytes": finding["bytes"],
            }
        )
    if not kept:
        raise InputError(
            f"The image folder {root} holds no usable image in a category folder ({len(rejected)} files rejected): "
            "set collection.path to a folder with one sub-folder a category."
        )
    table = pd.DataFrame(kept).sort_values("image_id", ignore_index=True)
    labels = category_labels(table["category"])
    table["label"] = table["category"].map(labels)
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
    _refuse_empty_categories(root, table)
    return table[IMAGE_COLUMNS], refused, hashed


def _misplaced(name: str) -> str:
    """Return why a file is none of the collection's by its name alone; empty if it may be."""
    if not _is_utf8(name):
        return "its name is not UTF-8"
    if any(part.startswith(".") for part in name.split("/")):
        return "hidden"
    return "" if "/" in name else "not in a category folder"


def _is_utf8(name: str) -> bool:
    # Bytes that are not UTF-8 come as surrogates, which cannot be encoded.
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _decode_new(root: Path, hashes: dict[str, str], memory: Path, workers: int) -> dict[str, dict]:
    """Decode what was never decoded before by this decoder; return findings by content hash."""
    root_of_code = Path(images.__file__).parents[2]
    # The sentences of errors are data here: they are the reasons for which a file is rejected.
    modules = [Path(str(module.__file__)) for module in (images, perceptual, errors)]
    own = [code_hash.fingerprint(path, root_of_code) for path in modules]
    decoder = " ".join([*own, f"pillow {PIL.__version__} imagehash {imagehash.__version__}"])
    findings = _read_findings(memory, decoder)
    first: dict[str, str] = {}
    for name, digest in hashes.items():
        if digest and digest not in findings and not _misplaced(name):
            first.setdefault(digest, name)
    sweep(memory)
    progress = Progress("images decoded", len(first))
    names = list(first.values())

    def examine(name: str) -> dict | None:
        try:
            data = images.read_bytes(root / name)
        except ImageError:
            return None
        # What is found is remembered by content: it must be found in that content.
        if hashlib.sha256(data).hexdigest() != hashes[name]:
            return None
        try:
            image = images.decode(data)
        except ImageError as error:
            return {"reason": str(error)}
        perceived = list(vars(perceptual.hashes(image)).values())
        return {"width": image.width, "height": image.height, "bytes": len(data), "hashes": perceived}

    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(names), _SAVE_EVERY):
            batch = names[start : start + _SAVE_EVERY]
            for name, finding in zip(batch, pool.map(examine, batch), strict=True):
                if finding is not None:
                    findings[hashes[name]] = finding
                progress.advance()
            # Saved as it goes, so that a killed run does not decode again.
            _save_findings(memory, decoder, findings)
    # Of contents that are gone nothing is kept, so that the file does not depend on what was there before.
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
        and set(value) == {"width", "height", "bytes", "hashes"}
        and all(type(value[key]) is int for key in ("width", "height", "bytes"))
        and perceptual.is_hashes(value["hashes"])
    )


def _unreadable(path: Path) -> str:
    try:
        images.read_bytes(path)
    except ImageError as error:
        return str(error)
    return "changed while it was read"


def _refuse_empty_categories(root: Path, table: pd.DataFrame) -> None:
    """Refuse a category folder without a usable image: dropping it silently would change what is measured."""
    used = set(table["category"])
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in used:
            raise InputError(
                f"The category folder {entry.path} holds no usable image: add images or remove the folder."
            )


def shard_of(sha256: str, shards: int) -> int:
    """Return the shard of an image among ``shards``, by content: the first 8 hexadecimal digits of its hash."""
    return int(sha256[:8], 16) * shards >> 32
