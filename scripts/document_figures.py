"""Run the workflow and write its metrics into the tables of README.md and docs/.

    python scripts/document_figures.py --directory DIR [--animals FOLDER]

The runs are kept in DIR: ``sample`` is the run of `make run`; ``animals`` is configs/cpu.yaml on FOLDER, which has a
sub-folder for each category. Results are written between two marks in the documents, ``<!-- figures: RUN KIND -->`` and
``<!-- end of figures -->``; `KINDS` lists the kinds. They include the machine and the commit. Tables of a run that is
not selected are not changed.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from cbir.evaluation.measure import compared_metrics, written
from cbir.files.tables import read_csv, write_text

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUNS = {"sample": [], "animals": ["--configfile", "configs/cpu.yaml"]}
"""Arguments of Snakemake for each run, without the folder of the animals."""
BLOCK = re.compile(r"(<!-- figures: (\S+) (\S+) -->\n).*?(<!-- end of figures -->\n)", re.S)


def rewrite(text: str, blocks: Mapping[tuple[str, str], Callable[[], str]]) -> str:
    """Return a document with new blocks.

    Args:
        text: the document.
        blocks: a function that returns the text of a block, by run and kind. Blocks of other runs are kept.

    Raises:
        ValueError: when the document has a block of an unknown kind.
    """

    def block(found: re.Match[str]) -> str:
        begin, run, kind, end = found.groups()
        if run not in {name for name, _ in blocks}:
            return found[0]
        if (run, kind) not in blocks:
            raise ValueError(f"there are no figures of the kind {kind!r}: {begin.strip()}")
        return f"{begin}{blocks[run, kind]()}\n{end}"

    return BLOCK.sub(block, text)


def table(rows: list[list[str]]) -> str:
    """Return rows, of which the first is the header, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]])


def methods(results: Path) -> str:
    """Return a table of the metrics of each method, with their intervals for new images and for new categories."""
    found = _numbers(results / "comparison/methods.csv", ["method"])
    metrics = compared_metrics()
    rows = [["method", *(metric.NAME for metric in metrics.values())]]
    for row in found.to_dict("records"):
        cells = [f"`{row['method']}`"]
        for key, metric in metrics.items():
            ends = ("", "_low", "_high", "_categories_low", "_categories_high")
            value, low, high, lower, higher = (written(metric, row[f"{key}{end}"]) for end in ends)
            low, lower = (end.removesuffix(" %") for end in (low, lower))
            cells.append(f"{value} ({low} to {high}; {lower} to {higher})")
        rows.append(cells)
    return table(rows)


def findings(results: Path) -> str:
    """Return the finding of each comparison of two methods, as a list."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((results / "comparison").glob("*.json"))]
    return "\n".join(f"- `{pair['a']}` and `{pair['b']}`. {pair['words']}" for pair in found)


def unseen(results: Path) -> str:
    """Return a table of the ANMRR over images that no network was trained on, and over as many train images."""
    rows = [["method", "images in the gallery", "ANMRR, not trained on", "ANMRR, train images"]]
    for path in sorted((results / "evaluation").glob("*/summary.json")):
        found = json.loads(path.read_text(encoding="utf-8"))["unseen_gallery"]
        figures = ["-" if found[key] is None else f"{found[key]:.3f}" for key in ("anmrr", "anmrr_train")]
        rows.append([f"`{path.parent.name}`", str(found["gallery"]), *figures])
    return table(rows)


def lowest(results: Path) -> str:
    """Return a table of the category with the lowest F1 of each method, on the queries and in bootstrap samples."""
    rows = [["method", "lowest F1 on these queries", "lowest F1 in bootstrap samples of the queries"]]
    for path in sorted((results / "evaluation").glob("*/worst.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        shares = ", ".join(f"{item['category']} {100 * item['share']:.0f} %" for item in found["lowest_in"])
        rows.append([f"`{path.parent.name}`", f"{found['category']} ({found['f1']:.2f})", shares])
    return table(rows)


def feedback(results: Path) -> str:
    """Return a table of the gain by the judgements of the simulated user on the sample of queries, by strategy."""
    rows = []
    for path in sorted((results / "feedback/simulated").glob("*/gain.csv")):
        gain = _numbers(path, ["strategy", "scope", "category"])
        for strategy, of_strategy in gain[gain["scope"] == "sample"].groupby("strategy", sort=False):
            rounds = of_strategy.set_index("round")
            last = int(rounds.index.max())
            if not rows:
                head = [f"precision of unjudged: round {number}" for number in range(1, last + 1)]
                before = f"all results: before, rounds 1 to {last}"
                ends = [f"ANMRR of unjudged: round {number}" for number in sorted({1, last})]
                rows.append(["method (common queries)", "strategy", before, *head, *ends])
            cells = [f"`{path.parent.name}` ({rounds['common_queries'].iloc[0]:.0f})", f"`{strategy}`"]
            cells.append(", ".join(f"{value:.2f}" for value in rounds["precision_at_k"]))
            cells += [_beside_plain(rounds, "precision_at_k", number) for number in range(1, last + 1)]
            cells += [_beside_plain(rounds, "anmrr", number) for number in sorted({1, last})]
            rows.append(cells)
    return table(rows)


def _beside_plain(rounds: pd.DataFrame, figure: str, number: int) -> str:
    name = f"common_residual_{figure}"
    return f"{rounds[name][number]:.2f} ({rounds[f'{name}_plain'][number]:.2f})"


def measured(results: Path) -> str:
    """Return a sentence about the sizes of the run, the machine and the commit."""
    sizes = {name: len(read_csv(results / f"splits/{name}.csv", ["category"])) for name in ("train", "test")}
    count = read_csv(results / "collection/images.csv", ["category"])["category"].agg(["size", "nunique"])
    # The suffix "-dirty" marks uncommitted changes.
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    cores = len(os.sched_getaffinity(0))
    return (
        f"{count['size']:,} photographs in {count['nunique']} categories: {sizes['train']:,} in the gallery, "
        f"{sizes['test']:,} queries. Measured on {cores} cores of {_processor()}, at commit {commit}."
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _numbers(path: Path, texts: list[str]) -> pd.DataFrame:
    found = read_csv(path, texts)
    return found.assign(
        **{name: pd.to_numeric(found[name], errors="coerce") for name in found.columns.difference(texts)}
    )


KINDS = {function.__name__: function for function in (methods, findings, unseen, lowest, feedback, measured)}


def main() -> None:
    """Run the workflow and rewrite the documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--animals", type=Path)
    asked = parser.parse_args()
    names = [name for name in RUNS if name == "sample" or asked.animals]
    blocks = {}
    for run in names:
        folder = asked.directory.resolve() / run
        command = [sys.executable, "-m", "snakemake", "--cores", "all", "--directory", str(folder), *RUNS[run]]
        if run == "animals":
            command += ["--config", "collection=" + json.dumps({"path": str(asked.animals.resolve())})]
        subprocess.run(command, cwd=ROOT, check=True)
        for kind, make in KINDS.items():
            blocks[run, kind] = lambda make=make, folder=folder: make(folder / "results")
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    # All before the first is written, after which git would call the checkout changed.
    rewritten = {path: rewrite(text, blocks) for path, text in texts.items()}
    for path, after in rewritten.items():
        if after != texts[path]:
            write_text(path, after)
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
