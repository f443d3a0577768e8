"""Runs of the workflow as forks of a process that has imported the libraries, which they need not import again.

A run is Snakemake as its command line starts it, and its jobs are the scripts that it writes for them. A process is a
fork instead of a new interpreter, so that a whole run on a few pictures takes a fifth of its CPU time; and Snakemake
does not measure the jobs. ``python tests/forked.py SOCKET`` serves runs for `Server`. The project itself is not
imported there: each run imports that of its own checkout.
"""

import asyncio
import atexit
import contextlib
import gc
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, NoReturn

LIBRARIES = (
    "ai_edge_litert.interpreter",
    "h5py",
    "imagehash",
    "jinja2",
    "jsonschema",
    "keras",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "pandas",
    "pathspec",
    "PIL.GifImagePlugin",
    "PIL.Image",
    "PIL.ImageOps",
    "psutil",
    "scipy.optimize",
    "scipy.spatial",
    "scipy.stats",
    "sklearn.decomposition",
    "sklearn.svm",
    "tensorflow",
    "tqdm",
    "yaml",
    "snakemake.benchmark",
    "snakemake.cli",
    "snakemake.executors.local",
    "snakemake.notebook",
    "snakemake.profiles",
    "snakemake.report.html_reporter",
    "snakemake.storage",
)
_REPOSITORY = Path(__file__).parents[1]
_CODE_HASH, _CODE_HASH_FILE = "cbir.workflow.code_hash", "scripts/cbir/workflow/code_hash.py"

INTERPRETER = "CBIR_TESTS_INTERPRETER"
"""The environment variable that names a file which `Server.interpreter` wrote."""
# Snakemake as a fork of the server; all else by the interpreter itself. It loads as little as it can.
_INTERPRETER = """#!{python} -IS
import json, os, socket, sys

if sys.argv[1:3] != ["-m", "snakemake"]:
    os.execv("{python}", ["{python}", *sys.argv[1:]])
connection = socket.socket(socket.AF_UNIX)
connection.connect("\\0{address}")
asked = {{"arguments": sys.argv[3:], "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(connection, [json.dumps(asked).encode() + b"\\n"], [1])
process, status = connection.makefile()
sys.exit(int(status) % 256)
"""


def import_libraries() -> None:
    """Import what runs and jobs need."""
    for name in LIBRARIES:
        # A library may belong to an extra that is not installed.
        with contextlib.suppress(ImportError):
            __import__(name)
    # What each fork's search for garbage would touch, and so copy.
    gc.collect()
    gc.freeze()


