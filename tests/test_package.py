"""The package that `pip install .` installs: it has the library and its data, nothing else, and works elsewhere."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from web.made import write_results
from workplace import REPOSITORY

LIBRARY = REPOSITORY / "scripts/cbir"
# What is in the folder of the library: modules, and data that they read.
FILES = {
    f"cbir/{path.relative_to(LIBRARY).as_posix()}"
    for path in LIBRARY.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}
# The installed package, and the dependencies of this environment.
ALONE = """
import sys
sys.path[:] = [sys.argv[1], *(path for path in sys.path if path != sys.argv[2])]
import cbir
assert cbir.__file__.startswith(sys.argv[1]), cbir.__file__
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the locked setuptools; without these options pip would download the same version."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("scripts", "tests", "benchmarks"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([*command, "--wheel-dir", folder, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that has only the package and its command."""
    folder = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--no-compile", "--target", folder]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], check=True)
    return folder


def test_the_wheel_holds_the_library_and_its_data_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == FILES
    assert {"cbir/workflow/config.schema.yaml", "cbir/collection/sources/sample.csv"} < names


def test_the_package_is_built_by_the_locked_setuptools() -> None:
    built_by = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["build-system"]["requires"]
    locked = re.findall(r"^(setuptools==\S+)", (REPOSITORY / "requirements-build.lock").read_text(), re.MULTILINE)
    assert built_by == locked


def test_an_installed_package_finds_its_data(installed: Path, tmp_path: Path) -> None:
    code = """
from cbir.artifacts import workflow
from cbir.collection.sources import sample
from cbir.feedback import refinement
from cbir.report import rendering
print(workflow._SCHEMA.is_file(), refinement.SCHEMA.is_file(), sample.TABLE.is_file(), rendering.STYLE.is_file())
"""
    command = [sys.executable, "-c", ALONE + code, str(installed), str(REPOSITORY / "scripts")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_the_command_searches(installed: Path, tmp_path: Path) -> None:
    write_results(tmp_path)
    command = [sys.executable, installed / "bin/cbir", "search", "sea/2.png", "--method", "tiny", "-k", "2"]
    environment = {"PYTHONPATH": str(installed)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
