"""Run the real workflow from a copy of the checkout on a few small images."""

import atexit
import functools
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import yaml
from PIL import Image

import forked

REPOSITORY = Path(__file__).parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake"]
PARTS = ("Snakefile", "config.yaml", "rules", "scripts", "profiles", "report", "envs")
# One small network with random weights: no download, no training.
CONFIG = {
    "collection": {"source": "folder", "path": "collection", "shards": 2},
    "encoders": {
        "pretrained": None,
        "finetuned": None,
        "siamese": {"architecture": "siamese", "weights": "random", "training": None},
    },
    "methods": {"pretrained": None, "finetuned": None, "combined": None},
    "comparison": {"pairs": []},
}


@dataclass
class Run:
    """The outcome of a run of the workflow."""

    status: int
    output: str

    @property
    def rules(self) -> Counter[str]:
        """The number of jobs that ran of each rule, without the default target."""
        found = Counter(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", self.output))
        found.pop("all", None)
        return found


@dataclass
class Workplace:
    """A copy of the checkout and, beside it, a folder with a collection, a configuration and the results."""

    root: Path

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    @property
    def folder(self) -> Path:
        return self.root / "work"

    def configure(self, changes: dict) -> None:
        (self.folder / "my.yaml").write_text(yaml.safe_dump(changes, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        command = [*SNAKEMAKE, "--snakefile", str(self.checkout / "Snakefile"), *arguments]
        return [*command, "--directory", str(self.folder), "--cores", "2", "--configfile", str(self.folder / "my.yaml")]

    def start(
        self, *arguments: str, server: forked.Server | None = None, output: IO[str] | None = None, **environment: str
    ) -> forked.Started:
        """Start a run in a process group of its own, as a fork."""
        return (server or _server()).start(self.command(*arguments)[3:], self.checkout, environment, output)

    def run(self, *arguments: str, server: forked.Server | None = None, **environment: str) -> Run:
        """Run as a fork, which takes a fifth of the time of a new interpreter."""
        process = self.start(*arguments, server=server, **environment)
        output, _ = process.communicate()
        return Run(process.returncode, output)

    def run_in_new_interpreter(self, *arguments: str) -> Run:
        """Run as a user does, with a new interpreter for the run and for each job."""
        return _run(self.command(*arguments), self.checkout)

    def copy(self, root: Path) -> "Workplace":
        shutil.copytree(self.root, root, symlinks=True)
        return Workplace(root)


@functools.cache
def _server() -> forked.Server:
    server = forked.Server()
    atexit.register(server.close)
    return server


def interpreter(path: Path) -> dict[str, str]:
    """Write a replacement for the interpreter, see `forked.Server.interpreter`."""
    return _server().interpreter(path)


def run(command: list[str], folder: Path) -> Run:
    """Run a command in a folder; Snakemake is run as a fork."""
    if command[:3] == SNAKEMAKE:
        process = _server().start(command[3:], folder)
        output, _ = process.communicate()
        return Run(process.returncode, output)
    return _run(command, folder)


def _run(command: list[str], folder: Path) -> Run:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Run(done.returncode, done.stdout)


def photograph(category: int, number: int) -> Image.Image:
    random = np.random.default_rng([category, number])
    colour = np.array([[220, 60, 60], [60, 220, 60], [60, 60, 220]][category])
    return Image.fromarray(np.clip(colour + random.integers(-40, 40, (40, 40, 3)), 0, 255).astype(np.uint8))


def check_out(target: Path) -> None:
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(
                source, target / part, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy
            )
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / part)


def make(root: Path) -> Workplace:
    place = Workplace(root)
    check_out(place.checkout)
    for label, category in enumerate(("apple", "leaf", "sea")):
        (place.folder / "collection" / category).mkdir(parents=True)
        for number in range(6):
            photograph(label, number).save(place.folder / "collection" / category / f"{number}.png")
    place.configure(CONFIG)
    return place


# Files that contain times of the run, and a cache of the modification times of files on this disk.
_TIMES = ("logs/", "benchmarks/", "collection/memory/contents.json")


def contents(results: Path) -> dict[str, str | bytes]:
    """Return the content of every file below results/, without times."""
    found: dict[str, str | bytes] = {}
    for path in sorted(results.rglob("*")):
        name = str(path.relative_to(results))
        # `files.sole_writer` leaves its lock file behind.
        if not path.is_file() or name.startswith(_TIMES) or re.fullmatch(r"\..*\.lock", path.name):
            continue
        if name == "report.html":
            found[name] = re.sub('<section id="(timings|index)".*?</section>', "", path.read_text(), flags=re.DOTALL)
        elif name.endswith(".quality.json"):
            found[name] = re.sub('"times": {.*?}', "", path.read_text(), flags=re.DOTALL)
        else:
            found[name] = path.read_bytes()
    return found
