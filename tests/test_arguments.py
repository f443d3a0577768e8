"""The targets of the Makefile that concern one run take the same arguments, ARGS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import arguments

ROOT = Path(arguments.__file__).parents[1]
SAMPLE = ["--configfile", "configs/cpu.yaml", "--config", "collection={path: /data/birds}", "evaluation={k: 5}"]


@pytest.mark.parametrize("folder", [["--directory", "../birds"], ["-d", "../birds"], ["--directory=../birds"]])
def test_the_results_are_in_the_folder_of_the_run(folder: list[str]) -> None:
    assert arguments.results([*folder, *SAMPLE, "--cores", "2"]) == Path("../birds/results")
    assert arguments.results(SAMPLE) == Path("results")


def test_a_profile_may_name_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("directory: /mine\n")
    assert arguments.results(["--profile", str(tmp_path)]) == Path("/mine/results")


def test_the_command_of_a_target() -> None:
    assert arguments.make("serve", []) == "make serve"
    assert arguments.make("serve", ["--cores", "2", "-n", "results/report.html"]) == "make serve"
    assert arguments.make("run", [*SAMPLE, "--directory", "../birds", "--cores", "2"]) == (
        "make run ARGS=\"--configfile configs/cpu.yaml --config 'collection={path: /data/birds}' "
        "'evaluation={k: 5}' --directory ../birds\""
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the Makefile and an environment whose programs write their arguments, a line each."""
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in ("python", "snakemake"):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = scripts/arguments.py ]; then shift; exec {sys.executable} '
            f'{ROOT}/scripts/arguments.py "$@"; fi\nfor word in {name} "$@"; do echo "<$word>"; done\n'
        )
        program.chmod(0o755)
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    return tmp_path


def make(checkout: Path, *words: str) -> str:
    # The environment counts as installed and up to date.
    done = subprocess.run(
        ["make", "-s", "-o", ".venv/run.stamp", *words],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name not in ("ARGS", "FILE", "MAKEFLAGS")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


ARGS = "ARGS=--config collection='{path: /a$b}' --directory '../two words'"
WORDS = "<--config>\n<collection={path: /a$b}>\n<--directory>\n<../two words>\n"


def test_each_target_passes_on_the_same_arguments(checkout: Path) -> None:
    assert make(checkout, "run", ARGS) == (
        f"<snakemake>\n<--cores>\n<all>\n{WORDS}<python>\n<scripts/open_report.py>\n{WORDS}"
    )
    assert make(checkout, "serve", ARGS) == f"<python>\n<scripts/serve.py>\n{WORDS}"
    assert make(checkout, "inspect", ARGS) == "<python>\n<-m>\n<cbir.artifacts>\n<../two words/results>\n"
    assert make(checkout, "report", ARGS) == (
        f"<snakemake>\n<--cores>\n<all>\n<results/report.html>\n{WORDS}"
        f"<snakemake>\n<--report>\n<results/snakemake-report.html>\n{WORDS}"
    )


@pytest.mark.parametrize("name", ["x$(shell touch made)", "it's; touch made", "`touch made`", "a $HOME b"])
def test_the_file_to_inspect_is_passed_as_a_plain_name(checkout: Path, name: str) -> None:
    assert make(checkout, "inspect", f"FILE={name}") == f"<python>\n<-m>\n<cbir.artifacts>\n<{name}>\n"
    assert not (checkout / "made").exists()
