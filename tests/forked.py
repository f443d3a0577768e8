"""Run the workflow as forks of a process that has imported the libraries already.

A run executes Snakemake as its command line does, and its jobs execute the scripts that Snakemake writes. Each process
is a fork instead of a new interpreter, so that a run on a few images takes a fifth of the CPU time. Benchmarks of jobs
are not measured. ``python tests/forked.py SOCKET`` is the process that starts the runs of a `Server`. It does not
import the project itself, because each run imports the library of its own checkout.
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
"""The environment variable with the path of the program that `Server.interpreter` wrote."""
# Runs Snakemake as a fork of the server, and anything else with the interpreter. It imports as little as possible.
_INTERPRETER = """#!{python} -IS
import json, os, socket, sys

if sys.argv[1:3] != ["-m", "snakemake"]:
    os.execv("{python}", ["{python}", *sys.argv[1:]])
connection = socket.socket(socket.AF_UNIX)
connection.connect("\\0{address}")
request = {{"arguments": sys.argv[3:], "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(connection, [json.dumps(request).encode() + b"\\n"], [1])
process, status = connection.makefile()
sys.exit(int(status) % 256)
"""


def import_libraries() -> None:
    """Import the libraries that runs and jobs need."""
    for name in LIBRARIES:
        # Some libraries belong to extras that may not be installed.
        with contextlib.suppress(ImportError):
            __import__(name)
    # Without this, garbage collection in each fork would write to the shared memory pages and so copy them.
    gc.collect()
    gc.freeze()


def _parse_project() -> None:
    """Parse this repository's files for `cbir.workflow.code_hash`, which takes half the time of a run without jobs.

    The syntax trees are cached by the text of a file, so a file that a test has changed is parsed again.
    """
    specification = importlib.util.spec_from_file_location(_CODE_HASH, _REPOSITORY / _CODE_HASH_FILE)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for path in (_REPOSITORY / "scripts").rglob("*.py"):
        module.parse(path.read_text(encoding="utf-8"))
    sys.modules[_CODE_HASH] = module


def _keep_parsed(arguments: list[str], folder: Path) -> None:
    """Keep the cache of `_parse_project` only if the checkout that is run has the same module `code_hash`."""
    snakefile = arguments[arguments.index("--snakefile") + 1] if "--snakefile" in arguments else "Snakefile"
    own = (folder / snakefile).parent / _CODE_HASH_FILE
    if not own.is_file() or own.read_bytes() != (_REPOSITORY / _CODE_HASH_FILE).read_bytes():
        sys.modules.pop(_CODE_HASH, None)


def run(arguments: list[str], folder: Path, output: int) -> int:
    """Start Snakemake as a fork of this process, which must have one thread only, in a new session.

    Args:
        arguments: the arguments of the command ``snakemake``.
        folder: its working folder.
        output: the file descriptor of its output.

    Returns:
        The id of the process.
    """
    process = os.fork()
    if not process:
        _leave(partial(_as_run, arguments, folder, output))
    return process


def wait(process: int) -> int:
    """Wait for a run, kill its remaining processes, and return its exit status, negative if a signal ended it."""
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def _leave(work: Callable[[], None]) -> NoReturn:
    """Call the function that is the work of this process, and end the process."""
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
        # Only exit functions of this process are left; those of its parent were cleared.
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
    # The server of jobs is forked now, before this process has the threads and the state of Snakemake.
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
        """Check the jobs of a cluster every second; plugins would wait longer and longer."""
        await asyncio.sleep(1)

    PythonScript.execute_script = execute_script
    RemoteExecutor.sleep = sleep
    # Plugins for clusters start jobs with this program.
    sys.executable = os.environ.get(INTERPRETER, sys.executable)
    # Snakemake sets it on import, which was in another folder.
    Workflow._rundir = os.getcwd()
    sys.argv = ["snakemake", *arguments]
    cli.main(arguments)


def _begin(arguments: list[str]) -> None:
    """Do what a new interpreter would do: add the folders in ``PYTHONPATH``, and run a ``sitecustomize`` in them."""
    sys.orig_argv = [sys.executable, *arguments]
    for folder in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if folder and folder not in sys.path:
            sys.path.insert(1, folder)
            if (customized := Path(folder) / "sitecustomize.py").exists():
                exec(compile(customized.read_text(), customized, "exec"), {"__name__": "sitecustomize"})


def _serve(server: socket.socket, answer: Callable[[socket.socket], None]) -> NoReturn:
    """Answer each connection in a new fork."""
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
    # The job is a separate process, so that a signal that kills it is reported as its status, too.
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
    """A process that starts runs as its forks.

    Args:
        environment: additional environment variables of the process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._address = f"\0cbir-runs-{os.getpid()}-{id(self)}"
        self._environment = environment or {}
        command = [sys.executable, __file__, self._address[1:]]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            # TensorFlow writes log lines on import.
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
        """Start a run, see `run`, with additional environment variables; it prints to ``output``, or to a pipe."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        reader, writer = (None, output.fileno()) if output else os.pipe()
        variables = {**os.environ, **self._environment, **(environment or {})}
        request = json.dumps({"arguments": arguments, "folder": str(folder), "environment": variables}).encode()
        socket.send_fds(connection, [request + b"\n"], [writer])
        if not output:
            os.close(writer)
        return Started(connection, reader)

    def interpreter(self, path: Path) -> dict[str, str]:
        """Write a program that replaces the interpreter, so that Snakemake in the jobs of a cluster is a fork, too.

        Such a fork is not a child of the cluster's processes, so the cluster cannot kill it or limit its memory.

        Args:
            path: where the program is written.

        Returns:
            The additional environment variables of a run that starts its jobs with the program.
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
    """A running run, with those attributes of ``subprocess.Popen`` that tests use."""

    def __init__(self, connection: socket.socket, output: int | None) -> None:
        # Without a buffer, so that `select` knows whether there is something to read.
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
    request = json.loads(received)
    os.environ.clear()
    os.environ.update(request["environment"])
    process = run(request["arguments"], Path(request["folder"]), files[0])
    os.close(files[0])
    connection.sendall(f"{process}\n".encode())
    connection.sendall(f"{wait(process)}\n".encode())


if __name__ == "__main__":
    _serve_runs(sys.argv[1])
