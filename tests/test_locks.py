"""The lock files: plain pip installs each of them on every supported Python, from wheels that their hashes cover."""

import json
import re
import subprocess
import sys
import tomllib
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging import tags
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from pip._internal.models.index import PyPI

from workplace import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKS = sorted(REPOSITORY.glob("requirements*.lock"))
PYTHONS = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in SpecifierSet(PROJECT["project"]["requires-python"])]
# The platforms of markers: the values of sys_platform, platform_system, os_name and platform_machine.
PLATFORMS = [
    ("linux", "Linux", "posix", "x86_64"),
    ("linux", "Linux", "posix", "aarch64"),
    ("darwin", "Darwin", "posix", "arm64"),
    ("darwin", "Darwin", "posix", "x86_64"),
    ("win32", "Windows", "nt", "AMD64"),
]
# It is built from source when it is installed; the Makefile says why and with which packages.
WITHOUT_WHEEL = "connection-pool"


@dataclass(frozen=True)
class Pin:
    """A package of a lock: its version, its marker, and the hashes of the files that pip accepts."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    def applies(self, python: str, platform: dict[str, str]) -> bool:
        """Tell whether pip installs it with this Python, such as 3.11."""
        marker = self.requirement.marker
        versions = {"python_version": python, "python_full_version": f"{python}.0"}
        return marker is None or marker.evaluate({**default_environment(), **platform, **versions})


def pins(text: str) -> list[Pin]:
    lines = re.findall(r"^[A-Za-z0-9].*", text.replace("\\\n", " "), re.MULTILINE)
    return [
        Pin(Requirement(line.split(" --hash=")[0]), frozenset(re.findall(r"--hash=sha256:(\w{64})", line)))
        for line in lines
    ]


def anywhere() -> list[dict[str, str]]:
    names = ("sys_platform", "platform_system", "os_name", "platform_machine")
    return [dict(zip(names, platform, strict=True)) for platform in PLATFORMS]


def admits(requires: str | None, python: str) -> bool:
    """Tell whether a Requires-Python admits the first and the last releases of a Python version."""
    return all(f"{python}.{patch}" in SpecifierSet(requires or "") for patch in (0, 99))


def refused(pin: Pin, files: list[dict[str, Any]]) -> list[str]:
    """Return the Pythons that a pin applies to and for which the index has none of its locked files."""
    locked = [file for file in files if file["hashes"].get("sha256") in pin.hashes]
    return [
        python
        for python in PYTHONS
        if any(pin.applies(python, platform) for platform in anywhere())
        and not any(admits(file.get("requires-python"), python) for file in locked)
    ]


def without_wheel(pin: Pin, files: list[dict[str, Any]]) -> list[str]:
    """Return the Pythons that a pin applies to on this machine and for which no locked file is a compatible wheel."""
    locked = [file for file in files if file["hashes"].get("sha256") in pin.hashes]
    wheels = [file["filename"] for file in locked if file["filename"].endswith(".whl")]
    offered = {tag for name in wheels for tag in parse_wheel_filename(name)[3]}
    return [python for python in PYTHONS if pin.applies(python, {}) and not offered & fitting(python)]


@cache
def fitting(python: str) -> frozenset[tags.Tag]:
    """Return the tags of the wheels that are compatible with a Python version on this machine."""
    version = (3, int(python.partition(".")[2]))
    interpreter = f"cp{version[0]}{version[1]}"
    return frozenset([*tags.cpython_tags(version), *tags.compatible_tags(version, interpreter)])


@cache
def index() -> str:
    """Return the address of the package index that pip uses."""
    printed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    # The setting with the highest priority is printed last.
    return ([PyPI.simple_url, *re.findall(r"^\S*[.]index-url='(.*)'", printed, re.MULTILINE)])[-1].rstrip("/")


@cache
def published(name: str) -> list[dict[str, Any]]:
    """Return the files of a package on the index: name, hashes and Requires-Python (PEP 691)."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(f"{index()}/{name}/", headers=accept), timeout=60) as answer:
        return json.load(answer)["files"]


def test_the_supported_pythons_are_those_of_the_project() -> None:
    tried = re.search(r"^for version in (.*); do$", (REPOSITORY / ".ci/locks").read_text(), re.MULTILINE)[1]
    assert tried.split() == PYTHONS
    assert PYTHONS == ["3.11", "3.12", "3.13"]


@pytest.mark.network
def test_every_locked_package_is_for_every_supported_python_and_has_wheels() -> None:
    locked = [(path.name, pin) for path in LOCKS for pin in pins(path.read_text())]
    index()
    with ThreadPoolExecutor(8) as pool:
        files = dict(zip(names := sorted({pin.name for _, pin in locked}), pool.map(published, names), strict=True))
    assert len(files) > 100
    assert [
        f"{lock}: {pin.requirement} refuses Python {', '.join(wrong)}"
        for lock, pin in locked
        if (wrong := refused(pin, files[pin.name]))
    ] == []
    assert {pin.name for _, pin in locked if without_wheel(pin, files[pin.name])} == {WITHOUT_WHEEL}


