"""Checks of files about a run: configuration, logs, benchmarks, and cached hashes of files."""

from importlib import resources
from pathlib import Path

import pandas as pd
import yaml

from cbir.artifacts.found import ROWS, Found
from cbir.artifacts.report import read_whole
from cbir.files.errors import InputError
from cbir.results import SUMMARY, Results, read_object
from cbir.workflow import configuration as config

_SCHEMA = resources.files("cbir.workflow") / "config.schema.yaml"


def configuration(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Check it as the workflow does, and compare its methods with those that were evaluated."""
    settings = config.check(read_object(path), yaml.safe_load(_SCHEMA.read_text(encoding="utf-8")))
    found.fits.append(_SCHEMA.name)
    found.count = f"{len(settings['encoders'])} encoders, {len(settings['methods'])} methods"
    found.source = {key: config.canonical(value) for key, value in settings.items()}
    evaluated = settings["methods"] if settings["collection"]["labels"] != "none" else ()
    absent = next((name for name in evaluated if not results.path(SUMMARY, method=name).is_file()), None)
    found.require(
        absent is None, "evaluation", f"{path} has the method {absent!r}, which is not evaluated", "run again"
    )


def log(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Show the last lines."""
    lines = read_whole(path).splitlines()
    found.count = f"{len(lines):,} lines"
    found.rows = pd.DataFrame({"last lines": lines[-ROWS:]})


def benchmark(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Show time (seconds) and memory (megabytes)."""
    try:
        table = pd.read_csv(path, sep="\t")[["s", "h:m:s", "max_rss", "cpu_time"]]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is not a table of time and memory ({error}): remove it and run again.") from None
    found.count = f"{len(table)} jobs"
    found.rows = table


def memory(results: Results, path: Path, names: dict[str, str], found: Found) -> None:
    """Count the entries. The next run keeps those that are still valid."""
    cached = read_object(path)
    entries = cached.get("files", cached.get("images"))
    if not isinstance(entries, dict):
        raise InputError(f"{path} is not a cache of the workflow: remove it and run again.")
    found.count = f"{len(entries):,} entries"