def _parse_project() -> None:
    """Let runs find the syntax trees of this repository's files made, which is half of what a run without a job does.

    A tree goes by the text of the file, so that a file that a test changed is parsed again.
    """
    specification = importlib.util.spec_from_file_location(_CODE_HASH, _REPOSITORY / _CODE_HASH_FILE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for path in (_REPOSITORY / "scripts").rglob("*.py"):
        module.parse(path.read_text(encoding="utf-8"))
    sys.modules[_CODE_HASH] = module


def _keep_parsed(arguments: list[str], folder: Path) -> None:
    """Keep what `_parse_project` made, if the workflow that is run has the same way to make it."""
    snakefile = arguments[arguments.index("--snakefile") + 1] if "--snakefile" in arguments else "Snakefile"
    own = (folder / snakefile).parent / _CODE_HASH_FILE
    if not own.is_file() or own.read_bytes() != (_REPOSITORY / _CODE_HASH_FILE).read_bytes():
        sys.modules.pop(_CODE_HASH, None)


def run(arguments: list[str], folder: Path, output: int) -> int:
    """Run Snakemake as a fork of this process, which has one thread, in a session of its own; return its process.

    Args:
        arguments: of the command ``snakemake``.
        folder: where it begins.
        output: the file descriptor for what it prints.
    """
    process = os.fork()
    if not process:
        _leave(partial(_as_run, arguments, folder, output))
    return process


def wait(process: int) -> int:
    """Wait for a run, end its server of jobs with it, and return its exit status, negative for a signal."""
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def _leave(work: Callable[[], None]) -> NoReturn:
    """Do the work of this process and end it."""
    status = 1
    try:
        work()
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # The exit functions of this process alone: those of the process that it is a fork of were cleared.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _as_run(arguments: list[str], folder: Path, output: int) -> None:
    atexit._clear()
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.chdir(folder)
    _keep_parsed(arguments, folder)
    server = socket.socket(socket.AF_UNIX)
    address = f"\0cbir-jobs-{os.getpid()}"
    server.bind(address)
    server.listen(64)
    # Of this process as it is now, without the threads and the state of Snakemake.
    if not os.fork():
        _serve(server, _as_job)
    server.close()
    _begin(["-m", "snakemake", *arguments])

    from snakemake import cli
    from snakemake.script import PythonScript
    from snakemake.workflow import Workflow
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    def execute_script(self: PythonScript, fname: str, edit: bool = False) -> None:
        if self.bench_record is not None:
            self.bench_record.running_time = 1.0
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            connection.sendall(f"{fname}\n{os.getcwd()}\n".encode())
            answer = connection.makefile().read()
        if answer != "0":
            raise subprocess.CalledProcessError(int(answer or "1"), f"python {fname}")

    async def sleep(self: RemoteExecutor) -> None:
        """Look after jobs of a cluster each second, where a plugin would let ever more time pass."""
        await asyncio.sleep(1)

    PythonScript.execute_script = execute_script
    RemoteExecutor.sleep = sleep
    # What a plugin starts jobs with.
    sys.executable = os.environ.get(INTERPRETER, sys.executable)
    # Snakemake sets it when it is imported.
    Workflow._rundir = os.getcwd()
    sys.argv = ["snakemake", *arguments]
    cli.main(arguments)


def _begin(arguments: list[str]) -> None:
    """What a new interpreter would do: take the folders of ``PYTHONPATH``, and import a ``sitecustomize`` in them."""
    sys.orig_argv = [sys.executable, *arguments]
    for folder in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if folder and folder not in sys.path:
            sys.path.insert(1, folder)
            if (customized := Path(folder) / "sitecustomize.py").exists():
                exec(compile(customized.read_text(), customized, "exec"), {"__name__": "sitecustomize"})


def _serve(server: socket.socket, answer: Callable[[socket.socket], None]) -> NoReturn:
    """Answer each connection in a fork of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = server.accept()
        if not os.fork():
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _leave(partial(answer, connection))
        connection.close()


def _as_job(connection: socket.socket) -> None:
    lines = connection.makefile()
    script, folder = lines.readline().rstrip("\n"), lines.readline().rstrip("\n")
    # The job ends in a process of its own, so that a signal becomes a status too.
    job = os.fork()
    if not job:
        connection.close()
        os.chdir(folder)
        sys.argv, sys.path[0] = [script], str(Path(script).parent)
        _begin([script])
        runpy.run_path(script, run_name="__main__")
        return
    _, status = os.waitpid(job, 0)
    connection.sendall(str(abs(os.waitstatus_to_exitcode(status))).encode())


class Server:
    """A process that serves runs.

    Args:
        environment: what its interpreter starts with, beside the environment of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._address = f"\0cbir-runs-{os.getpid()}-{id(self)}"
        self._environment = environment or {}
        command = [sys.executable, __file__, self._address[1:]]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            # TensorFlow logs when it is imported.
            stderr=subprocess.DEVNULL,
            env=os.environ | self._environment,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def start(
        self,
        arguments: list[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        output: IO[str] | None = None,
    ) -> "Started":
        """Start a run, see `run`, with an environment beside the server's; it prints to ``output``, or to a pipe."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        reader, writer = (None, output.fileno()) if output else os.pipe()
        all_of_it = {**os.environ, **self._environment, **(environment or {})}
        asked = json.dumps({"arguments": arguments, "folder": str(folder), "environment": all_of_it}).encode()
        socket.send_fds(connection, [asked + b"\n"], [writer])
        if not output:
            os.close(writer)
        return Started(connection, reader)

    def interpreter(self, path: Path) -> dict[str, str]:
        """Write a program that stands in for the interpreter, for Snakemake that a cluster starts: it is a fork, too.

        Such a process is not the cluster's, which cannot end it or hold it to its memory.

        Args:
            path: of the program.

        Returns:
            The environment of a run whose jobs start with it.
        """
        path.write_text(_INTERPRETER.format(python=sys.executable, address=self._address[1:]))
        path.chmod(0o755)
        return {INTERPRETER: str(path)}

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Started:
    """A run that has begun, with what tests use of ``subprocess.Popen``."""

    def __init__(self, connection: socket.socket, output: int | None) -> None:
        # Without a buffer, so that what waits to be read can be seen.
        self._answers = connection.makefile("rb", buffering=0)
        self.pid = int(self._answers.readline())
        self.stdout = None if output is None else os.fdopen(output, encoding="utf-8", errors="replace")
        self.returncode: int | None = None

    def communicate(self) -> tuple[str, None]:
        assert self.stdout is not None
        printed = self.stdout.read()
        self.stdout.close()
        self.wait()
        return printed, None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise TimeoutError(f"the run did not end within {timeout} seconds")
            self.returncode = int(self._answers.readline())
            self._answers.close()
        return self.returncode


def _serve_runs(address: str) -> None:
    _parse_project()
    import_libraries()
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0" + address)
    server.listen(8)
    atexit._clear()
    print("ready", flush=True)
    _serve(server, _serve_run)


def _serve_run(connection: socket.socket) -> None:
    received, files, _, _ = socket.recv_fds(connection, 1 << 20, 1)
    while not received.endswith(b"\n"):
        received += connection.recv(1 << 20)
    asked = json.loads(received)
    os.environ.clear()
    os.environ.update(asked["environment"])
    process = run(asked["arguments"], Path(asked["folder"]), files[0])
    os.close(files[0])
    connection.sendall(f"{process}\n".encode())
    connection.sendall(f"{wait(process)}\n".encode())


if __name__ == "__main__":
    _serve_runs(sys.argv[1])
