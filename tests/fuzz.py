"""Fuzz the real workflow: damage an input file of a job and run the job, which must succeed or report an input error.

``python tests/fuzz.py CASES [FIRST [FINISHED]]`` runs CASES cases, with the seeds from FIRST (default 0) on, and prints
a table by kind of file. FINISHED is the folder of a finished run made by `faults.run_uninterrupted`, if there is one.

The damage changes bytes, numbers, texts or types (`mistyped`). The jobs are the scripts that Snakemake wrote in a
finished run. Each is run in a separate process, and fails the test if it hangs, crashes, ends in a traceback, takes
more than `MEMORY` bytes or `SECONDS`, starts a program, opens a connection or writes outside its folder.
"""

import contextlib
import copy
import io
import json
import os
import random
import re
import resource
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import faults
import mistyped
from cbir.artifacts.__main__ import look
from cbir.files import archive
from cbir.files.errors import InputError
from cbir.files.hashes import sha256_file
from cbir.workflow import configuration as config
from workplace import REPOSITORY, Workplace

SECONDS = 60
"""The CPU time that a process may take; it may take twice as long by the clock."""
MEMORY = 1_500_000_000
"""The bytes that a process may take in addition to those at its start."""
READ, INPUT_ERROR = "read", "input error"
"""The two outcomes that are no failure: the job succeeded, or ended with an error message for the user."""
# Rules whose jobs read the images themselves.
_READ_IMAGES = {"collect", "near_duplicates", "outside", "encode", "train", "query", "refine", "simulate", "report"}
_PREAMBLE = "######## snakemake preamble end #########"
_NUMBERS = [0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1]
_WORDS = [
    "NaN", "Infinity", "-1", "1e999", "9" * 400, "0.5", "null", "true", "[]", "{}", '""', "[" * 2000, "\x00", "\u202e",
    "\ud800", "\n", "\r", ",", '"', ":", "../../etc/passwd", "/etc/passwd", "results", "..", "<script>x()</script>",
    "{{x}}", "%s", "\x1b[31m", "apple", "sea/0.png", "x" * 70_000,
]  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A job of a finished run.

    Attributes:
        rule: the job's rule.
        script: the Python script that Snakemake wrote for the job.
        inputs: the files that it reads, relative to the folder of the run.
    """

    rule: str
    script: Path
    inputs: tuple[str, ...]


def jobs_of(place: Workplace) -> list[Job]:
    """Return the jobs of a run by `faults.run_uninterrupted`; the workplace may be a copy of the run's."""
    scripts = (place.root / "jobs").iterdir()
    return sorted((_job(place, script) for script in scripts), key=lambda job: (job.rule, job.inputs))


def _job(place: Workplace, script: Path) -> Job:
    names: dict[str, Any] = {"__file__": str(script)}
    with contextlib.chdir(place.folder):
        exec(script.read_text().partition(_PREAMBLE)[0], names)
        job = names["snakemake"]
        # The user's own files are parameters of the job, not inputs.
        own = [job.params.get(name) for name in ("refinement", "image")]
        inputs = {name for name in map(str, [*job.input, *filter(None, own)]) if Path(name).is_file()}
        if job.rule in _READ_IMAGES:
            inputs |= {str(path) for path in sorted(Path("collection").rglob("*.png"))[::6]}
        if job.rule == "train":
            inputs |= {str(path) for path in Path("results/encoders").rglob("checkpoint.npz")}
    return Job(job.rule, script, tuple(sorted(inputs)))


