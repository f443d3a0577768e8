"""A folder of the user's own images, which are neither copied nor moved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cbir.collection.contents import fingerprint, hash_folder, require_folder

DESCRIPTION = "The folder {path}."
SETTINGS = ("path",)


def require(settings: Mapping[str, Any]) -> None:
    """Refuse a folder that does not exist.

    Raises:
        InputError: when ``path`` is not a folder.
    """
    require_folder(settings["path"])


def contents(settings: Mapping[str, Any], memory: Path) -> str:
    """Return one hash over the names and the contents of all files."""
    return fingerprint(hash_folder(settings["path"], memory, settings["exclude"]))
