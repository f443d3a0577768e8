"""Run the script of a job: logging, number of threads, and errors of one sentence."""

import atexit
import gc
import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from cbir.files import atomic, logs
from cbir.files.errors import InputError
from cbir.workflow import lock

log = logging.getLogger("cbir")


def run(work: Callable[[Any], None], snakemake: Any) -> None:
    """Run the work of a job with its log file and its number of threads.

    Log lines go to the job's log file and to standard error. Other output of the process, such as messages of
    TensorFlow, goes to the log file alone. An `InputError` ends the job with its message and without a traceback. After
    any other exception the inputs are checked. If one is damaged, the message names it. Otherwise the exception is a
    bug, and its traceback is logged.

    Args:
        work: a function of the job.
        snakemake: the job, the object `snakemake` of a script.
    """
    # Otherwise Python would search all libraries for garbage when it ends, which takes a fifth of a short job's time.
    atexit.register(gc.freeze)
    # A job may continue after its Snakemake was killed.
    lock.hold()
    # Logs after the first one are written atomically, like outputs: the list of rejected files.
    for output in [*getattr(snakemake, "output", []), *snakemake.log[1:]]:
        # A job of an earlier run, whose submitting process was killed, may still be writing it.
        if not atomic.is_being_written(output):
            atomic.sweep(output)
    try:
        file = logs.handler(snakemake.log[0])
    except InputError as error:
        sys.exit(str(error))
    log.setLevel(logging.INFO)
    # Libraries add handlers to the root logger, which would write each line again.
    log.propagate = False
    # Otherwise, on a full disk, each log line would print a traceback to the terminal.
    logging.raiseExceptions = False
    warnings.filterwarnings("ignore", category=FutureWarning)
    # Where pyarrow is installed pandas would keep text in types of its own. Jobs without tables need not import pandas.
    if pandas := sys.modules.get("pandas"):
        pandas.options.mode.string_storage = "python"
    with logs.libraries_write_to(file.stream.fileno(), (1, 2)) as console:
        for handler in (file, logs.handler(console)):
            log.addHandler(handler)
        try:
            with threadpool_limits(limits=snakemake.threads):
                work(snakemake)
        except InputError as error:
            log.error("%s", error)
            sys.exit(1)
        except Exception:
            if reason := _damaged(snakemake.input):
                log.error("%s", reason)
                sys.exit(1)
            log.exception("The rule %s failed; this is a fault of the program, please report it:", snakemake.rule)
            sys.exit(1)


def _damaged(paths: Iterable[str]) -> str:
    """Return a sentence about the first damaged file among some paths; empty if none is damaged."""
    # Imported dynamically to keep it out of the code hash, because it only explains the error.
    inspect = importlib.import_module("cbir.artifacts.__main__")
    known: dict[Path, Any] = {}
    reasons = (inspect.look(Path(path), known)[2] for path in paths if inspect.is_artifact(Path(path)))
    return next(filter(None, reasons), "")
