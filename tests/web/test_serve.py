"""Starting the server."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

from web.made import configure

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
    """Return the error message of a failed start."""
    with start(folder, *arguments) as server:
        _, errors = server.communicate(timeout=60)
        assert server.returncode == 1
    assert errors.count("\n") == 1, errors
    return errors


def visit(address: str, host: str = "") -> str:
    """Open a printed address as a browser does; return the first page."""
    opener = build_opener(HTTPCookieProcessor())
    headers = {"Host": host} if host else {}
    with opener.open(Request(address, headers=headers), timeout=30) as response:
        home = urljoin(address, response.headers["Refresh"].split("url=")[1])
    with opener.open(Request(home, headers=headers), timeout=30) as response:
        assert "Server" not in response.headers
        return response.read().decode()


def test_the_server_prints_its_address_and_the_folder_of_refinements(results: Path) -> None:
    with start(results.parent, "--port", "0") as server:
        line = server.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/\?key=\S+", line).group(0)
        assert "feedback/folder" in line
        assert "Image search" in visit(address)
        # Without the key, one sentence explains how to get access.
        with pytest.raises(HTTPError) as refused:
            urlopen(address.split("?")[0], timeout=30)
        assert refused.value.code == 403
        assert refused.value.read().decode().count("open the whole address that the server printed") == 1


@pytest.mark.parametrize(
    ("host", "shown", "public"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.2", "127.0.0.2", False),
        ("localhost", r"(127\.0\.0\.1|\[::1\])", False),
        ("::1", r"\[::1\]", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("::", r"\[::1\]", True),
        ("*", r"(127\.0\.0\.1|\[::1\])", True),
    ],
)
def test_the_server_answers_at_every_address_that_it_prints(results: Path, host: str, shown: str, public: bool) -> None:
    if host in ("::", "::1", "*") and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with start(results.parent, "--port", "0", "--host", host) as server:
        line = server.stdout.readline()
        address = re.search(rf"http://{shown}:\d+/\?key=\S+", line).group(0)
        assert "Image search" in visit(address)
        if host == "0.0.0.0":
            # Another machine knows this one by an address or name of its own.
            assert "Image search" in visit(address, "192.0.2.7:8000")
            assert "Image search" in visit(address, "gpu-node.example:8000")
        server.terminate()
        warning = server.stderr.read()
    assert ("other machines can reach the search page" in warning and "ssh -L" in warning) == public


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_the_results_are_found_by_the_arguments_of_the_run(results: Path, tmp_path: Path) -> None:
    configure(results, folder="mine/{source}")
    run = ["--config", "collection={path: /data/birds}", "--directory", str(results.parent), "--cores", "2"]
    with start(tmp_path, *run, "--port", "0") as server:
        assert f"Refinements go to {results.parent}/mine/folder." in server.stdout.readline()
    # An argument that neither command knows is an error.
    with start(tmp_path, *run, "--prot", "0") as server:
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 2
    assert "--prot" in errors


def test_missing_results_are_an_input_error(tmp_path: Path) -> None:
    message = "The folder results does not exist: run the workflow first, or name the folder of its results.\n"
    assert refusal(tmp_path) == message


@pytest.mark.parametrize("arguments", [("--host", "198.51.100.1"), ("--host", "no such host"), ("--port", "70000")])
def test_an_address_of_another_machine_is_an_input_error(results: Path, arguments: tuple[str, ...]) -> None:
    assert re.search("choose .* by (--host or )?--port", refusal(results.parent, *arguments))


def test_a_port_in_use_is_an_input_error(results: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        message = refusal(results.parent, "--port", str(taken.getsockname()[1]))
    assert "choose another by --host or --port" in message
