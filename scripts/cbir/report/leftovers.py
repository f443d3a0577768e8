"""Remove results that the configuration no longer asks for: of methods, queries and refinements that were taken out."""

from collections.abc import Collection, Mapping
from pathlib import Path

from cbir.files.atomic import replaced_name
from cbir.results import (
    ENCODED_OUTSIDE,
    ENCODED_PART,
    FILES,
    INDEX,
    JOBS,
    OF_LABELS,
    OF_PROTOCOLS,
    OF_SEVERAL_METHODS,
    match,
)

# The first that matches counts.
_PATTERNS = (
    *(f"logs/{job}.log" for job in JOBS),
    *(f"benchmarks/{job}.tsv" for job in JOBS),
    # See `cbir.files.atomic.sole_writer`.
    ENCODED_OUTSIDE.replace("{outside}", ".{outside}") + ".lock",
    ENCODED_PART.replace("{shard}", "{outside}"),
    *FILES,
)
_JOBS_OF_LABELS = ("suspects", "compare_methods", "evaluate/{method}", "plot_evaluation/{method}")
_OF_LABELS = (
    *OF_LABELS,
    *(f"{kind}/{job}.{ending}" for job in _JOBS_OF_LABELS for kind, ending in (("logs", "log"), ("benchmarks", "tsv"))),
)


def remove(results: str | Path, asked: Mapping[str, Collection[str]], endings: Collection[str]) -> list[str]:
    """Remove the results of what is no longer asked for, and the folders that become empty.

    Files that the workflow does not write are left alone. So are networks and the encoded shards of the collection:
    they took hours, and an encoder may be wanted again.

    Args:
        results: the folder ``results`` of a run.
        asked: what the wildcards of `cbir.results` may stand for; those that it does not list may stand for anything.
            ``labels`` is empty where the images have none.
            ``protocol``: which of `cbir.results.OF_PROTOCOLS` there are.
            Methods may have several kinds of index, so ``stored``, if given, lists the names of their files.
        endings: those of the files of all kinds of index.

    Returns:
        The removed files, relative to ``results``, sorted.
    """
    results = Path(results)
    removed = []
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        # A run may have been killed while it wrote what is no longer asked for.
        whole = path.with_name(replaced_name(path.name)).relative_to(results).as_posix()
        if path.is_dir() or not _is_left_over(whole, asked, endings):
            continue
        path.unlink()
        removed.append(name)
        for folder in list(path.parents)[: len(Path(name).parts) - 1]:
            if any(folder.iterdir()):
                break
            folder.rmdir()
    return removed


def _is_left_over(name: str, asked: Mapping[str, Collection[str]], endings: Collection[str]) -> bool:
    if not asked.get("labels", True) and any(match(pattern, name) is not None for pattern in _OF_LABELS):
        return True
    if name in OF_SEVERAL_METHODS:
        return len(asked["method"]) < 2
    for what, patterns in OF_PROTOCOLS.items():
        if what not in asked.get("protocol", OF_PROTOCOLS) and any(match(made, name) is not None for made in patterns):
            return True
    for pattern in _PATTERNS:
        values = match(pattern, name)
        if values is not None and values.get("ending") in (None, *endings):
            if pattern == INDEX and "{method}.{ending}".format(**values) not in asked.get("stored", [Path(name).name]):
                return True
            return any(value not in asked[wildcard] for wildcard, value in values.items() if wildcard in asked)
    return False
