"""A manifest: a CSV or Parquet file that lists images and their categories; names of folders do not matter."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cbir.collection.categories import SEPARATOR
from cbir.collection.contents import hash_files
from cbir.collection.layout import IGNORED, split_of
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_json

DESCRIPTION = "The images that {path} lists."
SETTINGS = ("path",)

Rows = dict[str, dict[str, str]]
"""``category`` and further columns of each image, by its path relative to the manifest."""

# The columns of images.csv that the workflow computes.
_TAKEN = {"image_id", "label", "sha256", "width", "height", "bytes"}
_LARGEST = 200_000_000


def require(settings: Mapping[str, Any]) -> None:
    """Refuse a manifest that does not exist.

    Raises:
        InputError: when ``path`` is not a file, or a very large one.
    """
    path = Path(settings["path"])
    if not path.is_file() or path.stat().st_size > _LARGEST:
        state = "is too large" if path.is_file() else "is not a file" if path.exists() else "does not exist"
        raise InputError(
            f"The list {path.absolute()} {state}: set collection.path to a CSV or Parquet file with the column path."
        )


def contents(settings: Mapping[str, Any], memory: Path) -> str:
    """Return one hash over the manifest and the images that it lists."""
    rows = read(settings["path"], settings.get("labels") != "none")
    return sha256_json([rows, hash_files(Path(settings["path"]).parent, sorted(rows), memory)])


def read(path: str | Path, labelled: bool = True) -> Rows:
    """Read a manifest: CSV (UTF-8, with a header, separated by commas, semicolons or tabs) or Parquet.

    Args:
        path: the file. Its columns are ``path`` (relative to the file, with forward slashes) and ``category`` (several
            separated by semicolons, or a list in Parquet), and optionally ``split`` (train or gallery, val, test or
            query, ignore), ``group``, and others, which are copied to images.csv.
        labelled: whether images have categories; if not, the column ``category`` is ignored and may be missing.

    Returns:
        The rows, sorted by path; ``split`` is ``train``, ``val``, ``test``, ``ignore`` or empty; several categories
        are in alphabetical order with `SEPARATOR` between them.

    Raises:
        InputError: when a column is missing, a path leads out of the folder or is listed twice, a category is empty, or
            a split has an unknown name; the message names the line.
    """
    require({"path": path})
    with Path(path).open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    rows: Rows = {}
    for where, cells in _parquet(path, labelled) if is_parquet else _csv(path, labelled):
        _add(rows, cells, f"{path}, {where}", labelled)
    return dict(sorted(rows.items()))


def _csv(path: str | Path, labelled: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each row, for messages, and its cells."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            separator = max(",;\t", key=head.count)
            reader = csv.DictReader(file, delimiter=separator, strict=True)
            names = [str(name).strip() for name in reader.fieldnames or []]
            reader.fieldnames = names
            _require_columns(path, names, labelled)
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}, line {reader.line_num}: the row has another number of cells than the header: mend it."
                    )
                yield f"line {reader.line_num}", {name: str(value).strip() for name, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file in UTF-8 ({error}): mend it.") from None


def _parquet(path: str | Path, labelled: bool) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the place of each row, for messages, and its cells as text; a list is joined by semicolons."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError(
            f"{path} is a Parquet file, which the package pyarrow reads: install it (`.venv/bin/pip install "
            "pyarrow`), or save the list as CSV."
        ) from None
    try:
        file = parquet.ParquetFile(path)
        names = [str(name) for name in file.schema_arrow.names]
        _require_columns(path, names, labelled)
        unpacked = sum(file.metadata.row_group(place).total_byte_size for place in range(file.num_row_groups))
        if unpacked > _LARGEST:
            raise InputError(f"The list {path} is too large: it takes {unpacked:,} bytes, more than {_LARGEST:,}.")
        number = 0
        for batch in file.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", {name: _text(value) for name, value in row.items()}
    except InputError:
        raise
    except (OSError, ValueError, ArrowException) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}): write it anew.") from None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(map(_text, value))
    return "" if value is None else str(value).strip()


def _require_columns(path: str | Path, names: list[str], labelled: bool) -> None:
    for name in ("path", "category") if labelled else ("path",):
        if name not in names:
            other = ", or set collection.labels to none" if name == "category" else ""
            raise InputError(f"{path} has no column {name!r}, but {', '.join(names) or 'nothing'}: add it{other}.")
    if bad := sorted(_TAKEN & set(names)) or [name for name in names if not name or names.count(name) > 1]:
        raise InputError(f"{path} has a column {bad[0]!r} that is not admitted or there twice: rename it.")


def _add(rows: Rows, cells: dict[str, str], where: str, labelled: bool) -> None:
    name = cells.pop("path").replace("\\", "/")
    place = PurePosixPath(name)
    if not name or place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
        raise InputError(
            f"{where}: the path {name!r} is empty or leads out of the list's folder: put the list above it."
        )
    name = place.as_posix()
    if name in rows:
        raise InputError(f"{where}: {name!r} is listed twice: remove one of the rows.")
    cells["category"] = _categories(cells["category"], where) if labelled else ""
    if "split" in cells:
        given = cells["split"].casefold()
        cells["split"] = given if given in ("", IGNORED) else split_of(given)
        if given and not cells["split"]:
            raise InputError(f"{where}: the split {given!r} is not one of train, val, test and ignore: correct it.")
    if labelled and not cells["category"] and cells.get("split") != IGNORED:
        raise InputError(f"{where}: {name!r} has no category: add it, or set its split to ignore.")
    rows[name] = cells


def _categories(cell: str, where: str) -> str:
    """Return the categories in a cell, in alphabetical order, each once."""
    names = sorted({name.strip() for name in cell.split(";")} - {""})
    if SEPARATOR in cell:
        raise InputError(
            f"{where}: the category {cell!r} has {SEPARATOR!r} in it, which separates several categories: write a "
            "semicolon between several, or another name."
        )
    return SEPARATOR.join(names)
