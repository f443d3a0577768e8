"""Links, pipes and folders at the path of a file that is to be written."""

import os
from pathlib import Path

KINDS = ("link", "dangling link", "pipe", "folder")


class Odd:
    """Something at a path that is not a regular file.

    Args:
        path: where it is made.
        kind: one of ``KINDS``.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.precious, self.absent = path.with_name("precious"), path.with_name("absent")
        self.precious.write_text("kept")
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(self.precious if kind == "link" else self.absent)

    def is_untouched(self) -> bool:
        """Tell whether nothing was written to the target of a link."""
        return self.precious.read_text() == "kept" and not self.absent.exists()
