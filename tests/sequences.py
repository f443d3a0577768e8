"""Apply random sequences of changes to a collection and its configuration; after each change, one run must be enough.

``python tests/sequences.py FIRST LAST`` does so for the seeds FIRST to LAST - 1, with ``--checkout FOLDER`` on another
checkout. After each change the driver checks that a run succeeds, that a second run has nothing to do, and that all
files below results/ are equal to those of a run in an empty folder, bit for bit except for times. The
configurations have no approximate index: one that is kept (``index.max_changed``) is not that of an empty folder.

For speed, no new interpreter is started: each run and each of its jobs is a fork of this process, which has imported
all libraries. The jobs run the real code, with two exceptions: the architecture ``siamese`` is replaced by a tiny one,
and plots are not drawn; instead a file contains a hash of what the plot would show.
"""

import argparse
import collections
import contextlib
import copy
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

import forked
from workplace import contents

REPOSITORY = Path(__file__).parents[1]
_SMALL = {"architecture": "siamese", "weights": "random"}
_TRAINING = {"categories_per_batch": 2, "images_per_category": 2, "epochs": 1, "steps_per_epoch": 1}
CONFIG = {
    "collection": {"source": "folder", "path": "collection"},
    "encoders": {
        "pretrained": None,
        "finetuned": None,
        "siamese": None,
        "plain": {**_SMALL, "batch": 4, "seed": 0},
        "trained": {**_SMALL, "seed": 0, "training": _TRAINING},
    },
    "methods": {
        "pretrained": None,
        "finetuned": None,
        "siamese": None,
        "combined": None,
        "plain": {"encoder": "plain"},
        "trained": {"encoder": "trained"},
        "small": {"transform": "pca", "of": "plain", "dimension": 4, "whiten": False},
    },
    "evaluation": {"k": 3},
    "comparison": {"pairs": [["plain", "trained"], ["plain", "small"]], "resamples": 99},
    "queries": {"k": 3, "choose": ["worst"], "images": []},
    "feedback": {
        "folder": "feedback",
        "method": "trained",
        "k": 4,
        "alpha": 1,
        "simulation": {"methods": ["small"], "strategies": ["rocchio"], "rounds": 1},
    },
}
CATEGORIES = ("apple", "leaf", "sea")
# The number of images of each category at first, and the least that is certain to be enough for a split.
_FIRST, _FEWEST = 6, 5


def _picture(number: int) -> Image.Image:
    """Return an image whose colours hardly depend on the category, so that metrics are not round numbers."""
    pixels = np.random.default_rng(number).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((40, 40))


