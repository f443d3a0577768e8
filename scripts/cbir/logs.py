"""How all programs of the project write log lines: printable, one line a message."""

import logging
import os
from pathlib import Path
from typing import Any

from cbir.errors import printable
from cbir.files import open_file, unwritable


class PrintableFormatter(logging.Formatter):
    """Writes a message as one `printable` line, whatever names of files it holds, and indents the lines of a traceback.

    A name may hold sequences that steer a terminal, or a line break followed by what looks like another message.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of a message."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the lines of a traceback."""
        return "\n".join(f"  {printable(line)}" for line in super().formatException(ei).split("\n"))


def handler(path: str | Path | None = None, form: str = "%(asctime)s %(levelname)s %(message)s") -> logging.Handler:
    """Return a handler that writes log lines to a file, or to standard error.

    Args:
        path: the file. It is emptied and then appended to, so that two jobs that write one log (see
            `cbir.files.sole_writer`) do not write over each other.
        form: what a line says, as `logging.Formatter` takes it.

    Raises:
        InputError: when the file cannot be written, or is a link.
    """
    if path is None:
        made = logging.StreamHandler()
    else:
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        except OSError as error:
            raise unwritable(path, error) from error
        made = logging.StreamHandler(os.fdopen(descriptor, "a", encoding="utf-8"))
    made.setFormatter(PrintableFormatter(form, "%H:%M:%S"))
    return made
