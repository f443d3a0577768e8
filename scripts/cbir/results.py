"""The name of every file below ``results/``, and `Results`, which reads them.

A name is a pattern relative to ``results/``. A wildcard in braces matches one part of a path, and a wildcard with an
asterisk any number of parts. The rules repeat the paths, as is usual in Snakemake; `tests/test_results.py` compares
both.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection.categories import read_categories
from cbir.collection.columns import IMAGE_COLUMNS, SPLIT_COLUMNS
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json

if TYPE_CHECKING:
    from cbir.collection.depths import Whites
    from cbir.features.store import FeatureStore
    from cbir.features.transforms import Transform

CONFIGURATION = "configuration.json"
REPORT = "report.html"
SNAKEMAKE_REPORT = "snakemake-report.html"

IMAGES = "collection/images.csv"
REJECTED = "collection/rejected.csv"
NOTES = "collection/notes.csv"
RANGES = "collection/ranges.json"
CATEGORIES = "collection/categories.json"
HASHES = "collection/hashes.csv"
GROUPS = "collection/groups.csv"
NEAR_DUPLICATES = "collection/near_duplicates.csv"
RELEVANCE = "collection/relevance.csv"
SUSPECTS = "collection/suspects.csv"
SHARD_MANIFEST = "collection/shards/{shard}.csv"
CONTENTS_MEMORY = "collection/memory/contents.json"
DECODED_MEMORY = "collection/memory/decoded.json"
COMPARED_MEMORY = "collection/memory/near_duplicates.h5"
SUSPECTS_MEMORY = "collection/memory/suspects.h5"
SOURCE_FOLDER = "sources/{source}/images"
SOURCE_IMAGE = "sources/{source}/images/{image*}"
CREDITS = "sources/{source}/credits.csv"
SPLIT = "splits/{split}.csv"

WEIGHTS = "weights/{weights}.keras"
WEIGHTS_ABOUT = "weights/{weights}.json"
NETWORK = "encoders/{encoder}.keras"
NETWORK_ABOUT = "encoders/{encoder}.json"
HISTORY = "encoders/{trained}/history.csv"
TRAINING_PICTURE = "encoders/{trained}/training.svg"
CHECKPOINT = "encoders/{trained}/checkpoint.npz"
CHECKPOINT_CODE = "encoders/{trained}/checkpoint.code"

ENCODED_OUTSIDE = "encoded/{encoder}/{runtime}/{outside}.h5"
ENCODED = "encoded/{encoder}/{runtime}/{shard}.h5"
ENCODED_PART = "encoded/{encoder}/{runtime}/{shard}.parts/{part}.h5"
FEATURES = "features/{method}/{split}.h5"
TRANSFORM = "transforms/{derived}.h5"
INDEX_QUALITY = "index/{approximate}.quality.json"
INDEX_ROWS = "index/{approximate}.rows.h5"
INDEX_ABOUT = "index/{method}.json"
INDEX = "index/{method}.{ending}"

SUMMARY = "evaluation/{method}/summary.json"
METHOD_CATEGORIES = "evaluation/{method}/categories.csv"
METHOD_CATEGORIES_PICTURE = "evaluation/{method}/categories.svg"
METHOD_QUERIES = "evaluation/{method}/queries.csv"
NEIGHBOURS = "evaluation/{method}/neighbours.csv"
CONFUSION = "evaluation/{method}/confusion.csv"
CONFUSION_PICTURE = "evaluation/{method}/confusion.svg"
WORST = "evaluation/{method}/worst.json"
CMC = "evaluation/{method}/cmc.csv"
RANKS_MEMORY = "evaluation/{method}/memory.h5"
GALLERY_MEMORY = "evaluation/{method}/memory.gallery.h5"
FOLDS = "evaluation/{method}/folds.csv"
CALIBRATION = "evaluation/{method}/calibration.json"
CALIBRATION_PICTURE = "evaluation/{method}/calibration.svg"

METHODS = "comparison/methods.csv"
METHODS_PICTURE = "comparison/methods.svg"
COMPARED_CATEGORIES = "comparison/categories.csv"
COMPARED_CATEGORIES_PICTURE = "comparison/categories.svg"
BEST_WORST = "comparison/best_worst.csv"
PAIR_TESTS = "comparison/tests.csv"
PAIR = "comparison/{pair}.json"
PAIR_TABLE = "comparison/{pair}.csv"
PAIR_PICTURE = "comparison/{pair}.svg"

QUERY = "queries/{method}/{query}.json"
QUERY_PICTURE = "queries/{method}/{query}.png"
GAIN = "feedback/simulated/{simulated}/gain.csv"
GAIN_PICTURE = "feedback/simulated/{simulated}/gain.svg"
EXAMPLE = "feedback/simulated/{simulated}/example.json"
EXAMPLE_PICTURE = "feedback/simulated/{simulated}/example.png"
ROUNDS = "feedback/{refinement}/rounds.json"
ROUND_RESULTS = "feedback/{refinement}/results.csv"
ROUND_VECTORS = "feedback/{refinement}/vectors.h5"
REFINEMENT_PICTURE = "feedback/{refinement}/refinement.png"

LOG = "logs/{log*}"
BENCHMARK = "benchmarks/{job*}.tsv"

FILES = tuple(value for name, value in list(globals().items()) if name.isupper() and isinstance(value, str))
"""All files."""
OF_SEVERAL_METHODS = (
    *(METHODS, METHODS_PICTURE, COMPARED_CATEGORIES, COMPARED_CATEGORIES_PICTURE, BEST_WORST, PAIR_TESTS),
)
"""Files that a run with a single method does not write."""
OF_LABELS = (
    *(SUSPECTS_MEMORY, RANKS_MEMORY, GALLERY_MEMORY, CONFUSION_PICTURE, CMC, FOLDS, CALIBRATION, CALIBRATION_PICTURE),
    *(SUSPECTS, SUMMARY, METHOD_CATEGORIES, METHOD_CATEGORIES_PICTURE, METHOD_QUERIES, NEIGHBOURS, CONFUSION, WORST),
    *OF_SEVERAL_METHODS,
)
"""Files that a run without labels (``collection.labels: none``) does not write."""
OF_PROTOCOLS = {"relevance": (RELEVANCE,), "folds": (FOLDS,), "calibration": (CALIBRATION, CALIBRATION_PICTURE)}
"""Files that only some split protocols write, by short names."""
JOBS = (
    *("configuration", "collect", "near_duplicates", "suspects", "split", "relevance", "compare_methods", "report"),
    *("fetch/{source}", "weights/{weights}", "encoder/{encoder}", "train/{trained}", "plot_training/{trained}"),
    *("encode/{encoder}/{runtime}/{outside}", "encode/{encoder}/{runtime}/{shard}", "outside/{split}"),
    *("assemble/{method}/{split}", "derive/{method}/{split}", "fit/{derived}", "choose/{derived}", "index/{method}"),
    "index_quality/{approximate}",
    *("evaluate/{method}", "plot_evaluation/{method}", "compare_pair/{pair}", "query/{method}/{query}"),
    *("refine/{refinement}", "simulate/{simulated}", "plot_simulation/{simulated}"),
)
"""The rules with the wildcards that identify their jobs, as in the paths of logs and benchmarks."""

# The name of a method has no dot, so index/NAME.json does not match index/NAME.quality.json.
_PARTS = {"outside": "outside-[0-9a-f]{8}", "pair": ".+_vs_.+", "method": "[^/.]+"}


def match(pattern: str, name: str) -> dict[str, str] | None:
    """Return the values of a pattern's wildcards in a path relative to ``results/``, None if it does not match."""
    found = _expression(pattern).fullmatch(name)
    return found.groupdict() if found else None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+\*?)\}", pattern)
    for place, part in enumerate(parts):
        if place % 2:
            name = part.removesuffix("*")
            parts[place] = f"(?P<{name}>{'.+' if part != name else _PARTS.get(name, '[^/]+')})"
        else:
            parts[place] = re.escape(part)
    return re.compile("".join(parts), re.DOTALL)


