"""Measure the time of a run when nothing has changed, and when one image was added.

    python benchmarks/incremental.py [--images N | --photographs FOLDER]

The whole workflow runs on N small generated images (2,000 by default) in 20 categories, or on the photographs in
FOLDER, with one method: MobileNetV2 with random weights, which is as fast as with trained ones. The first run makes
everything; each other run is a new process, timed from outside; each repetition adds another image. The second table
shows the time of each job of the last such run, from Snakemake's log.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import yaml
from peers import THREADS, table
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
REPEATS = 3
CATEGORIES = 20
CONFIG = {
    "encoders": {
        "pretrained": {"weights": "random"},
        "siamese": None,
        "finetuned": None,
    },
    "methods": {"siamese": None, "finetuned": None, "combined": None, "expanded": None},
    "comparison": {"pairs": []},
}


def picture(number: int) -> Image.Image:
    """A small picture of its category's colour, different for each number."""
    colour = np.random.default_rng(number % CATEGORIES).integers(60, 200, 3)
    noise = np.random.default_rng([1, number]).integers(-50, 50, (32, 32, 3))
    return Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))


def generate(folder: Path, count: int) -> None:
    """Write ``count`` small JPEGs into category folders."""
    for number in range(count):
        path = folder / f"category{number % CATEGORIES:02d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)


def run(place: Path) -> tuple[float, str]:
    """Run the workflow; return seconds and what it printed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "all"]
    command += ["--directory", str(place), "--configfile", str(place / "config.yaml")]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - start, done.stdout + done.stderr


def jobs(log: str) -> dict[str, float]:
    """Return the seconds from each rule's start to its end, summed over its jobs, by Snakemake's log."""
    spent: dict[str, float] = {}
    begun: dict[str, tuple[str, datetime]] = {}
    now, rule = datetime.min, ""
    for line in log.splitlines():
        if stamp := re.fullmatch(r"\[(.+ \d{4})\]", line):
            now = datetime.strptime(stamp[1], "%a %b %d %H:%M:%S %Y")
        elif start := re.match(r"(?:localrule|rule|localcheckpoint|checkpoint) (\w+):", line):
            rule = start[1]
        elif number := re.match(r"    jobid: (\d+)", line):
            begun[number[1]] = (rule, now)
        elif end := re.match(r"Finished jobid: (\d+)", line):
            name, since = begun[end[1]]
            spent[name] = spent.get(name, 0) + (now - since).total_seconds()
    return spent


def importing(module: str) -> float:
    """Return the seconds that importing a module takes, in a new process."""
    return statistics.median(
        float(
            subprocess.run(
                [
                    sys.executable,
                    "-c",
                    f"import time; a = time.perf_counter(); import {module}; print(time.perf_counter() - a)",
                ],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            ).stdout
        )
        for _ in range(REPEATS)
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000, help="how many to generate")
    parser.add_argument("--photographs", type=Path, help="a folder with one sub-folder a category, instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if options.photographs:
            shutil.copytree(options.photographs, place / "images")
        else:
            generate(place / "images", options.images)
        source = {"collection": {"source": "folder", "path": "images"}}
        (place / "config.yaml").write_text(yaml.safe_dump(source | CONFIG))
        first, _ = run(place)
        usable = len((place / "results/collection/images.csv").read_text().splitlines()) - 1
        nothing, added = [], []
        category = min(path for path in (place / "images").iterdir() if path.is_dir())
        for number in range(REPEATS):
            nothing.append(run(place)[0])
            picture(10**6 + number).save(category / f"added{number}.jpg")
            seconds, log = run(place)
            encoded = re.findall(r"INFO (\d+) images encoded", log)
            if encoded != ["1"]:
                sys.exit(f"images encoded: {encoded}, not 1\n{log}")
            added.append(seconds)
    rows = {
        "everything, once": first,
        "nothing changed": statistics.median(nothing),
        "one image added": statistics.median(added),
        "importing TensorFlow, by itself": importing("tensorflow"),
    }
    print(f"{usable:,} images, 1 method; {THREADS} processors; medians of {REPEATS}\n")
    table(["run", "seconds"], [[what, f"{seconds:.1f}"] for what, seconds in rows.items()])
    spent = sorted(jobs(log).items(), key=lambda item: -item[1])
    table(["one image added: jobs of", "seconds"], [[rule, f"{seconds:.0f}"] for rule, seconds in spent])


if __name__ == "__main__":
    main()
