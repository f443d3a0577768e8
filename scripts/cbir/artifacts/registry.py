"""The kinds of artifacts: the name of the file, what it is, and the function that checks it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cbir import results
from cbir.artifacts import answers, collection, evaluation, features, networks, quality, report, workflow
from cbir.artifacts.found import Found
from cbir.files.errors import InputError
from cbir.results import Results, match
from cbir.retrieval.indexes import REGISTRY as INDEXES

Look = Callable[[Results, Path, dict[str, str], Found], None]


@dataclass(frozen=True)
class Kind:
    """A kind of artifact.

    Attributes:
        pattern: its name, of `cbir.results`.
        what: what it is, in a line.
        look: fills a `Found`, given the results, the file and what the names of the pattern stand for; it raises
            `InputError` when the file is damaged or does not fit the files beside it.
        folder: it is a folder, which counts as one.
    """

    pattern: str
    what: str
    look: Look
    folder: bool = False


def _index_files() -> dict[str, str]:
    """Return the labels of the kinds of index whose files have each suffix."""
    labels: dict[str, list[str]] = {}
    for kind in INDEXES.values():
        labels.setdefault(kind.SUFFIX, []).append(kind.LABEL)
    return {suffix: " or ".join(names) for suffix, names in labels.items() if suffix}


# The first that matches counts.
KINDS = (
    Kind(results.IMAGES, "the usable images of the collection", collection.images),
    Kind(results.REJECTED, "files of the collection that could not be used, and why", collection.rejected),
    Kind(results.NOTES, "what is odd about images that are used", collection.notes),
    Kind(results.RANGES, "which value is white in images that do not state their range", collection.ranges),
    Kind(results.CATEGORIES, "the label of each category", collection.categories),
    Kind(results.HASHES, "perceptual hashes of each content, as it is and mirrored", quality.hashes),
    Kind(results.GROUPS, "which contents are near-duplicates", quality.groups),
    Kind(results.NEAR_DUPLICATES, "near-duplicates and the split each is in", quality.listed),
    Kind(results.RELEVANCE, "which images somebody judged for which query", collection.relevance),
    Kind(results.SUSPECTS, "images that are likely mislabelled, the clearest first", quality.suspects),
    Kind(results.SHARD_MANIFEST, "a part of the collection that is encoded in one go", collection.shard),
    Kind(results.CONTENTS_MEMORY, "hashes of files already read, so that none is read twice", workflow.memory),
    Kind(results.DECODED_MEMORY, "what decoding images found, by content", workflow.memory),
    Kind(results.SOURCE_FOLDER, "images that a source brought", collection.source_folder, folder=True),
    Kind(results.SOURCE_IMAGE, "an image that a source brought", collection.source_image),
    Kind(results.CREDITS, "where the images of a source come from, and their licences", collection.credits),
    Kind(results.SPLIT, "the images of a split", collection.split),
    Kind(results.WEIGHTS, "weights that were fetched for all encoders", networks.fetched),
    Kind(results.WEIGHTS_ABOUT, "where fetched weights come from", networks.fetched_about),
    Kind(results.NETWORK, "a network", networks.network),
    Kind(results.NETWORK_ABOUT, "what a network is and where its weights came from", networks.about),
    Kind(results.HISTORY, "a training, epoch by epoch", networks.history),
    Kind(results.CHECKPOINT, "a training's last state; a cut one goes on from it", networks.checkpoint),
    Kind(results.CHECKPOINT_CODE, "the code that finished a training", networks.finished),
    Kind(results.TRAINING_PICTURE, "a picture of a training", report.svg),
    Kind(results.ENCODED, "features of one encoder by image content", networks.encoded),
    Kind(results.ENCODED_PART, "encoded rows of a run that is not finished", networks.part),
    Kind(results.FEATURES, "a feature store: a method's vectors of a split", features.feature_store),
    Kind(results.TRANSFORM, "what a derived method was fitted to, on the gallery alone", features.transform),
    *(
        Kind(results.INDEX.replace(".{ending}", suffix), f"an index over the gallery: {labels}", features.index_file)
        for suffix, labels in _index_files().items()
    ),
    Kind(results.INDEX_QUALITY, "what an approximate index misses, and its times", features.index_quality),
    Kind(results.INDEX_ABOUT, "what an index was built from", features.index_about),
    Kind(results.SUMMARY, "the figures of a method", evaluation.summary),
    Kind(results.METHOD_CATEGORIES, "the figures of each category, best F1 first", evaluation.categories),
    Kind(results.METHOD_QUERIES, "each query's predicted category and figures", evaluation.queries),
    Kind(results.NEIGHBOURS, "each query's nearest images", evaluation.neighbours),
    Kind(results.CONFUSION, "the confusion matrix: rows true, columns predicted", evaluation.confusion),
    Kind(results.WORST, "the category with the lowest F1, looked into", evaluation.worst),
    Kind(
        results.CMC,
        "the cumulative match characteristic: how many queries have a right image by a rank",
        evaluation.cmc,
    ),
    Kind(results.FOLDS, "the figures of each fold", evaluation.folds),
    Kind(results.CALIBRATION, "how sure a result is, and when a query is new", evaluation.calibrated),
    Kind(results.CALIBRATION_PICTURE, "a picture of how sure a result is", report.svg),
    Kind(results.CONFUSION_PICTURE, "a picture of the confusion matrix", report.svg),
    Kind(results.METHOD_CATEGORIES_PICTURE, "a picture of the figures of each category", report.svg),
    Kind(results.METHODS, "the methods' figures side by side, with intervals", evaluation.methods),
    Kind(results.COMPARED_CATEGORIES, "the F1 of each category with each method", evaluation.method_categories),
    Kind(results.BEST_WORST, "each method's best and worst categories", evaluation.best_worst),
    Kind(results.PAIR_TABLE, "the difference in F1 of two methods, by category", evaluation.pair_table),
    Kind(results.PAIR, "which differences between two methods are real", evaluation.pair),
    Kind(results.METHODS_PICTURE, "a picture of the methods' figures", report.svg),
    Kind(results.COMPARED_CATEGORIES_PICTURE, "a picture of the F1 of each category", report.svg),
    Kind(results.PAIR_PICTURE, "a picture of the difference in F1 of two methods", report.svg),
    Kind(results.QUERY, "an example query and its nearest images", answers.query),
    Kind(results.QUERY_PICTURE, "a picture of a query and its nearest images", report.png),
    Kind(results.GAIN, "what a simulated user's judgements gain", answers.gain),
    Kind(results.EXAMPLE, "one refinement by the simulated user", answers.rounds),
    Kind(results.ROUNDS, "a refinement, round by round", answers.rounds),
    Kind(results.ROUND_RESULTS, "the results of each round of a refinement", answers.round_table),
    Kind(results.ROUND_VECTORS, "the query vector of each round of a refinement", answers.vectors),
    Kind(results.REFINEMENT_PICTURE, "a picture of a refinement", report.png),
    Kind(results.EXAMPLE_PICTURE, "a picture of a refinement by the simulated user", report.png),
    Kind(results.GAIN_PICTURE, "a picture of what feedback gains", report.svg),
    Kind(results.REPORT, "the report", report.report),
    Kind(results.CONFIGURATION, "the configuration of the run that the report shows", workflow.configuration),
    Kind(results.SNAKEMAKE_REPORT, "Snakemake's own report", report.html),
    Kind(results.LOG, "the log of a job", workflow.log),
    Kind(results.BENCHMARK, "the time and memory of a job", workflow.benchmark),
)


def locate(path: Path) -> tuple[Path, Kind, dict[str, str]]:
    """Return the results that a file belongs to, its kind, and what the wildcards of the kind's pattern stand for.

    A folder of results is recognised by its folder ``collection``. For a file that was copied out of its results, the
    longest part of its path that fits a pattern counts.

    Raises:
        InputError: when the file is none that the workflow makes.
    """
    candidates = []
    parents = list(path.absolute().parents)
    for root in parents:
        name = path.absolute().relative_to(root).as_posix()
        for kind in KINDS:
            names = match(kind.pattern, name)
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
