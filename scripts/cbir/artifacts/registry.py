"""The kinds of artifacts: the pattern of the path, a description, and the function that checks a file."""

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
        pattern: the pattern of its path, from `cbir.results`.
        what: its description, in a line.
        look: fills a `Found`. Its arguments are the results, the file, the values of the pattern's wildcards, and the
            `Found`. It raises `InputError` when the file is damaged or does not fit the others.
        folder: whether it is a folder that counts as one artifact.
    """

    pattern: str
    what: str
    look: Look
    folder: bool = False


def _index_files() -> dict[str, str]:
    """Return, for each suffix of an index file, the labels of the index kinds that use it."""
    labels: dict[str, list[str]] = {}
    for kind in INDEXES.values():
        labels.setdefault(kind.SUFFIX, []).append(kind.LABEL)
    return {suffix: " or ".join(names) for suffix, names in labels.items() if suffix}


# The first pattern that matches a file decides its kind.
KINDS = (
    Kind(results.IMAGES, "the usable images of the collection", collection.images),
    Kind(results.REJECTED, "files of the collection that could not be used, and why", collection.rejected),
    Kind(results.NOTES, "notes about unusual images that are used", collection.notes),
    Kind(results.RANGES, "which value is white in images that do not state their range", collection.ranges),
    Kind(results.CATEGORIES, "the label of each category", collection.categories),
    Kind(results.HASHES, "perceptual hashes of each content and of its mirror image", quality.hashes),
    Kind(results.GROUPS, "which contents are near-duplicates", quality.groups),
    Kind(results.NEAR_DUPLICATES, "near-duplicates and the split each is in", quality.listed),
    Kind(results.RELEVANCE, "the list of relevant and junk images of each query", collection.relevance),
    Kind(results.SUSPECTS, "images that are likely mislabelled, the clearest first", quality.suspects),
    Kind(results.SHARD_MANIFEST, "the images of a shard, which one job encodes", collection.shard),
    Kind(results.CONTENTS_MEMORY, "hashes of files already read, so that none is read twice", workflow.memory),
    Kind(results.DECODED_MEMORY, "cached results of decoding images, by content", workflow.memory),
    Kind(results.COMPARED_MEMORY, "the pairs of near images, so that only new images are compared", quality.compared),
    Kind(results.SUSPECTS_MEMORY, "the nearest pictures, so that only new images are searched", quality.neighbours),
    Kind(results.SOURCE_FOLDER, "the images of a source", collection.source_folder, folder=True),
    Kind(results.SOURCE_IMAGE, "an image of a source", collection.source_image),
    Kind(results.CREDITS, "where the images of a source come from, and their licences", collection.credits),
    Kind(results.SPLIT, "the images of a split", collection.split),
    Kind(results.WEIGHTS, "downloaded weights of an architecture", networks.fetched),
    Kind(results.WEIGHTS_ABOUT, "the origin of downloaded weights", networks.fetched_about),
    Kind(results.NETWORK, "a network", networks.network),
    Kind(results.NETWORK_ABOUT, "the description of a network and the origin of its weights", networks.about),
    Kind(results.HISTORY, "the history of a training, a row for each epoch", networks.history),
    Kind(results.CHECKPOINT, "the last state of a training, from which it can continue", networks.checkpoint),
    Kind(results.CHECKPOINT_CODE, "the hash of the code that finished a training", networks.finished),
    Kind(results.TRAINING_PICTURE, "a chart of a training", report.svg),
    Kind(results.ENCODED, "a shard: one encoder's features by image content", networks.encoded),
    Kind(results.ENCODED_PART, "the rows of a shard whose encoding is not finished", networks.part),
    Kind(results.FEATURES, "a feature store: a method's vectors of a split", features.feature_store),
    Kind(results.TRANSFORM, "the transform of a derived method, fitted on the gallery", features.transform),
    *(
        Kind(results.INDEX.replace(".{ending}", suffix), f"an index over the gallery: {labels}", features.index_file)
        for suffix, labels in _index_files().items()
    ),
    Kind(results.INDEX_QUALITY, "the recall and the search times of an approximate index", features.index_quality),
    Kind(results.INDEX_ROWS, "where the rows of an approximate index are in the gallery now", features.index_rows),
    Kind(results.INDEX_ABOUT, "what an index was built from", features.index_about),
    Kind(results.SUMMARY, "the figures of a method", evaluation.summary),
    Kind(results.METHOD_CATEGORIES, "the figures of each category, best F1 first", evaluation.categories),
    Kind(results.METHOD_QUERIES, "each query's predicted category and figures", evaluation.queries),
    Kind(results.NEIGHBOURS, "each query's nearest images", evaluation.neighbours),
    Kind(results.CONFUSION, "the confusion matrix: rows true, columns predicted", evaluation.confusion),
    Kind(results.WORST, "details of the category with the lowest F1", evaluation.worst),
    Kind(
        results.CMC,
        "the cumulative match characteristic: the share of queries with a right image up to a rank",
        evaluation.cmc,
    ),
    Kind(results.RANKS_MEMORY, "the ranks of the right images, so that only changes are ranked", evaluation.ranks),
    Kind(results.GALLERY_MEMORY, "the gallery that was evaluated", features.earlier_gallery),
    Kind(results.FOLDS, "the figures of each fold", evaluation.folds),
    Kind(results.CALIBRATION, "the probability of a result, and when a query is new", evaluation.calibrated),
    Kind(results.CALIBRATION_PICTURE, "a chart of the probability of a result", report.svg),
    Kind(results.CONFUSION_PICTURE, "a chart of the confusion matrix", report.svg),
    Kind(results.METHOD_CATEGORIES_PICTURE, "a chart of the figures of each category", report.svg),
    Kind(results.METHODS, "the methods' figures side by side, with intervals", evaluation.methods),
    Kind(results.COMPARED_CATEGORIES, "the F1 of each category with each method", evaluation.method_categories),
    Kind(results.BEST_WORST, "each method's best and worst categories", evaluation.best_worst),
    Kind(results.PAIR_TESTS, "which differences between any two methods are real", evaluation.pair_tests),
    Kind(results.PAIR_TABLE, "the difference in F1 of two methods, by category", evaluation.pair_table),
    Kind(results.PAIR, "which differences between two methods are real", evaluation.pair),
    Kind(results.METHODS_PICTURE, "a chart of the methods' figures", report.svg),
    Kind(results.COMPARED_CATEGORIES_PICTURE, "a chart of the F1 of each category", report.svg),
    Kind(results.PAIR_PICTURE, "a chart of the difference in F1 of two methods", report.svg),
    Kind(results.QUERY, "an example query and its nearest images", answers.query),
    Kind(results.QUERY_PICTURE, "a picture of a query and its nearest images", report.png),
    Kind(results.GAIN, "the gain by a simulated user's judgements", answers.gain),
    Kind(results.EXAMPLE, "one refinement by the simulated user", answers.rounds),
    Kind(results.ROUNDS, "a refinement, round by round", answers.rounds),
    Kind(results.ROUND_RESULTS, "the results of each round of a refinement", answers.round_table),
    Kind(results.ROUND_VECTORS, "the query vector of each round of a refinement", answers.vectors),
    Kind(results.REFINEMENT_PICTURE, "a picture of a refinement", report.png),
    Kind(results.EXAMPLE_PICTURE, "a picture of a refinement by the simulated user", report.png),
    Kind(results.GAIN_PICTURE, "a chart of the gain by feedback", report.svg),
    Kind(results.REPORT, "the report", report.report),
    Kind(results.CONFIGURATION, "the configuration of the run that the report shows", workflow.configuration),
    Kind(results.SNAKEMAKE_REPORT, "Snakemake's own report", report.html),
    Kind(results.LOG, "the log of a job", workflow.log),
    Kind(results.BENCHMARK, "the time and memory of a job", workflow.benchmark),
)


def locate(path: Path) -> tuple[Path, Kind, dict[str, str]]:
    """Return the results that a file belongs to, its kind, and the values of the wildcards of the kind's pattern.

    A folder of results is recognised by its sub-folder ``collection``. For a file that was copied out of its results,
    the longest part of its path that matches a pattern decides.

    Raises:
        InputError: when the workflow does not make such a file.
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
        raise InputError(f"{path} is not an artifact of the workflow: name a file or folder below a run's results.")
    _, _, root, kind, names = max(candidates, key=lambda candidate: candidate[:2])
    return _as_given(path, root), kind, names


def _as_given(path: Path, root: Path) -> Path:
    """Return the folder ``root`` relative or absolute as ``path`` is, so that messages name files as the user did."""
    depth = len(path.absolute().relative_to(root).parts)
    return path.parents[depth - 1] if depth <= len(path.parents) else root
