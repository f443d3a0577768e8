"""Kill a run of the workflow at a chosen write of a chosen rule; every Python process of the run imports this module.

Environment variables:

* ``SABOTAGE``: a rule and a number. A moment is a write of a job (a file is opened for writing, created, renamed or
  removed below ``SABOTAGE_FOLDER``), numbered from 0; the last one is the end of the job, when all files are written,
  but Snakemake does not know it yet. The run is killed just before the moment with this number, in the first job of the
  rule that reaches it. The rule ``snakemake`` means the process of Snakemake itself.
* ``SABOTAGE_DO``: a shell command that is executed instead of killing the run, in each job of the rule.
* ``SABOTAGE_COUNTS``: a file to which every job appends its number of moments.
* ``SABOTAGE_KEEP``: a folder to which the Python scripts of the jobs are copied.
"""

import atexit
import os
import re
import shutil
import signal
import sys
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")


def _rule() -> str | None:
    command = sys.orig_argv
    if command[1:3] == ["-m", "snakemake"]:
        return "snakemake"
    # Snakemake runs a temporary copy of a script.
    script = re.fullmatch(r".*/\.snakemake/scripts/\w+\.(\w+)\.py", command[1]) if len(command) > 1 else None
    return script[1] if script else None


def _below(path: object, folder: str) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    return os.path.join(os.getcwd(), os.fsdecode(path)).startswith(folder)


def _watch(rule: str) -> None:
    folder = os.path.join(os.environ["SABOTAGE_FOLDER"], "")
    chosen, number = os.environ.get("SABOTAGE", " -1").split(" ")
    count = 0

    def moment() -> None:
        nonlocal count
        count += 1
        if rule == chosen and count - 1 == int(number):
            if "SABOTAGE_DO" in os.environ:
                os.system(os.environ["SABOTAGE_DO"])
            else:
                os.killpg(0, signal.SIGKILL)

    def hook(event: str, details: tuple) -> None:
        if event in _EVENTS and _below(details[0], folder) and (event != "open" or (details[2] or 0) & _WRITES):
            moment()

    def end() -> None:
        moment()
        if "SABOTAGE_COUNTS" in os.environ:
            with Path(os.environ["SABOTAGE_COUNTS"]).open("a") as counts:
                counts.write(f"{rule} {count}\n")

    if "SABOTAGE_KEEP" in os.environ and rule != "snakemake":
        shutil.copy(sys.orig_argv[1], os.environ["SABOTAGE_KEEP"])
    atexit.register(end)
    sys.addaudithook(hook)


if "SABOTAGE_FOLDER" in os.environ and (found := _rule()):
    _watch(found)
