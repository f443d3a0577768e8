"""Measure the whole workflow on many small images, from the folder to the report, and what a later change costs.

    python benchmarks/workflow.py --directory FOLDER [--images N] [--index KIND]

N images (100,000 by default) of 64 x 64 pixels in 100 categories are generated in FOLDER. The workflow runs on them,
then without a change, then with one image more. One method is used: MobileNetV2 with random weights at 32 x 32 pixels,
not trained. If the command is interrupted, the same command continues, and the time of all its parts counts. Of each
rule the table shows the sum of its jobs' seconds and processor seconds, and the peak memory of the largest job. They
are read from the running processes ten times a second, so that a job of half a second may be counted as one of 0.4. The
last row of each table is Snakemake itself. From "the index after" on, a new image is found by searches. Linux only.
"""

import argparse
import json
import re
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import yaml
from peers import THREADS, table
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
CATEGORIES, SIDE = 100, 64
CONFIG = {
    "collection": {"source": "folder", "path": "images"},
    "encoders": {
        "pretrained": {"weights": "random", "size": 32, "batch": 64},
        "siamese": None,
        "finetuned": None,
    },
    "methods": {"siamese": None, "finetuned": None, "combined": None, "expanded": None},
    "comparison": {"pairs": []},
}
RUNS = ("everything, once", "nothing changed", "one image added")
EVERY_SECONDS = 30
SCRIPT = re.compile(r"\.snakemake/scripts/tmp[^.]*\.(\w+)\.py$")


def picture(number: int) -> Image.Image:
    """A picture of its category's colour, whose pattern is different for each number."""
    colour = np.random.default_rng(number % CATEGORIES).integers(60, 200, 3)
    pattern = np.random.default_rng([1, number]).integers(-50, 50, (12, 12, 3))
    small = Image.fromarray(np.clip(colour + pattern, 0, 255).astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def generate(folder: Path, images: int, category: int) -> None:
    """Write the images of a category into its folder, which appears as a whole."""
    final = folder / f"category{category:03d}"
    if final.exists():
        return
    unfinished = folder.with_name("unfinished") / final.name
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for number in range(category, images, CATEGORIES):
        picture(number).save(unfinished / f"{number:07d}.jpg")
    unfinished.rename(final)


def look(measured: dict[str, dict], jobs: dict[int, list], process: psutil.Process) -> None:
    """Update the figures of a run by its processes.

    Args:
        measured: for each rule the number of its jobs, their seconds, their processor seconds, and the peak MB.
        jobs: for each process that was seen, its rule, and its last figures.
        process: Snakemake.
    """
    for seen in (process, *process.children(recursive=True)):
        try:
            if seen.pid not in jobs:
                scripts = [match for argument in seen.cmdline() if (match := SCRIPT.search(argument))]
                if not scripts and seen is not process:
                    continue
                rule = "Snakemake" if seen is process else scripts[0][1]
                jobs[seen.pid] = [rule, 0.0, 0.0]
                measured.setdefault(rule, {"jobs": 0, "seconds": 0.0, "processor": 0.0, "peak_mb": 0.0})["jobs"] += 1
            rule, *before = jobs[seen.pid]
            spent = [time.time() - seen.create_time(), sum(seen.cpu_times()[:2])]
            peak = int(Path(f"/proc/{seen.pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
        except (psutil.Error, OSError, IndexError):
            # It has ended.
            continue
        of = measured[rule]
        of["seconds"] += spent[0] - before[0]
        of["processor"] += spent[1] - before[1]
        of["peak_mb"] = max(of["peak_mb"], peak)
        jobs[seen.pid][1:] = spent


def run(place: Path, name: str, save: dict) -> None:
    """Run the workflow, print its progress, and add its figures to the file of all figures."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--cores", "all"]
    command += ["--directory", str(place), "--configfile", str(place / "config.yaml")]
    of = save.setdefault(name, {"seconds": 0.0, "done": False, "rules": {}})
    log, jobs, before = place / f"{name.replace(',', '').replace(' ', '-')}.log", {}, of["seconds"]
    index, begun_at = place / "results/index/pretrained.json", time.time()
    start = told = time.perf_counter()
    with log.open("a") as stream:
        begun = stream.tell()
        process = psutil.Popen(command, cwd=REPOSITORY, stdout=stream, stderr=stream)
        while process.poll() is None:
            look(of["rules"], jobs, process)
            of["seconds"] = before + time.perf_counter() - start
            if time.perf_counter() - told > EVERY_SECONDS:
                told = time.perf_counter()
                steps = re.findall(r"\d+ of \d+ steps \(\S+\) done", log.read_text()[begun:])
                running = sorted({rule for pid, (rule, *_) in jobs.items() if psutil.pid_exists(pid)} - {"Snakemake"})
                where = f"{steps[-1] if steps else 'no step done'}; running: {', '.join(running) or 'nothing'}"
                print(f"{name}: {of['seconds'] / 60:.1f} minutes, {where}", file=sys.stderr, flush=True)
                store(place, save)
            time.sleep(0.1)
    if process.returncode:
        sys.exit(f"the run failed, see {log}")
    of["done"] = True
    if index.stat().st_mtime > begun_at:
        of["index"] = before + index.stat().st_mtime - begun_at
    store(place, save)


def store(place: Path, save: dict) -> None:
    """Write the figures, whole or not at all."""
    temporary = place / "measured.part"
    temporary.write_text(json.dumps(save, indent=1))
    temporary.rename(place / "measured.json")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True, help="where the images and the results are kept")
    parser.add_argument("--images", type=int, default=100_000, help="how many to generate")
    parser.add_argument("--index", default="kdtree", help="the kind of index; auto needs `make extras`")
    options = parser.parse_args()
    place, known = options.directory.absolute(), options.directory / "measured.json"
    place.mkdir(parents=True, exist_ok=True)
    asked = {"images": options.images, "index": options.index}
    save = json.loads(known.read_text()) if known.exists() else asked
    if asked.items() - save.items():
        begun = f"--images {save['images']} --index {save['index']}"
        sys.exit(f"{place} was begun with {begun}: name another folder, or the same options")
    store(place, save)
    print(f"writing {options.images:,} images to {place / 'images'}", file=sys.stderr, flush=True)
    (place / "images").mkdir(exist_ok=True)
    with ProcessPoolExecutor(THREADS) as pool:
        list(pool.map(partial(generate, place / "images", options.images), range(CATEGORIES)))
    (place / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"index": {"kind": options.index}}))
    for name in RUNS:
        if name == RUNS[-1]:
            picture(10**7).save(place / "images" / "category000" / "added.jpg")
        if not save.get(name, {}).get("done"):
            run(place, name, save)
    print(
        f"{options.images:,} images of {SIDE} x {SIDE} pixels, 1 method, index {options.index}; {THREADS} processors\n"
    )
    minutes = {name: [save[name]["seconds"] / 60, save[name].get("index", 0) / 60] for name in RUNS}
    rows = [[name, f"{every:.1f}", f"{index:.1f}" if index else ""] for name, (every, index) in minutes.items()]
    table(["run", "minutes", "the index after"], rows)
    for name in RUNS:
        rules = save[name]["rules"]
        rows = [
            [rule, str(of["jobs"]), f"{of['seconds']:.1f}", f"{of['processor']:.1f}", f"{of['peak_mb']:,.0f}"]
            for rule, of in sorted(rules.items(), key=lambda item: (item[0] == "Snakemake", -item[1]["seconds"]))
        ]
        table([name, "jobs", "seconds", "processor seconds", "peak MB of a job"], rows)


if __name__ == "__main__":
    main()
