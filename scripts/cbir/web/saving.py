"""Save a refinement into the folder that the workflow reads."""

import json
import re
import threading
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from cbir.feedback.folder import RESERVED
from cbir.feedback.refinement import Refinement, as_json, parse
from cbir.files.atomic import atomic, make_folder
from cbir.files.errors import InputError
from cbir.files.tables import write_json
from cbir.web.outside import Upload

_UNSAFE = re.compile("[^A-Za-z0-9._-]+")
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

_saving = threading.Lock()


def is_name(text: str) -> bool:
    """Tell whether a text can name a refinement."""
    return bool(_NAME.fullmatch(text))


def require_name(name: str) -> str:
    """Return a refinement's name.

    Raises:
        InputError: when it is none; it becomes a file's name, so it may hold nothing that leads elsewhere.
    """
    if not name:
        raise InputError("The name is empty: write one.")
    if not is_name(name):
        raise InputError(
            "The name may have up to 64 letters without accents, digits, '-' and '_', the first a letter or a digit: "
            "change it."
        )
    if name == RESERVED:
        raise InputError(f"The name {RESERVED!r} is that of the simulated user's results: choose another name.")
    return name


def outside_query(digest: str, upload: Upload) -> str:
    """Return what a refinement calls an image from outside: its file, relative to the refinement's folder."""
    name = _UNSAFE.sub("_", PurePosixPath(upload.name.replace("\\", "/")).stem).strip("._-")[:60] or "image"
    # Two images of one name are told apart by their contents.
    return f"images/{name}-{digest[:12]}{upload.suffix}"


def save(
    folder: Path,
    name: str,
    refinement: Refinement,
    methods: Collection[str],
    upload: Upload | None,
    *,
    replace: bool = False,
) -> Path:
    """Write a refinement, and its query image when that comes from outside, whole or not at all.

    Args:
        folder: the refinements' folder; made when it is not there.
        name: the refinement's, checked.
        refinement: what was judged.
        methods: the methods' names.
        upload: the query image, or None for one of the collection.
        replace: whether a refinement of this name is replaced.

    Returns:
        The refinement's file.

    Raises:
        InputError: when the name is taken, the refinement breaks its own format, or the disk refuses.
    """
    path = folder / f"{name}.json"
    content = as_json(refinement)
    # What the workflow would refuse is not written.
    parse(json.dumps(content).encode(), refinement.source, methods, refinement.weights)
    with _saving:
        if path.is_symlink() or (path.exists() and not replace):
            raise InputError(f"There is already a refinement {name!r}: choose another name, or tick Replace it.")
        if upload is not None:
            # The bytes as they came, so that the workflow decodes what the search page decoded.
            image = folder / refinement.query
            make_folder(image.parent)
            with atomic(image) as temporary:
                temporary.write_bytes(upload.data)
        write_json(path, content)
    return path
