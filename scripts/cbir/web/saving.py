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
    """Return whether a text is a valid name of a refinement."""
    return bool(_NAME.fullmatch(text))


def require_name(name: str) -> str:
    """Return a refinement's name if it is valid.

    Raises:
        InputError: when it is not. It becomes the name of a file, so it must not lead to another folder.
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
    """Return the ``query`` of a refinement for an image from outside: its path relative to the refinement's folder."""
    name = _UNSAFE.sub("_", PurePosixPath(upload.name.replace("\\", "/")).stem).strip("._-")[:60] or "image"
    # The content hash distinguishes two images of the same name.
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
    """Write a refinement, and its query image if that is from outside the collection, atomically.

    Args:
        folder: the folder of refinements; created if it does not exist.
        name: the refinement's name, checked by `require_name`.
        refinement: the refinement.
        methods: the names of the methods.
        upload: the query image; None for an image of the collection.
        replace: whether to replace a refinement of this name.

    Returns:
        The refinement's file.

    Raises:
        InputError: when the name is taken, the refinement is not valid, or a file cannot be written.
    """
    path = folder / f"{name}.json"
    content = as_json(refinement)
    # Parsed before it is written, so that the workflow will not refuse the file.
    parse(json.dumps(content).encode(), refinement.source, methods, refinement.weights)
    with _saving:
        if path.is_symlink() or (path.exists() and not replace):
            raise InputError(f"There is already a refinement {name!r}: choose another name, or tick Replace it.")
        if upload is not None:
            # The original bytes, so that the workflow decodes the same image as the search page.
            image = folder / refinement.query
            make_folder(image.parent)
            with atomic(image) as temporary:
                temporary.write_bytes(upload.data)
        write_json(path, content)
    return path
