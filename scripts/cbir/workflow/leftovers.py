"""Results of what the configuration no longer asks for: methods, queries and refinements that were taken out."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

# Files below results/ whose names depend on the configuration. A name in braces must be one that is asked for. Networks
# and the encoded shards of the collection are not listed: they took hours, and an encoder may be wanted again.
_FILES = (
    "splits/{split}.csv",
    "encoded/[^/]+/[^/]+/{outside}.h5",
    r"encoded/[^/]+/[^/]+/\.{outside}.h5.lock",
    "features/{method}/{split}.h5",
    "transforms/{derived}.h5",
    r"index/{method}\.{ending}",
    "evaluation/{method}/[a-z]+.(json|csv|svg)",
    "comparison/{pair}.(csv|json|svg)",
    "comparison/{comparison}.(csv|svg)",
    "queries/{method}/{query}.(json|png)",
    "feedback/{refinement}/(rounds.json|results.csv|vectors.h5|refinement.png)",
    "feedback/simulated/{simulated}/(gain|example).(csv|svg|json|png)",
    "logs/outside/{split}.log",
    "(logs|benchmarks)/encode/[^/]+/[^/]+/{outside}.(log|tsv)",
    "logs/(assemble|derive)/{method}/{split}.log",
    "logs/(fit|choose)/{derived}.log",
    "(logs|benchmarks)/(index|evaluate)/{method}.(log|tsv)",
    "logs/plot_evaluation/{method}.log",
    "logs/compare_pair/{pair}.log",
    "logs/query/{method}/{query}.log",
    "logs/refine/{refinement}.log",
    "(logs|benchmarks)/simulate/{simulated}.(log|tsv)",
    "logs/plot_simulation/{simulated}.log",
)
_NAMES = {"pair": ".+_vs_.+", "outside": "outside-[0-9a-f]{8}", "comparison": "methods|categories|best_worst"}
_PATTERNS = [
    re.compile(
        re.sub(
            r"\{([a-z]+)\}",
            lambda found: f"(?P<{found[1]}>{_NAMES.get(found[1], '[^/]+')})",
            file.replace(".(", r"\.("),
        )
    )
    for file in _FILES
]


def remove(
    results: str | Path, asked: Mapping[str, Collection[str]], endings: Collection[str] = ("json", "pkl")
) -> list[str]:
    """Remove the results of what is no longer asked for, and the folders that become empty.

    Files that the workflow does not write are left alone, and so are networks and the collection's encoded shards.

    Args:
        results: the folder ``results`` of a run.
        asked: the names that are asked for, by kind: the keys ``split``, ``outside``, ``method``, ``derived``,
            ``pair``, ``comparison``, ``query``, ``refinement``, ``simulated``, and ``ending``, of an index's files.
        endings: those of the files of all kinds of index.

    Returns:
        The removed files, relative to ``results``, sorted.
    """
    results = Path(results)
    removed = []
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        match = next(filter(None, (pattern.fullmatch(name) for pattern in _PATTERNS)), None)
        if match and match.groupdict().get("ending") not in (None, *endings):
            continue
        if match and any(value not in asked[kind] for kind, value in match.groupdict().items()) and not path.is_dir():
            path.unlink()
            removed.append(name)
            for folder in list(path.parents)[: len(Path(name).parts) - 1]:
                if any(folder.iterdir()):
                    break
                folder.rmdir()
    return removed