def file(name: str, digit: str, requires: str | None) -> dict[str, Any]:
    return {"filename": name, "hashes": {"sha256": digit * 64}, "requires-python": requires}


@pytest.mark.parametrize(
    ("line", "requires", "wrong"),
    [
        # The pin that pip refused on every supported Python.
        ("backports-strenum==1.3.1", ">=3.8.6,<3.11", ["3.11", "3.12", "3.13"]),
        ("backports-strenum==1.2.8", ">=3.8.6,<4.0.0", []),
        ("a==1", None, []),
        ("a==1", ">=3.12", ["3.11"]),
        ("a==1", "<3.13", ["3.13"]),
        ("a==1", "<=3.12", ["3.12", "3.13"]),
        ("a==1", ">=3.11.4", ["3.11"]),
        ("a==1 ; python_full_version >= '3.12'", ">=3.12", []),
        ("a==1 ; python_full_version < '3.12'", "<3.13", []),
        ("a==1 ; sys_platform == 'win32'", "<3.12", ["3.12", "3.13"]),
        ("a==1 ; sys_platform == 'win32' and python_full_version < '3.12'", "<3.12", []),
        ("a==1 ; platform_machine == 'aarch64'", "<3.12", ["3.12", "3.13"]),
    ],
)
def test_a_pin_without_files_for_a_python_is_found(line: str, requires: str | None, wrong: list[str]) -> None:
    (pin,) = pins(f"{line} \\\n    --hash=sha256:{'1' * 64}\n    # via b\n")
    # A file that is not locked does not count.
    assert refused(pin, [file("a-1-py3-none-any.whl", "1", requires), file("a-1.tar.gz", "2", None)]) == wrong


def test_a_pin_without_a_wheel_is_found() -> None:
    (pin,) = pins(f"a==1 \\\n    --hash=sha256:{'1' * 64} \\\n    --hash=sha256:{'2' * 64}\n")
    assert without_wheel(pin, [file("a-1-py3-none-any.whl", "1", None)]) == []
    assert without_wheel(pin, [file("a-1.tar.gz", "1", None), file("a-1-py3-none-any.whl", "3", None)]) == PYTHONS
    here = next(tags.platform_tags())
    assert without_wheel(pin, [file(f"a-1-cp312-abi3-{here}.whl", "1", None)]) == ["3.11"]
    assert without_wheel(pin, [file(f"a-1-cp311-cp311-{here}.whl", "1", None)]) == ["3.12", "3.13"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_admits_only_wheels_except_for_one_package(path: Path) -> None:
    # The order matters: pip's `--only-binary :all:` cancels each `--no-binary` before it.
    options = [line for line in path.read_text().splitlines() if line.startswith("-")]
    assert options == ["--only-binary :all:", f"--no-binary {WITHOUT_WHEEL}"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_hashes(path: Path) -> None:
    locked = pins(path.read_text())
    assert len(locked) >= (2 if path.name == "requirements-build.lock" else 10)
    assert [str(pin.requirement) for pin in locked if not pin.hashes] == []
    assert all(re.fullmatch(r"==[^*]+", str(pin.requirement.specifier)) for pin in locked)


def test_two_locks_never_name_two_versions() -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for path in LOCKS:
        for pin in pins(path.read_text()):
            marker = str(pin.requirement.marker or "")
            versions.setdefault((pin.name, marker), set()).add(str(pin.requirement.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_installed_packages_have_the_locked_versions(lock: Path) -> None:
    stamp = lock.stem.removeprefix("requirements").removeprefix("-") or "run"
    command = ["make", "--dry-run", f"--what-if={lock.name}", f".venv/{stamp}.stamp"]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    installs = re.findall(r"^.*pip install.*$", printed, re.MULTILINE)
    expected = ".venv/bin/python -m pip install --require-hashes --no-build-isolation -r requirements{}.lock"
    assert expected.format("" if stamp == "run" else f"-{stamp}") in installs
    assert set(installs) <= {expected.format(name) for name in ("", "-build", "-extras", "-gpu", "-dev")}


def test_no_other_package_is_installed() -> None:
    recipe = (REPOSITORY / "Makefile").read_text()
    assert recipe.count("pip install") == 1
    assert re.findall(r"^.*\buv\b.*$", recipe, re.MULTILINE) == [
        "COMPILE = $(BIN)/uv pip compile --quiet --only-binary :all: --no-binary connection-pool"
    ]


def test_the_source_is_built_with_locked_packages() -> None:
    # Built without isolation, so the setuptools that is installed before is what builds it.
    first = {
        pin.name: str(pin.requirement.specifier) for pin in pins((REPOSITORY / "requirements-build.lock").read_text())
    }
    assert set(first) == {"pip", "setuptools"}
    recipe = (REPOSITORY / "Makefile").read_text()
    assert re.search(r"^\.venv/run\.stamp:.* \.venv/build\.stamp", recipe, re.MULTILINE)
