"""How all programs of the project write log lines: printable, one line a message."""

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


def handler(
    target: str | Path | TextIO | None = None, form: str = "%(asctime)s %(levelname)s %(message)s"
) -> logging.StreamHandler[TextIO]:
    """Return a handler that writes log lines to a file, to a stream, or to standard error.

    Args:
        target: the file or stream. A file is emptied and then appended to, so that two jobs that write one log (see
            `cbir.files.atomic.sole_writer`) do not write over each other.
        form: what a line says, as `logging.Formatter` takes it.

    Raises:
        InputError: when the file cannot be written, or is a link.
    """
    made = logging.StreamHandler(_open(Path(target)) if isinstance(target, str | Path) else target)
    made.setFormatter(PrintableFormatter(form, "%H:%M:%S"))
    return made


def to_console(form: str = "%(asctime)s %(levelname)s %(message)s") -> None:
    """Let a program write its log lines to standard error, without those that TensorFlow writes in Python.

    It advises on how its converter is called, which no user of the program can change.

    Args:
        form: what a line says, as `logging.Formatter` takes it.
    """
    console = handler(form=form)
    # The converter writes to absl's logger, whose level cannot be set before absl is imported and makes it.
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
    """Let what is written to standard output or error meanwhile, by compiled code too, go to an open file descriptor.

    Args:
        file: the descriptor.
        streams: whose output goes there: 1 is standard output, 2 standard error.

    Yields:
        A stream that still leads where standard error led.
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
    """Drop what compiled code writes to standard error meanwhile, as TensorFlow does when it is imported.

    What Python writes there still comes through; so make handlers of log lines within.
    """
    own = sys.stderr
    with Path(os.devnull).open("w") as nowhere, libraries_write_to(nowhere.fileno(), (2,)) as console:
        # Anything else than the process's own stream does not write to descriptor 2.
        sys.stderr = console if own is sys.__stderr__ else own
        try:
            yield
        finally:
            sys.stderr = own
