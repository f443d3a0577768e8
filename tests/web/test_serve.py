"""Starting the server."""

import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cbir.files import write_json

FEEDBACK = {"alpha": 1, "beta": 0.75, "gamma": 0.15, "k": 10}
SERVE = Path(__file__).parents[2] / "scripts" / "serve.py"


@contextmanager
def start(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SERVE), *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


def refusal(folder: Path, *arguments: str) -> str:
    """The one sentence that a start ends with."""
    with start(folder, *arguments) as server:
        _, errors = server.communicate(timeout=60)
        assert server.returncode == 1
    assert errors.count("\n") == 1, errors
    return errors


def test_it_tells_its_address_and_where_refinements_go(results: Path) -> None:
    with start(results.parent, "--port", "0") as server:
        line = server.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line).group(0)
        assert "feedback/folder" in line
        with urllib.request.urlopen(address, timeout=30) as response:
            assert b"Image search" in response.read()
            assert "Server" not in response.headers


def test_the_arguments_of_the_run_say_where_its_results_are(results: Path, tmp_path: Path) -> None:
    write_json(results / "configuration.json", {"feedback": FEEDBACK | {"folder": "mine/{source}"}})
    run = ["--config", "collection={path: /data/birds}", "--directory", str(results.parent), "--cores", "2"]
    with start(tmp_path, *run, "--port", "0") as server:
        assert f"Refinements go to {results.parent}/mine/folder." in server.stdout.readline()
    # An argument that neither knows is a slip.
    with start(tmp_path, *run, "--prot", "0") as server:
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 2
    assert "--prot" in errors


def test_results_that_are_not_there(tmp_path: Path) -> None:
    told = "The folder results does not exist: run the workflow first, or name it by --results.\n"
    assert refusal(tmp_path) == told


@pytest.mark.parametrize("arguments", [("--host", "198.51.100.1"), ("--host", "no such host"), ("--port", "70000")])
def test_an_address_that_cannot_be_had(results: Path, arguments: tuple[str, ...]) -> None:
    assert re.search("choose .* by (--host or )?--port", refusal(results.parent, *arguments))


def test_a_port_in_use(results: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = refusal(results.parent, "--port", str(taken.getsockname()[1]))
    assert "choose another by --host or --port" in told
