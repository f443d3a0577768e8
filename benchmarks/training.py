"""Measure the effect of each choice of fine-tuning: the trained method against variants that differ in one setting.

    python benchmarks/training.py FOLDER --directory DIR

FOLDER has a sub-folder for each category. The workflow runs with configs/cpu.yaml and a further method a variant. Its
results stay in DIR, and a later call continues there. The metrics are those of the test images.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import yaml
from peers import table

REPOSITORY = Path(__file__).resolve().parents[1]
VARIANTS = {
    "random": ("random triplets, as in the study", {"mining": "random"}),
    "moving": ("batch normalisation by each batch's statistics", {"batch_norm": "moving"}),
}
METHODS = [
    ("pretrained", "not trained"),
    ("unit", "not trained, scaled to length 1"),
    ("finetuned", "hardest triplets of each batch, statistics frozen"),
    *((name, words) for name, (words, _) in VARIANTS.items()),
]


def configuration(folder: Path) -> dict:
    """Return the changes of configs/cpu.yaml: a row for each variant."""
    plain, quick = (
        yaml.safe_load((REPOSITORY / path).read_text())["encoders"]["finetuned"]
        for path in ("config.yaml", "configs/cpu.yaml")
    )
    plain["training"] |= quick["training"]
    encoders = {name: plain | {"training": plain["training"] | change} for name, (_, change) in VARIANTS.items()}
    return {
        "collection": {"source": "folder", "path": str(folder.resolve())},
        "encoders": encoders,
        "methods": {name: {"encoder": name} for name in VARIANTS} | {"unit": {"transform": "l2", "of": "pretrained"}},
    }


def main() -> None:
    """Run the workflow and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    added = options.directory.resolve() / "variants.yaml"
    added.write_text(yaml.safe_dump(configuration(options.folder), sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--directory", str(options.directory.resolve())]
    command += ["--configfile", "configs/cpu.yaml", str(added), "--", "results/comparison/methods.csv"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    results = options.directory / "results"
    rows = []
    for name, words in METHODS:
        summary = json.loads((results / f"evaluation/{name}/summary.json").read_text())
        cells = [f"{100 * summary['accuracy']:.1f} %", f"{summary['anmrr']:.3f}", f"{summary['map']:.3f}"]
        times = results / f"benchmarks/train/{name}.tsv"
        if times.exists():
            with times.open() as stream:
                [row] = csv.DictReader(stream, delimiter="\t")
            cells += [f"{float(row['s']) / 60:.1f}", f"{float(row['cpu_time']) / 60:.1f}"]
        else:
            cells += ["", ""]
        rows.append([f"`{name}`: {words}", *cells])
    table(["method", "accuracy", "ANMRR", "MAP", "minutes of training", "processor minutes"], rows)


if __name__ == "__main__":
    main()
