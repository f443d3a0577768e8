"""The kinds of artifacts: where each stands, what it is, and the function that looks at it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cbir.artifacts import answers, collection, evaluation, features, networks, pages, quality
from cbir.artifacts.found import Found
from cbir.artifacts.results import Results
from cbir.files.errors import InputError
from cbir.retrieval.indexes import REGISTRY as INDEXES

Look = Callable[[Results, Path, dict[str, str], Found], None]


@dataclass(frozen=True)
class Kind:
    """A kind of artifact.

    Attributes:
        pattern: its path below the results; ``{name}`` stands for one part of a path, ``{name*}`` for any number.
        what: what it is, in a line.
        look: fills a `Found`, given the results, the file and what the names of the pattern stand for; it raises
            `InputError` when the file is damaged or does not belong to what stands beside it.
        folder: it is a folder, which counts as one.
    """

    pattern: str
    what: str
    look: Look
    folder: bool = False

    def match(self, name: str) -> dict[str, str] | None:
        """Return what the names in the pattern stand for in a path below the results; None if it is of another kind."""
        found = re.fullmatch(_expression(self.pattern), name, re.DOTALL)
        return found.groupdict() if found else None


def _expression(pattern: str) -> str:
    parts = re.split(r"\{(\w+\*?)\}", pattern)
    for place in range(1, len(parts), 2):
        name = parts[place]
        parts[place] = f"(?P<{name[:-1]}>.+)" if name.endswith("*") else f"(?P<{name}>[^/]+)"
    return "".join(part if place % 2 else re.escape(part) for place, part in enumerate(parts))


# The first that matches counts.
KINDS = (
    Kind("collection/images.csv", "the usable images of the collection", collection.images),
    Kind("collection/rejected.csv", "files of the collection that could not be used, and why", collection.rejected),
    Kind("collection/notes.csv", "what is odd about images that are used", collection.notes),
    Kind("collection/categories.json", "the label of each category", collection.categories),
    Kind("collection/hashes.csv", "perceptual hashes of each content, as it is and mirrored", quality.hashes),
    Kind("collection/groups.csv", "which contents are near-duplicates", quality.groups),
    Kind("collection/near_duplicates.csv", "near-duplicates and the split each is in", quality.listed),
    Kind("collection/suspects.csv", "images that are likely mislabelled, the clearest first", quality.suspects),
    Kind("collection/shards/{shard}.csv", "a part of the collection that is encoded in one go", collection.shard),
    Kind("collection/memory/contents.json", "hashes of files already read, so that none is read twice", pages.memory),
    Kind("collection/memory/decoded.json", "what decoding images found, by content", pages.memory),
    Kind("sources/{source}/images", "images that a source brought", collection.source_folder, folder=True),
    Kind("sources/{source}/images/{image*}", "an image that a source brought", collection.source_image),
    Kind(
        "sources/{source}/credits.csv", "where the images of a source come from, and their licences", collection.credits
    ),
    Kind("splits/{split}.csv", "the images of a split", collection.split),
    Kind("weights/{weights}.keras", "weights that were fetched for all encoders", networks.fetched),
    Kind("weights/{weights}.json", "where fetched weights come from", networks.fetched_about),
    Kind("encoders/{encoder}.keras", "a network", networks.network),
    Kind("encoders/{encoder}.json", "what a network is and where its weights came from", networks.about),
    Kind("encoders/{encoder}/history.csv", "a training, epoch by epoch", networks.history),
    Kind(
        "encoders/{encoder}/checkpoint.npz", "a training's last state; a cut one goes on from it", networks.checkpoint
    ),
    Kind("encoders/{encoder}/checkpoint.code", "the code that finished a training", networks.finished),
    Kind("encoders/{encoder}/{picture}.svg", "a picture of a training", pages.svg),
    Kind("encoded/{encoder}/{runtime}/{shard}.h5", "features of one encoder by image content", networks.encoded),
    Kind(
        "encoded/{encoder}/{runtime}/{shard}.parts/{part}.h5",
        "encoded rows of a run that is not finished",
        networks.part,
    ),
    Kind("features/{method}/{split}.h5", "a feature store: a method's vectors of a split", features.feature_store),
    Kind("transforms/{method}.h5", "what a derived method was fitted to, on train alone", features.transform),
    *(
        Kind(f"index/{{method}}{kind.SUFFIX}", f"an index over a train store: {kind.LABEL}", features.index_file)
        for kind in INDEXES.values()
        if kind.SUFFIX
    ),
    Kind("index/{method}.json", "what an index was built from", features.index_about),
    Kind("evaluation/{method}/summary.json", "the figures of a method", evaluation.summary),
    Kind("evaluation/{method}/categories.csv", "the figures of each category, best F1 first", evaluation.categories),
    Kind("evaluation/{method}/queries.csv", "each query's predicted category and figures", evaluation.queries),
    Kind("evaluation/{method}/neighbours.csv", "each query's nearest images", evaluation.neighbours),
    Kind(
        "evaluation/{method}/confusion.csv", "the confusion matrix: rows true, columns predicted", evaluation.confusion
    ),
    Kind("evaluation/{method}/worst.json", "the category with the lowest F1, looked into", evaluation.worst),
    Kind("evaluation/{method}/{picture}.svg", "a picture of an evaluation", pages.svg),
    Kind("comparison/methods.csv", "the methods' figures side by side, with intervals", evaluation.methods),
    Kind("comparison/categories.csv", "the F1 of each category with each method", evaluation.method_categories),
    Kind("comparison/best_worst.csv", "each method's best and worst categories", evaluation.best_worst),
    Kind("comparison/{a}_vs_{b}.csv", "the difference in F1 of two methods, by category", evaluation.pair_table),
    Kind("comparison/{a}_vs_{b}.json", "which differences between two methods are real", evaluation.pair),
    Kind("comparison/{picture}.svg", "a picture of a comparison", pages.svg),
    Kind("queries/{method}/{query}.json", "an example query and its nearest images", answers.query),
    Kind("queries/{method}/{query}.png", "a picture of a query and its nearest images", pages.png),
    Kind("feedback/simulated/{method}/gain.csv", "what a simulated user's judgements gain", answers.gain),
    Kind("feedback/simulated/{method}/example.json", "one refinement by the simulated user", answers.rounds),
    Kind("feedback/{refinement}/rounds.json", "a refinement, round by round", answers.rounds),
    Kind("feedback/{refinement}/results.csv", "the results of each round of a refinement", answers.round_table),
    Kind("feedback/{refinement}/vectors.h5", "the query vector of each round of a refinement", answers.vectors),
    Kind("feedback/{refinement*}/{picture}.png", "a picture of a refinement", pages.png),
    Kind("feedback/{refinement*}/{picture}.svg", "a picture of what feedback gains", pages.svg),
    Kind("report.html", "the report", pages.report),
    Kind("configuration.json", "the configuration of the run that the report shows", pages.configuration),
    Kind("snakemake-report.html", "Snakemake's own report", pages.html),
    Kind("logs/{log*}", "the log of a job", pages.log),
    Kind("benchmarks/{rule*}.tsv", "the time and memory of a job", pages.benchmark),
)


def locate(path: Path) -> tuple[Path, Kind, dict[str, str]]:
    """Return the results that a file stands in, its kind, and what the names in the kind's pattern stand for.

    Results are known by their folder ``collection``; a file that was carried away from them by the most of its path
    that fits.

    Raises:
        InputError: when the file is none that the workflow makes.
    """
    candidates = []
    parents = list(path.absolute().parents)
    for root in parents:
        name = path.absolute().relative_to(root).as_posix()
        for kind in KINDS:
            names = kind.match(name)
            if names is not None and kind.folder == path.is_dir():
                candidates.append(((root / "collection").is_dir(), len(name), root, kind, names))
                break
    if not candidates:
        raise InputError(f"{path} is no artifact of the workflow: name a file or folder below a run's results.")
    _, _, root, kind, names = max(candidates, key=lambda candidate: candidate[:2])
    return _as_given(path, root), kind, names


def _as_given(path: Path, root: Path) -> Path:
    """Return the folder ``root`` in the words of ``path``, so that messages name files as the person did."""
    depth = len(path.absolute().relative_to(root).parts)
    return path.parents[depth - 1] if depth <= len(path.parents) else root
