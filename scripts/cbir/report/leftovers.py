"""Remove results of methods, queries and refinements that are no longer in the configuration."""

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

# The first pattern that matches a file decides.
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
    """Remove the results that are no longer asked for, and the folders that become empty.

    Files that the workflow does not write are kept. So are networks and the encoded shards of the collection, because
    they may have taken hours, and the user may want an encoder again.

    Args:
        results: the folder ``results`` of a run.
        asked: the allowed values of the wildcards of `cbir.results`; a wildcard that is not a key may have any value.
            Three more keys: ``labels`` is empty if images have no categories; ``protocol`` lists the keys of
            `cbir.results.OF_PROTOCOLS` whose files the run makes; ``stored``, if given, lists the names of the files of
            indexes, because methods may have indexes of several kinds.
        endings: the suffixes of the files of all index kinds, without dots.

    Returns:
        The removed files, relative to ``results``, sorted.
    """
    results = Path(results)
    removed = []
    for path in sorted(results.rglob("*")):
        name = path.relative_to(results).as_posix()
        # A temporary file of a killed run is removed if the file that it was to become would be.
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
