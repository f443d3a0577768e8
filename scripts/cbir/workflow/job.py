"""What every job of the workflow does around its own work: logging, threads, and errors as one sentence."""

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
    """Run a job's work with its log file and its number of threads.

    Log lines go to the job's log file and to standard error; whatever else is written there or to standard output, as
    TensorFlow does of its own accord, goes to the log file alone. An `InputError` ends the job with its sentence,
    without a traceback. After any other error the inputs are checked. If one is damaged, the sentence names it; if none
    is, the program is at fault, and both places get the traceback.

    Args:
        work: takes the job object.
        snakemake: the job, as Snakemake hands it to a script.
    """
    # A job may outlive a Snakemake that was killed.
    lock.hold()
    # A log beside the job's own is written whole, as an output is: the list of rejected files.
    for output in [*getattr(snakemake, "output", []), *snakemake.log[1:]]:
        # A job of a killed submitter may still be at work on it.
        if not atomic.is_being_written(output):
            atomic.sweep(output)
    try:
        file = logs.handler(snakemake.log[0])
    except InputError as error:
        sys.exit(str(error))
    log.setLevel(logging.INFO)
    # Libraries give the root logger handlers of their own, which would write each line again.
    log.propagate = False
    # On a full disk each line would otherwise print a traceback about the log file on the terminal.
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
    """Return the sentence why one of these files is not as the workflow writes it; empty when all are."""
    # Imported dynamically to keep it out of the code hash: it only words the error.
    inspect = importlib.import_module("cbir.artifacts.__main__")
    known: dict[Path, Any] = {}
    reasons = (inspect.look(Path(path), known)[2] for path in paths if inspect.is_artifact(Path(path)))
    return next(filter(None, reasons), "")
