"""A list of images in a CSV file, whatever their folders are called."""

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cbir.collection.contents import hash_files
from cbir.collection.layout import IGNORED, split_of
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json

DESCRIPTION = "The images that {path} lists."
SETTINGS = ("path",)

Rows = dict[str, dict[str, str]]
"""What a list says of each image, by its path relative to the list: ``category``, and further columns."""

# The columns of images.csv that are found out.
_TAKEN = {"image_id", "label", "sha256", "width", "height", "bytes"}
_LARGEST = 200_000_000


def require(settings: Mapping[str, Any]) -> None:
    """Refuse a list that is not there.

    Raises:
        InputError: when ``path`` is no file, or a very large one.
    """
    path = Path(settings["path"])
    if not path.is_file() or path.stat().st_size > _LARGEST:
        state = "is too large" if path.is_file() else "is not a file" if path.exists() else "does not exist"
        raise InputError(f"The list {path.absolute()} {state}: set collection.path to a CSV file with the column path.")


def contents(settings: Mapping[str, Any], memory: Path) -> str:
    """Return one hash over the list and the images in it."""
    rows = read(settings["path"], settings.get("labels") != "none")
    return sha256_json([rows, hash_files(Path(settings["path"]).parent, sorted(rows), memory)])


def read(path: str | Path, labelled: bool = True) -> Rows:
    """Read a list of images: UTF-8, a header, commas, semicolons or tabs between the cells.

    Args:
        path: the file. Its columns are ``path`` (relative to the file, with forward slashes) and ``category``, and any
            of ``split`` (train or gallery, val, test or query, ignore), ``group``, and others, which are carried along.
        labelled: whether images have categories; else the column is not looked at, and need not be there.

    Returns:
        The rows, sorted by path; ``split`` is ``train``, ``val``, ``test``, ``ignore`` or empty.

    Raises:
        InputError: naming the line, when a column is missing, a path leads out of the folder or is there twice, a
            category is empty or several, or a split is none.
    """
    require({"path": path})
    rows: Rows = {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            separator = max(",;\t", key=head.count)
            reader = csv.DictReader(file, delimiter=separator, strict=True)
            names = [str(name).strip() for name in reader.fieldnames or []]
            reader.fieldnames = names
            for name in ("path", "category") if labelled else ("path",):
                if name not in names:
                    other = ", or set collection.labels to none" if name == "category" else ""
                    raise InputError(
                        f"{path} has no column {name!r}, but {', '.join(names) or 'nothing'}: add it{other}."
                    )
            if bad := sorted(_TAKEN & set(names)) or [name for name in names if not name or names.count(name) > 1]:
                raise InputError(f"{path} has a column {bad[0]!r} that is not admitted or there twice: rename it.")
            for row in reader:
                _add(rows, row, f"{path}, line {reader.line_num}", labelled)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file in UTF-8 ({error}): mend it.") from None
    return dict(sorted(rows.items()))


def _add(rows: Rows, row: dict[Any, Any], where: str, labelled: bool) -> None:
    if None in row or None in row.values():
        raise InputError(f"{where}: the row has another number of cells than the header: mend it.")
    cells = {str(name): str(value).strip() for name, value in row.items()}
    name = cells.pop("path").replace("\\", "/")
    place = PurePosixPath(name)
    if not name or place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise InputError(
            f"{where}: the path {name!r} is empty or leads out of the list's folder: put the list above it."
        )
    name = place.as_posix()
    if name in rows:
        raise InputError(f"{where}: {name!r} is listed twice: remove one of the rows.")
    if not labelled:
        cells["category"] = ""
    if ";" in cells["category"]:
        raise InputError(f"{where}: {cells['category']!r} are several categories, but an image has one: choose one.")
    if "split" in cells:
        given = cells["split"].casefold()
        cells["split"] = given if given in ("", IGNORED) else split_of(given)
        if given and not cells["split"]:
            raise InputError(f"{where}: the split {given!r} is none of train, val, test and ignore: correct it.")
    if labelled and not cells["category"] and cells.get("split") != IGNORED:
        raise InputError(f"{where}: {name!r} has no category: add it, or set its split to ignore.")
    rows[name] = cells