def damaged(chosen: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Return ``data`` with random damage, or the bytes of another file."""
    changed = bytearray(data)
    for _ in range(chosen.choice([1, 1, 1, 2, 4, 16])):
        place = chosen.randrange(len(changed) + 1)
        match chosen.randrange(9):
            case 0:
                changed[place : place + 1] = bytes([chosen.randrange(256)])
            case 1:
                size = chosen.choice([1, 2, 4, 8])
                place -= place % size
                number = chosen.choice(_NUMBERS) % 256**size
                changed[place : place + size] = number.to_bytes(size, chosen.choice(["little", "big"]))
            case 2:
                del changed[place:]
            case 3:
                del changed[place : place + chosen.randrange(1, 200)]
            case 4:
                changed[place:place] = changed[place : place + chosen.randrange(1, 2000)] * chosen.choice([1, 1, 3, 50])
            case 5:
                changed[place : place + chosen.randrange(1, 64)] = bytes(chosen.randrange(1, 64))
            case 6:
                changed[place : place + chosen.randrange(0, 9)] = chosen.choice(_WORDS).encode("utf-8", "surrogatepass")
            case 7:
                other = chosen.choice(others)
                start = chosen.randrange(len(other) + 1)
                changed[place : place + 256] = other[start : start + 256]
            case 8 if chosen.random() < 0.1:
                return chosen.choice(others)
    return bytes(changed)


def damaged_data(chosen: random.Random, value: Any) -> Any:
    """Return a copy of JSON data with one random value changed, removed, renamed or replaced by another one."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []

    def walk(inside: Any) -> None:
        keys = list(inside) if isinstance(inside, dict) else range(len(inside)) if isinstance(inside, list) else []
        for key in keys:
            places.append((inside, key))
            walk(inside[key])

    walk(value)
    if not places:
        return chosen.choice(_WORDS)
    parent, key = chosen.choice(places)
    odd: list[Any] = [
        *_WORDS,
        *_NUMBERS,
        None,
        True,
        [],
        {},
        -1,
        0.5,
        float("nan"),
        float("inf"),
        [copy.deepcopy(parent)],
        10**30,
    ]
    match chosen.randrange(4):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[chosen.choice(_WORDS)] = parent.pop(key)
        case 2:
            other, at = chosen.choice(places)
            parent[key] = copy.deepcopy(other[at])
        case _:
            parent[key] = chosen.choice(odd)
    return value


def damage(chosen: random.Random, path: Path, others: list[bytes]) -> str:
    """Damage a file or replace it by something that is no regular file; return a word for what was done."""
    data = path.read_bytes()
    if chosen.random() < 0.03:
        what = chosen.choice(["folder", "pipe", "loop", "endless"])
        path.unlink()
        match what:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "loop":
                path.symlink_to(path.name)
            case "endless":
                path.symlink_to("/dev/zero")
        return what
    if path.suffix == ".json" and chosen.random() < 0.5:
        with contextlib.suppress(RecursionError):
            text = json.dumps(damaged_data(chosen, json.loads(data)), ensure_ascii=chosen.random() < 0.5)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            return "data"
    if path.suffix in mistyped.CHANGES and chosen.random() < 0.7:
        # The library refuses to write some of the changes; then bytes are damaged instead.
        with contextlib.suppress(OSError, KeyError, TypeError, ValueError, RuntimeError):
            path.write_bytes(mistyped.CHANGES[path.suffix](chosen, data))
            if chosen.random() < 0.5:
                _update_side_file(path)
            return "types"
    path.write_bytes(damaged(chosen, data, others))
    return "bytes"


def _update_side_file(path: Path) -> None:
    """Update the hashes in the JSON file beside an index or a network, as an attacker would who writes both files."""
    side = path.with_suffix(".json")
    if not side.is_file():
        return
    about = json.loads(side.read_text())
    about |= {key: sha256_file(path) for key in ("file_sha256", "sha256") if key in about}
    with contextlib.suppress(InputError):
        if "weights_fingerprint" in about:
            about["weights_fingerprint"] = archive.read(path).fingerprint()
    side.write_text(json.dumps(about))


@contextlib.contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Restore all files below a folder at the end of the ``with`` block."""
    before = {path: (path.read_bytes(), _state(path)) for path in folder.rglob("*") if path.is_file()}
    yield
    for path in folder.rglob("*"):
        if path not in before and (path.is_symlink() or not path.is_dir()):
            path.unlink()
    for path, (data, state) in before.items():
        if _state(path) != state:
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                path.unlink()
            elif path.is_dir():
                shutil.rmtree(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, ns=(state[1], state[1]))


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.lstat()
    except OSError:
        return (0, 0, 0)
    return found.st_mode, found.st_mtime_ns, found.st_size


def run_separately(work: Callable[[], object], folder: Path) -> str:
    """Call a function in a separate process with ``folder`` as the working folder.

    Returns:
        `READ` if it succeeded, `INPUT_ERROR` if it ended with an error message for the user; else a description of the
        failure.
    """
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os._exit(_child(work, folder, output.fileno()))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        printed = output.read().decode(errors="replace")
    if status == 0:
        return READ
    if status == 1 and "fault of the program" not in printed and "Traceback" not in printed:
        return INPUT_ERROR
    if status < 0:
        return f"killed by {signal.Signals(-status).name}\n{printed[-2000:]}"
    return f"status {status}\n{printed[-4000:]}"


def _child(work: Callable[[], object], folder: Path, output: int) -> int:
    for number in (1, 2):
        os.dup2(output, number)
    sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(output, "w", closefd=False), write_through=True)
    os.chdir(folder)
    # The signals of the alarm and of the limit of CPU time have no handlers, so they end the process.
    signal.alarm(2 * SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, MEMORY))
    # The limit on the address space stops a process before it takes all memory of the machine.
    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 4 * MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # Reset the peak of memory to what the process holds now, which it shares with its parent.
    Path("/proc/self/clear_refs").write_text("5")
    start = _peak()
    admitted = tuple(
        os.path.realpath(path) for path in (folder, tempfile.gettempdir(), Path.home() / ".cache", "/dev/shm")
    )

    def hook(event: str, details: tuple) -> None:
        if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"):
            _refuse(f"{event} {details}")
        writes = event == "open" and isinstance(details[0], str) and details[2] & (os.O_WRONLY | os.O_RDWR)
        if writes and not os.path.realpath(details[0]).startswith((*admitted, "/dev/null")):
            _refuse(f"wrote {details[0]}")

    sys.addaudithook(hook)
    status = 0
    try:
        work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(bool(error.code))
    except InputError as error:
        print(error)
        status = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 98
    grown = _peak() - start
    if grown > MEMORY:
        _refuse(f"took {grown:,} bytes of memory")
    return status


def _peak() -> int:
    """Return the peak memory of this process in bytes (VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0])