@dataclass
class Folder:
    """A working folder, its configuration, and the random generator of the changes."""

    path: Path
    chosen: random.Random
    config: dict = field(default_factory=lambda: copy.deepcopy(CONFIG))
    count: int = 0

    def begin(self, finished: Path | None = None) -> "Folder":
        """Make the folder: only a collection, or a copy of such a folder with a finished run."""
        if finished:
            shutil.copytree(finished, self.path)
            self.count = len(CATEGORIES) * _FIRST
            return self
        for category in CATEGORIES:
            for _ in range(_FIRST):
                self.write(self.path / "collection" / category / f"{self.count + 1}.png")
        (self.path / "feedback").mkdir()
        self.configure()
        return self

    def configure(self) -> None:
        (self.path / "my.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def write(self, path: Path) -> None:
        """Write a new image, sometimes with an old modification time, as a copied file has."""
        self.count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        _picture(self.count).save(path)
        if self.chosen.random() < 0.3:
            os.utime(path, (1_000_000_000 + self.count,) * 2)

    def images(self) -> list[Path]:
        """Return the images that can be removed: not named by a query or refinement, and of a large enough category."""
        named = {json.loads(path.read_text())["query"] for path in (self.path / "feedback").glob("*.json")}
        named |= set(self.config["queries"]["images"])
        found = []
        for category in CATEGORIES:
            held = sorted((self.path / "collection" / category).glob("*.png"))
            found += [path for path in held if len(held) > _FEWEST and f"{category}/{path.name}" not in named]
        return found

    def pick(self, paths: list[Path]) -> Path | None:
        return self.chosen.choice(paths) if paths else None


def add_image(folder: Folder) -> None:
    folder.write(folder.path / "collection" / folder.chosen.choice(CATEGORIES) / f"{folder.count + 1}.png")


def remove_image(folder: Folder) -> None:
    if path := folder.pick(folder.images()):
        path.unlink()


def replace_image(folder: Folder) -> None:
    if path := folder.pick(folder.images()):
        folder.write(path)


def move_image(folder: Folder) -> None:
    if path := folder.pick(folder.images()):
        path.rename(folder.path / "collection" / folder.chosen.choice(CATEGORIES) / path.name)


def add_file_that_is_no_image(folder: Folder) -> None:
    folder.count += 1
    (folder.path / "collection" / folder.chosen.choice(CATEGORIES) / f"{folder.count}.txt").write_text("no image")
    for path in list((folder.path / "collection").rglob("*.txt"))[1:]:
        path.unlink()


def add_query(folder: Folder) -> None:
    name = f"query{folder.count + 1}.png"
    if folder.chosen.random() < 0.3 and (path := folder.pick(folder.images())):
        name = f"{path.parent.name}/{path.name}"
    else:
        folder.write(folder.path / name)
    folder.config["queries"]["images"].append(name)


def edit_query(folder: Folder) -> None:
    outside = [name for name in folder.config["queries"]["images"] if "/" not in name]
    if outside:
        folder.write(folder.path / folder.chosen.choice(outside))


def remove_query(folder: Folder) -> None:
    if images := folder.config["queries"]["images"]:
        images.remove(folder.chosen.choice(images))


def _refinements(folder: Folder) -> list[Path]:
    return sorted((folder.path / "feedback").glob("*.json"))


def add_refinement(folder: Folder) -> None:
    folder.count += 1
    if folder.chosen.random() < 0.5:
        query = f"{folder.count}.png"
        folder.write(folder.path / "feedback" / query)
    else:
        image = folder.pick(folder.images())
        query = f"{image.parent.name}/{image.name}" if image else "apple/1.png"
        if not (folder.path / "collection" / query).exists():
            return
    content = {"query": query, "rounds": [{"relevant": [0], "irrelevant": [1]}]}
    (folder.path / f"feedback/r{folder.count}.json").write_text(json.dumps(content))


def edit_refinement(folder: Folder) -> None:
    if path := folder.pick(_refinements(folder)):
        content = json.loads(path.read_text())
        if "/" not in content["query"] and folder.chosen.random() < 0.5:
            folder.write(folder.path / "feedback" / content["query"])
            return
        content["rounds"] = [{"relevant": [folder.chosen.randrange(3)]}]
        content["method"] = folder.chosen.choice(["plain", "trained", "small"])
        path.write_text(json.dumps(content))
        os.utime(path, (1_000_000_000, 1_000_000_000))


def remove_refinement(folder: Folder) -> None:
    if path := folder.pick(_refinements(folder)):
        path.unlink()


def change_k(folder: Folder) -> None:
    folder.config[folder.chosen.choice(["evaluation", "queries", "feedback"])]["k"] = folder.chosen.randint(2, 5)


def change_transform(folder: Folder) -> None:
    folder.config["methods"]["small"]["dimension"] = folder.chosen.randint(2, 6)


def change_alpha(folder: Folder) -> None:
    folder.config["feedback"]["alpha"] = folder.chosen.choice([0.5, 1, 2])


def change_seed(folder: Folder) -> None:
    folder.config["encoders"][folder.chosen.choice(["plain", "trained"])]["seed"] = folder.chosen.randint(0, 3)


def switch_method(folder: Folder) -> None:
    rows = folder.config["methods"]
    on = rows.pop("unit", None) is not None
    if not on:
        rows["unit"] = {"transform": "l2", "of": "trained"}
    folder.config["comparison"]["pairs"] = folder.config["comparison"]["pairs"][:2] + (
        [] if on else [["unit", "plain"]]
    )


CHANGES: list[Callable[[Folder], None]] = [
    *(add_image, remove_image, replace_image, move_image, add_file_that_is_no_image),
    *(add_query, edit_query, remove_query, add_refinement, edit_refinement, remove_refinement),
    *(change_k, change_transform, change_alpha, change_seed, switch_method),
]


def load(checkout: Path) -> None:
    """Import the modules that runs and jobs need, and replace the architecture by a tiny one."""
    sys.path.insert(0, str(checkout / "scripts"))
    for path in (checkout / "scripts/cbir").rglob("*.py"):
        name = ".".join(path.relative_to(checkout / "scripts").with_suffix("").parts)
        if not name.endswith("__") and not name.startswith("cbir.web"):
            __import__(name)
    forked.import_libraries()
    import keras

    from cbir.encoders.architectures import siamese
    from cbir.workflow import code_hash

    def tiny(size: tuple[int, int]) -> keras.Model:
        inputs = keras.Input((size[1], size[0], 3), name="image")
        x = keras.layers.AveragePooling2D(28)(inputs)
        x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, keras.layers.Dense(16)(x), name="siamese")

    siamese.build = tiny
    Figure.savefig = _sketch  # type: ignore[method-assign]
    for script in (checkout / "scripts").glob("*.py"):
        code_hash.fingerprint(script, checkout / "scripts")