class Results:
    """The folder of a run's results.

    Methods that read a file take a pattern of this module and the values of its wildcards. They raise an `InputError`
    that names the file when it is missing or damaged. Results are cached, so callers must not change them.

    Attributes:
        folder: the folder of the results.
        home: the working folder of the run, to which the paths of images are relative.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.home = self.folder.absolute().parent
        self._kept: dict[Any, Any] = {}

    def path(self, pattern: str, **names: str) -> Path:
        """Return the path of a file."""
        return self.folder / pattern.format(**names)

    def find(self, pattern: str, **names: str) -> list[tuple[Path, dict[str, str]]]:
        """Return the files that match a pattern, sorted, each with the values of the wildcards not in ``names``."""
        wanted = re.sub(r"\{(\w+)\}", lambda wildcard: names.get(wildcard[1], wildcard[0]), pattern)
        glob = re.sub(r"\{\w+\}", "*", re.sub(r"\{\w+\*\}", "**/*", wanted))
        paths = sorted(path for path in self.folder.glob(glob) if path.is_file())
        found = ((path, match(wanted, path.relative_to(self.folder).as_posix())) for path in paths)
        return [(path, values) for path, values in found if values is not None]

    def require_methods(self) -> list[str]:
        """Return the names of the methods with features of the gallery, in alphabetical order.

        Raises:
            InputError: when the folder does not exist or has no such method.
        """
        if not self.folder.is_dir():
            raise InputError(
                f"The folder {self.folder} does not exist: run the workflow first, or name the folder of its results."
            )
        methods = [names["method"] for _, names in self.find(FEATURES, split=self.gallery)]
        if not methods:
            raise InputError(f"The folder {self.folder} holds no method's features: run the workflow first.")
        return methods

    def table(self, pattern: str, columns: list[str], numbers: Sequence[str] = (), **names: str) -> pd.DataFrame:
        """Read a CSV file.

        Args:
            pattern: the pattern of the file.
            columns: names of required columns.
            numbers: names of columns of numbers, in which empty cells become NaN.
            names: values of the wildcards.
        """
        path = self.path(pattern, **names)
        table: pd.DataFrame = self._once((path, *columns), lambda: read_csv(path, columns))
        return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in numbers})

    def json(self, pattern: str, **names: str) -> dict[str, Any]:
        """Read a JSON file that contains an object."""
        path = self.path(pattern, **names)
        return self._once(path, lambda: read_object(path))

    def setting(self, *keys: str) -> Any:
        """Return a value of the run's configuration, by the path of its key."""
        value: Any = self.json(CONFIGURATION)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise InputError(f"{self.path(CONFIGURATION)} lacks {'.'.join(keys)}: run the workflow again.")
            value = value[key]
        return value

    @cached_property
    def gallery(self) -> str:
        """The split that is the gallery of the run's split protocol; ``train`` if the protocol is unknown."""
        # Imported here, because it imports the split protocols.
        from cbir.collection.roles import gallery_of

        split = self.json(CONFIGURATION).get("split") if self.path(CONFIGURATION).is_file() else None
        return gallery_of(str(split["protocol"])) if isinstance(split, dict) and "protocol" in split else "train"

    @cached_property
    def images(self) -> pd.DataFrame:
        """The usable images of the collection: ``collection/images.csv``, further columns as text."""
        path = self.path(IMAGES)
        table: pd.DataFrame = self._once((path, "images"), lambda: read_csv(path, IMAGE_COLUMNS, others_as_text=True))
        return table

    @cached_property
    def whites(self) -> "Whites":
        """What is white in images that do not state it (``collection/ranges.json``), for `images.decode`."""
        # Here, because other readers need not wait for Pillow.
        from cbir.collection import ranges

        path = self.path(RANGES)
        # Results of earlier versions have no such file.
        return ranges.read(path).whites if path.exists() else {}

    @cached_property
    def labelled(self) -> bool:
        """Whether the images have categories."""
        return bool((self.images["category"] != "").any())

    def categories(self) -> list[str]:
        """Return the categories in the order of their labels."""
        path = self.path(CATEGORIES)
        return self._once((path, "names"), lambda: read_categories(path))

    def split(self, name: str) -> pd.DataFrame:
        """Return the manifest of a split."""
        return self.table(SPLIT, SPLIT_COLUMNS, split=name)

    def confusion(self, method: str) -> tuple[list[str], NDArray[np.int64]]:
        """Return the categories and a method's confusion matrix: rows are true, columns predicted."""
        table = self.table(CONFUSION, [], method=method)
        return [str(name) for name in table.iloc[:, 0]], table.iloc[:, 1:].to_numpy(np.int64)

    def store(self, method: str, split: str, mapped: bool = False) -> "FeatureStore":
        """Return the features of a method for a split; with ``mapped`` the vectors are memory-mapped."""
        # Imported here and below, because Snakemake's main process uses this module and does not need h5py.
        from cbir.features import store

        path = self.path(FEATURES, method=method, split=split)
        return self._once((path, mapped), lambda: store.read(path, method, mapped))

    def transform(self, method: str) -> "tuple[Transform, dict[str, str]]":
        """Return the fitted steps of a derived method and the attributes of their file."""
        from cbir.features import transforms

        path = self.path(TRANSFORM, derived=method)
        return self._once(path, lambda: transforms.read(path))

    def _once(self, key: Any, read: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = read()
        return self._kept[key]


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that contains an object.

    Raises:
        InputError: when it is missing, damaged or contains anything else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object: remove it and run again.")
    return value
