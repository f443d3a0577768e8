"""A run's results as the looks see them: what they need of other artifacts, read once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from cbir.collection.categories import read_categories
from cbir.collection.columns import IMAGE_COLUMNS, SPLIT_COLUMNS
from cbir.features import store, transforms
from cbir.features.store import FeatureStore
from cbir.files.errors import InputError
from cbir.files.tables import read_csv, read_json


class Results:
    """The folder of a run's results.

    Every reader raises `InputError`, naming the file, where something is missing or damaged.

    Attributes:
        root: the folder.
        home: the folder that the workflow ran in, which paths of images are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root.absolute().parent
        self._read: dict[str, Any] = {}

    def path(self, name: str) -> Path:
        """Return the path of an artifact by its name below the folder."""
        return self.root / name

    def images(self) -> pd.DataFrame:
        """Return the table of images."""
        return self._once("images", lambda: read_csv(self.path("collection/images.csv"), IMAGE_COLUMNS))

    def categories(self) -> list[str]:
        """Return the categories, in the order of their labels."""
        return self._once("categories", lambda: read_categories(self.path("collection/categories.json")))

    def split(self, name: str) -> pd.DataFrame:
        """Return the manifest of a split."""
        return self._once(f"splits/{name}", lambda: read_csv(self.path(f"splits/{name}.csv"), SPLIT_COLUMNS))

    def store(self, method: str, split: str) -> FeatureStore:
        """Return a method's features of a split."""
        name = f"features/{method}/{split}.h5"
        return self._once(name, lambda: store.read(self.path(name), method))

    def transform(self, method: str) -> tuple[transforms.Transform, dict[str, str]]:
        """Return a derived method's steps and what they were fitted to."""
        name = f"transforms/{method}.h5"
        return self._once(name, lambda: transforms.read(self.path(name)))

    def table(self, name: str, columns: list[str]) -> pd.DataFrame:
        """Return a CSV."""
        return self._once(name, lambda: read_csv(self.path(name), columns))

    def json(self, name: str) -> dict[str, Any]:
        """Return a JSON object."""
        return self._once(name, lambda: read_object(self.path(name)))

    def _once(self, name: str, read: Callable[[], Any]) -> Any:
        if name not in self._read:
            self._read[name] = read()
        return self._read[name]


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: when it holds anything else, or see `cbir.files.tables.read_json`.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object: remove it and run again.")
    return value


def json_text(text: Any) -> Any:
    """Return the value of an attribute that holds JSON as text."""
    return json.loads(text) if isinstance(text, str) else text