def _sketch(figure: Any, path: Path, **_: object) -> None:
    """Write an image that depends on everything that the figure shows, without drawing the figure."""
    seen = hashlib.sha256()
    for artist in figure.findobj():
        if isinstance(artist, Text | Line2D | Rectangle | Collection | AxesImage):
            for name in ("get_text", "get_xydata", "get_offsets", "get_array", "get_xy", "get_width", "get_facecolor"):
                if hasattr(artist, name):
                    value = getattr(artist, name)()
                    seen.update(str(value if isinstance(value, str) else np.asarray(value).tolist()).encode())
    if Path(path).suffix == ".svg":
        picture = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><desc>{seen.hexdigest()}</desc></svg>'
        Path(path).write_text(picture)
    else:
        Image.fromarray(np.frombuffer(seen.digest(), np.uint8).reshape(4, 8)).resize((80, 40)).save(path)


@dataclass
class Run:
    status: int
    output: str

    @property
    def rules(self) -> collections.Counter[str]:
        found = collections.Counter(re.findall(r"Finished jobid: \d+ \(Rule: (\w+)\)", self.output))
        found.pop("all", None)
        return found


def run(checkout: Path, folder: Path, *arguments: str, kill_after: float | None = None) -> Run:
    """Run the workflow of ``checkout`` in a folder, as a fork; kill it and its jobs after ``kill_after`` seconds."""
    command = ["--snakefile", str(checkout / "Snakefile"), "--directory", str(folder), "--cores", "2", *arguments]
    with tempfile.TemporaryFile() as output:
        process = forked.run([*command, "--configfile", str(folder / "my.yaml")], checkout, output.fileno())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        status = forked.wait(process)
        output.seek(0)
        return Run(status, output.read().decode("utf-8", "replace"))


