"""Run the workflow with several seeds of split and training, and print mean, spread and a paired test.

    python benchmarks/repeated.py --directory DIR [--repetitions 10] [--configfile FILE ...] [--config KEY=VALUE ...]

Each repetition r runs the workflow up to the evaluations with r as the seed of the split, of every training and of
random weights. DIR keeps the last one's results, and repeated.csv the figures of all; a later call adds what is
missing. An encoder that is not trained encodes in the first repetition alone.

The intervals of a run's report cover the choice of queries. These figures cover split and training as well. The test of
two methods is Nadeau and Bengio's, which allows for repetitions that share most of their images, with Holm's correction
for all pairs and figures of the table.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import numpy as np
import pandas as pd
import yaml
from peers import table

from cbir.evaluation import measure
from cbir.evaluation.significance import corrected_resampled_t_test, holm
from cbir.files.hashes import sha256_json

REPOSITORY = Path(__file__).resolve().parents[1]


def seeds(configuration: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the configuration that a repetition changes: all seeds."""
    encoders = {
        name: ({"seed": seed} if row["weights"] == "random" else {})
        | ({"training": {"seed": seed}} if row["training"] is not None else {})
        for name, row in configuration["encoders"].items()
    }
    return {"split": {"seed": seed}, "encoders": {name: row for name, row in encoders.items() if row}}


def read(results: Path, configuration: dict[str, Any], seed: int) -> pd.DataFrame:
    """Return a row for each method: seed, method, the numbers of queries and of other images, and the metrics."""
    others = sum(len(pd.read_csv(results / f"splits/{name}.csv")) for name in ("train", "val"))
    rows = []
    for method in sorted(configuration["methods"]):
        summary = json.loads((results / f"evaluation/{method}/summary.json").read_text(encoding="utf-8"))
        figures = {key: summary[key] for key in measure.all_metrics()}
        rows.append({"seed": seed, "method": method, "queries": summary["queries"], "others": others, **figures})
    return pd.DataFrame(rows)


def spread(found: pd.DataFrame, keys: Sequence[str]) -> list[list[str]]:
    """Return a row for each method: mean, standard deviation, minimum and maximum of each metric."""
    rows = []
    for method, of_method in found.groupby("method"):
        cells = [f"`{method}`", str(len(of_method))]
        for key in keys:
            metric, values = measure.all_metrics()[key], of_method[key]
            said = [
                measure.written(metric, value) for value in (values.mean(), values.std(), values.min(), values.max())
            ]
            cells.append("{} ± {} ({} to {})".format(*said))
        rows.append(cells)
    return rows


def differences(
    found: pd.DataFrame, pairs: Sequence[Sequence[str]], keys: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Return a row for each pair and metric: a, b, figure, repetitions, difference, low, high, p_value, p_corrected.

    Args:
        found: as `read` returns it, of several seeds.
        pairs: of methods.
        keys: the metrics.
        confidence: of the intervals.
    """
    share = float((found["queries"] / found["others"]).mean())
    rows = []
    for a, b in pairs:
        ours, theirs = (found[found["method"] == name].set_index("seed") for name in (a, b))
        for key in keys:
            of_pair = (ours[key] - theirs[key]).dropna().to_numpy(np.float64)
            interval, p_value = corrected_resampled_t_test(of_pair, share, confidence=confidence)
            rows.append([a, b, key, len(of_pair), interval.mean, interval.low, interval.high, p_value])
    names = ["a", "b", "figure", "repetitions", "difference", "low", "high", "p_value"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(p_corrected=holm(frame["p_value"].to_numpy(np.float64)))


def snakemake(directory: Path, files: list[str], changes: list[str], targets: list[str]) -> None:
    """Run the workflow up to some of its files."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--directory", str(directory)]
    command += ["--configfile", *files] if files else []
    command += ["--config", *changes] if changes else []
    subprocess.run([*command, "--", *targets], cwd=REPOSITORY, check=True)


def arguments(parser: argparse.ArgumentParser, repetitions: int) -> argparse.Namespace:
    """Return the arguments of the command line: directory, which is made, repetitions, configfile and config."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, default=repetitions)
    parser.add_argument("--configfile", nargs="+", default=[])
    parser.add_argument("--config", nargs="+", default=[])
    options = parser.parse_args()
    options.directory = options.directory.resolve()
    options.directory.mkdir(parents=True, exist_ok=True)
    return options


def configuration(directory: Path, files: list[str], changes: list[str]) -> dict[str, Any]:
    """Return the configuration of a run with these files and changes, with all defaults."""
    snakemake(directory, files, changes, ["results/configuration.json"])
    found: dict[str, Any] = json.loads((directory / "results/configuration.json").read_text(encoding="utf-8"))
    return found


def repeat(directory: Path, repetitions: int, files: list[str], changes: list[str]) -> None:
    """Run the repetitions that are missing in the directory, and print the tables.

    Args:
        directory: the folder of the runs.
        repetitions: how many there are to be in the end.
        files: configuration files, as `--configfile` of Snakemake takes them.
        changes: of the configuration, as `--config` takes them.
    """
    settings = configuration(directory, files, changes)
    kept, about, changed = (directory / name for name in ("repeated.csv", "repeated.json", "repeated.yaml"))
    of_what = {"configuration": sha256_json(settings)}
    if kept.exists() and json.loads(about.read_text()) != of_what:
        sys.exit(f"{kept} is of another configuration: take another --directory, or remove it.")
    about.write_text(json.dumps(of_what))
    found = pd.read_csv(kept) if kept.exists() else pd.DataFrame(columns=["seed"])
    for seed in range(repetitions):
        if seed in set(found["seed"]):
            continue
        changed.write_text(yaml.safe_dump(seeds(settings, seed)))
        targets = [f"results/evaluation/{method}/summary.json" for method in settings["methods"]]
        snakemake(directory, [*files, str(changed)], changes, targets)
        found = pd.concat([part for part in (found, read(directory / "results", settings, seed)) if len(part)])
        found.to_csv(kept, index=False)
    keys = list(measure.compared_metrics())
    k = settings["evaluation"]["k"]
    names = [measure.all_metrics()[key].NAME.format(k=k) for key in keys]
    print("\nmean ± standard deviation over splits and trainings (lowest to highest)\n")
    table(["method", "repetitions", *names], spread(found, keys))
    pairs, confidence = settings["comparison"]["pairs"], settings["comparison"]["confidence"]
    if pairs:
        print(
            f"\ndifferences, {100 * confidence:g} % intervals of Nadeau and Bengio's corrected t-test; p after Holm\n"
        )
        head = ["pair", "figure", "repetitions", "difference", "interval", "p", "p corrected"]
        rows = []
        for row in differences(found, pairs, keys, confidence).itertuples():
            cells = [f"`{row.a}` - `{row.b}`", names[keys.index(row.figure)], row.repetitions, f"{row.difference:+.3f}"]
            cells += [f"{row.low:+.3f} to {row.high:+.3f}", f"{row.p_value:.3g}", f"{row.p_corrected:.3g}"]
            # Without any spread there is no test.
            rows.append([re.sub(r"\+?nan( to \+nan)?", "-", str(cell)) for cell in cells])
        table(head, rows)


def main() -> None:
    """Run the repetitions that are missing and print the tables."""
    options = arguments(argparse.ArgumentParser(description=__doc__), repetitions=10)
    repeat(options.directory, options.repetitions, options.configfile, options.config)


if __name__ == "__main__":
    main()