def _refuse(what: str) -> None:
    """End the process because it did something that is not allowed."""
    print(f"not allowed: {what}", flush=True)
    os._exit(97)


def _inspect(path: Path) -> None:
    """Inspect an artifact as `make inspect` does; raise `InputError` if it is damaged."""
    _, _, reason = look(path, {})
    if reason:
        raise InputError(reason)


def case(place: Workplace, jobs: list[Job], seed: int) -> tuple[str, str, str, str]:
    """Damage one file and run a job that reads it; if the file is an artifact, also inspect it.

    Returns:
        The kind of the file, a description of the case, and the outcomes of the job and of the inspection (empty if the
        file is no artifact).
    """
    chosen = random.Random(seed)
    kinds = sorted({kind(name) for job in jobs for name in job.inputs})
    wanted = chosen.choice(kinds)
    job, name = chosen.choice([(job, name) for job in jobs for name in job.inputs if kind(name) == wanted])
    path = place.folder / name
    others = [(place.folder / other).read_bytes() for other in chosen.sample(job.inputs, min(3, len(job.inputs)))]
    with restored(place.folder):
        how = damage(chosen, path, others)
        # A job with all images encoded would not open the network, so encoded images are usually removed.
        if job.rule == "encode" and chosen.random() < 0.7:
            shutil.rmtree(place.folder / "results/encoded")
        found = run_separately(lambda: runpy.run_path(str(job.script), run_name="__main__"), place.folder)
        inspected = run_separately(lambda: _inspect(Path(name)), place.folder) if name.startswith("results/") else ""
    return wanted, f"{job.rule} of {name} ({how})", found, inspected


def kind(name: str) -> str:
    """Return the kind of a file that a job reads."""
    return {
        ".png": "image",
        ".csv": "table",
        ".h5": "HDF5",
        ".pkl": "index",
        ".keras": "network",
        ".npz": "checkpoint",
    }.get(Path(name).suffix, "feedback file" if "feedback/" in name else Path(name).suffix.removeprefix("."))


def configuration(seed: int) -> str:
    """Check a damaged configuration; return the outcome."""
    chosen = random.Random(seed)
    whole = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    schema = yaml.safe_load((REPOSITORY / "scripts/cbir/workflow/config.schema.yaml").read_text())
    for _ in range(chosen.choice([1, 1, 2, 4])):
        whole = damaged_data(chosen, whole)
    return run_separately(lambda: config.check(whole, schema), Path(tempfile.gettempdir()))


def cases(place: Workplace, jobs: list[Job], seeds: range) -> Iterator[tuple[int, str, str, str]]:
    """Yield the seed, the kind of file, a description and the outcome of each case."""
    for seed in seeds:
        what, where, found, inspected = case(place, jobs, seed)
        yield seed, what, where, found
        if inspected:
            yield seed, f"{what}, inspected", where, inspected
        yield seed, "configuration", "config.check", configuration(seed)


def main(number_of_cases: int, first: int = 0, finished: Path | None = None) -> None:
    """Print the table of outcomes; ``finished`` is the folder of a run by `faults.run_uninterrupted`, if any."""
    # Imported before processes are forked, so that they need not import it.
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pandas  # noqa: F401

    counts: dict[str, Counter[str]] = {}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        if finished:
            place = Workplace(finished).copy(Path(folder) / "place")
        else:
            place = faults.prepare(Path(folder) / "place")
            faults.run_uninterrupted(place)
        jobs = jobs_of(place)
        seeds = range(first, first + number_of_cases)
        # An interrupt prints the table of the cases so far.
        with contextlib.suppress(KeyboardInterrupt):
            for number, (seed, what, where, found) in enumerate(cases(place, jobs, seeds)):
                counts.setdefault(what, Counter())[found if found in (READ, INPUT_ERROR) else "failed"] += 1
                if found not in (READ, INPUT_ERROR):
                    print(f"seed {seed}: {where}: {found}", flush=True)
                if number % 300 == 299:
                    rate = (number + 1) / (time.monotonic() - start)
                    print(f"{number + 1} cases, {rate:.1f} a second", file=sys.stderr, flush=True)
    print("| kind of file | cases | read | input error | failed |\n| --- | ---: | ---: | ---: | ---: |")
    for what, found in sorted(counts.items()):
        print(f"| {what} | {found.total()} | {found[READ]} | {found[INPUT_ERROR]} | {found['failed']} |")
    sys.exit(any(found["failed"] for found in counts.values()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *map(Path, sys.argv[3:]))