def from_scratch(checkout: Path, folder: Path) -> tuple[Run, dict[str, str | bytes]]:
    """Run in an empty folder on the same inputs; return the run and its results."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as other:
        fresh = Path(other) / "work"
        shutil.copytree(folder, fresh, ignore=shutil.ignore_patterns("results", ".snakemake"))
        return run(checkout, fresh), contents(fresh / "results")


@dataclass
class Outcome:
    """The outcome of a sequence.

    Attributes:
        steps: number of runs that were compared, each after one to four changes.
        kills: number of runs that were killed.
        problems: sentences about runs that failed or were not enough, and about files that differ.
        left: number of steps whose only problem was that the results had additional files that a run from scratch does
            not have.
    """

    steps: int = 0
    kills: int = 0
    problems: list[str] = field(default_factory=list)
    left: int = 0


def play(checkout: Path, root: Path, seed: int, steps: int = 5) -> Outcome:
    """Apply a sequence of changes in a new folder below ``root``; stop at the first problem.

    Most sequences start from a copy of the finished run ``root/finished``; in the others the first run is killed.
    """
    outcome = Outcome()
    folder = Folder(root / f"sequence-{seed}", random.Random(seed))
    if folder.chosen.random() < 0.1:
        made = ["the first run", _killed(checkout, folder.begin(), outcome)]
    else:
        folder.begin(_finished(checkout, root / "finished"))
        made = []
    for _ in range(steps):
        made += [_change(folder) for _ in range(folder.chosen.choice([1, 1, 2, 3]))]
        if folder.chosen.random() < 0.3:
            made.append(_killed(checkout, folder, outcome))
            if folder.chosen.random() < 0.3:
                made.append(_change(folder))
        found = _compare(checkout, folder.path)
        outcome.steps += 1
        if found and all(line.startswith("left over") for line in found):
            outcome.left += 1
            print(f"seed {seed}, after {', '.join(made)}: {'; '.join(found)}", flush=True)
        elif found:
            outcome.problems += [f"seed {seed}, after {', '.join(made)}: {line}" for line in found]
            break
    shutil.rmtree(folder.path)
    return outcome


def _finished(checkout: Path, path: Path) -> Path:
    """Make a folder with a finished run, if it is not there yet."""
    if not path.exists():
        first = run(checkout, Folder(path, random.Random(0)).begin().path)
        if first.status:
            raise SystemExit(f"the first run ended with {first.status}\n{first.output}")
    return path


def _killed(checkout: Path, folder: Folder, outcome: Outcome) -> str:
    """Start a run and kill it, unless it ends before; return a description."""
    killed = run(checkout, folder.path, kill_after=folder.chosen.uniform(0, 4))
    outcome.kills += killed.status == -signal.SIGKILL
    return f"a run that ended with {killed.status}"


def _change(folder: Folder) -> str:
    """Apply a random change; return its name."""
    change = folder.chosen.choice(CHANGES)
    change(folder)
    folder.configure()
    return change.__name__


def _compare(checkout: Path, folder: Path) -> list[str]:
    """Run, compare with a second run and with a run from scratch, and return the problems."""
    once = run(checkout, folder)
    if once.status:
        return [f"the run ended with {once.status}\n{once.output}"]
    again = run(checkout, folder, "--dry-run")
    fresh, expected = from_scratch(checkout, folder)
    if fresh.status:
        return [f"the run from scratch ended with {fresh.status}\n{fresh.output}"]
    found = contents(folder / "results")
    problems = []
    if "Nothing to be done" not in again.output:
        problems.append(f"a second run has work to do\n{again.output}")
    if wrong := sorted(name for name in expected if found.get(name) != expected[name]):
        problems.append(f"different from a run from scratch: {', '.join(wrong)}")
    if left := sorted(found.keys() - expected.keys()):
        problems.append(f"left over: {', '.join(left)}")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--steps", type=int, default=5, help="runs in each sequence, each after changes (default: 5)")
    parser.add_argument("--checkout", type=Path, default=REPOSITORY)
    arguments = parser.parse_args()
    checkout = arguments.checkout.resolve()
    load(checkout)
    total, failed = Outcome(), 0
    with tempfile.TemporaryDirectory() as root:
        for seed in range(arguments.first, arguments.last):
            found = play(checkout, Path(root), seed, arguments.steps)
            total.steps += found.steps
            total.kills += found.kills
            total.left += found.left
            failed += bool(found.problems)
            print(*found.problems, sep="\n", end="\n" if found.problems else "", flush=True)
            print(
                f"seed {seed}: {total.steps} runs compared, {total.kills} runs killed, {failed} sequences with a "
                f"difference, {total.left} runs with only files left over",
                flush=True,
            )
    sys.exit(bool(failed or total.left))


if __name__ == "__main__":
    main()
