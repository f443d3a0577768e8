"""A person's own folder, which is read where it lies."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cbir.collection.contents import fingerprint, hash_folder, require_folder

DESCRIPTION = "The folder {path}."
SETTINGS = ("path",)


def require(settings: Mapping[str, Any]) -> None:
    """Refuse a folder that is not there.

    Raises:
        InputError: when ``path`` is no folder.
    """
    require_folder(settings["path"])


def contents(settings: Mapping[str, Any], memory: Path) -> str:
    """Return one hash over the names and the contents of all files."""
    return fingerprint(hash_folder(settings["path"], memory, settings["exclude"]))
