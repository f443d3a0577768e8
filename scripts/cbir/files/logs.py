"""Logging for all programs of the project: printable, one line per message."""

import logging
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from cbir.files.atomic import open_file, unwritable
from cbir.files.printable import printable


class PrintableFormatter(logging.Formatter):
    """Formats a message as one `printable` line, and indents the lines of a traceback.

    File names may contain control sequences for a terminal, or a line break and text that looks like another message.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the message as a line."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the lines of a traceback."""
        return "\n".join(f"  {printable(line)}" for line in super().formatException(ei).split("\n"))


def handler(
    target: str | Path | TextIO | None = None, form: str = "%(asctime)s %(levelname)s %(message)s"
) -> logging.StreamHandler[TextIO]:
    """Return a handler that writes log lines to a file, to a stream, or to standard error.

    Args:
        target: the file or stream; None for standard error. A file is truncated and then opened for appending, so that
            two jobs with one log file (see `cbir.files.atomic.sole_writer`) do not overwrite each other's lines.
        form: format of a line, see `logging.Formatter`.

    Raises:
        InputError: when the file cannot be written, or is a link.
    """
    made = logging.StreamHandler(_open(Path(target)) if isinstance(target, str | Path) else target)
    made.setFormatter(PrintableFormatter(form, "%H:%M:%S"))
    return made


def to_console(form: str = "%(asctime)s %(levelname)s %(message)s") -> None:
    """Log to standard error, without warnings of TensorFlow's Python code.

    These warnings concern calls of its converter, which users of the program cannot change.

    Args:
        form: format of a line, see `logging.Formatter`.
    """
    console = handler(form=form)
    # A filter, because absl creates the logger of the converter, with its level, only when it is imported.
    console.addFilter(lambda record: record.name not in ("absl", "tensorflow") or record.levelno >= logging.ERROR)
    logging.basicConfig(level=logging.INFO, handlers=[console])


def _open(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    except OSError as error:
        raise unwritable(path, error) from error
    return os.fdopen(descriptor, "a", encoding="utf-8")


@contextmanager
def libraries_write_to(file: int, streams: Collection[int]) -> Iterator[TextIO]:
    """In the block, redirect standard output or error to an open file descriptor, also for compiled code.

    Args:
        file: the descriptor.
        streams: the descriptors to redirect: 1 is standard output, 2 standard error.

    Yields:
        A stream to the original standard error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    console = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace")
    kept = {number: os.dup(number) for number in streams}
    for number in kept:
        os.dup2(file, number)
    try:
        with console:
            yield console
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, original in kept.items():
            os.dup2(original, number)
            os.close(original)


@contextmanager
def without_compiled_code() -> Iterator[None]:
    """In the block, discard what compiled code writes to standard error, as TensorFlow does when it is imported.

    Output of Python code to `sys.stderr` is not affected. Create log handlers in the block, so that they use it.
    """
    own = sys.stderr
    with Path(os.devnull).open("w") as nowhere, libraries_write_to(nowhere.fileno(), (2,)) as console:
        # A replaced `sys.stderr` does not write to descriptor 2, so it is kept.
        sys.stderr = console if own is sys.__stderr__ else own
        try:
            yield
        finally:
            sys.stderr = own
