"""Files and folders that do not belong to a collection: those of the system or of programs, and excluded ones."""

import fnmatch
import re
from collections.abc import Iterable
from functools import cached_property

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from cbir.files.errors import InputError

FOLDERS = {
    "Synology": (
        *("@eadir", "@tmp", "@sharebin", "@syno*", "@app*", "@autoupdate", "@database", "@docker", "@quarantine"),
        *("@s2s", "#recycle", "#snapshot"),
    ),
    "QNAP": ("@recycle", "@recently-snapshot", "@__thumb", "@transcode"),
    "other network drives": ("network trash folder", "temporary items", "~snapshot", "_gsdata_"),
    "macOS": ("__macosx", "resource.frk"),
    "Windows": ("system volume information", "$recycle.bin", "recycler", "recycled", "found.[0-9][0-9][0-9]"),
    "Linux": ("lost+found",),
    "Android": ("lost.dir",),
    "Apple Photos": ("*.photoslibrary", "*.photolibrary", "*.aplibrary", "*.migratedphotolibrary", "ipod photo cache"),
    "Lightroom": ("*.lrdata", "*.lrcat-data", "*.lrlibrary"),
    "Capture One": ("captureone", "*.cocatalog", "*.cosessiondb"),
    "Picasa": ("picasaoriginals",),
    "ACDSee": ("[[]originals]",),
    "FrontPage": ("_vti_cnf",),
    "a web gallery": ("_thumbs", "__thumbs", "_thumbnails"),
    "Python": ("__pycache__",),
}
"""Folders that the system or programs create, by the program: patterns (`fnmatch`) of the name in lower case.

Names with a dot in front (``.Trash-1000``, ``.thumbnails``, ``.AppleDouble``, ``.picasaoriginals``, ``.dtrash``, ...)
are hidden, and need not be listed.
"""

FILES = {
    "Windows": ("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "folder.db"),
    "macOS": ("icon\r", "icon\uf00d"),
    "Picasa": ("picasa.ini",),
    "Canon ZoomBrowser": ("zbthumbnail.info",),
    "an editor, a backup": ("*~", "#*#", "*.bak", "*.orig", "*.swp", "*.swo", "~$*", "*.sav"),
    "ExifTool, the file before its last change": ("*.*_original", "*.*_exiftool_tmp"),
    "a photo manager, settings of an image": ("*.xmp", "*.aae", "*.pp3", "*.dop", "*.cos", "*.arp", "*.thm", "*.on1"),
    "an unfinished download": ("*.part", "*.crdownload", "*.download", "*.partial", "*.!ut", "*.tmp"),
}
"""Files that the system or programs create, in the same form."""

SYSTEM = "of the system or of a program"
EXCLUDED = "excluded by collection.exclude"
HIDDEN = "hidden"


class Exclusions:
    """Decides which files and folders do not belong to a collection.

    Args:
        patterns: of ``collection.exclude``, as in a ``.gitignore`` file: relative to the collection, with forward
            slashes; the last pattern that matches decides, and one with ``!`` in front brings back what it matches,
            even what is hidden or a program's.

    Raises:
        InputError: when a pattern is not valid.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.patterns = list(patterns)
        for pattern in self.patterns:
            try:
                GitIgnoreSpec.from_lines([pattern])
            except GitIgnorePatternError as error:
                raise InputError(
                    f"config: collection.exclude has {pattern!r}, which is no pattern ({error})."
                ) from None

    @cached_property
    def _own(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines(self.patterns)

    def reason(self, name: str) -> str:
        """Return why a file or folder does not belong to the collection; empty if it may belong.

        Args:
            name: path relative to the collection, with forward slashes; that of a folder ends with one.
        """
        if self.patterns:
            found = self._own.check_file(name)
            if found.include:
                return f"{EXCLUDED} ({self.patterns[found.index or 0]})"
            if found.include is False:
                return ""
        parts = name.rstrip("/").split("/")
        is_folder = name.endswith("/")
        for part in parts if is_folder else parts[:-1]:
            if whose := _whose(part, _FOLDERS):
                return f"folder {SYSTEM} ({whose})"
        if not is_folder and (whose := _whose(parts[-1], _FILES)):
            return f"file {SYSTEM} ({whose})"
        return HIDDEN if any(part.startswith(".") for part in parts) else ""

    def is_entered(self, folder: str) -> bool:
        """Tell whether the files of a folder are listed one by one; those of hidden folders are, too.

        Args:
            folder: as for `reason`, ending with a slash.
        """
        return self.reason(folder) in ("", HIDDEN)


def _compile(known: dict[str, tuple[str, ...]]) -> list[tuple[str, re.Pattern[str]]]:
    return [(whose, re.compile("|".join(map(fnmatch.translate, patterns)))) for whose, patterns in known.items()]


_FOLDERS, _FILES = _compile(FOLDERS), _compile(FILES)


def _whose(name: str, known: list[tuple[str, re.Pattern[str]]]) -> str:
    lower = name.lower()
    return next((whose for whose, pattern in known if pattern.match(lower)), "")
