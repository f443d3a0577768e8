"""A data set from Kaggle."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cbir.collection.sources import INSTEAD
from cbir.files.errors import InputError

log = logging.getLogger("cbir")

DESCRIPTION = "The Kaggle data set {dataset}."
SETTINGS = ("dataset",)

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def fetch(folder: Path, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Download a Kaggle data set and lay out its images as ``<folder>/<category>/<filename>``.

    The images are symbolic links into kagglehub's cache, so that a data set of gigabytes is on the disk only once and
    is kept when the results are removed. If the cache was emptied, a new call downloads again and renews the links.

    Args:
        folder: where the folders of the categories go.
        settings: ``dataset``, which is ``owner/name`` or ``owner/name/versions/N``.

    Returns:
        A row for each image, sorted: ``file``, ``author``, ``licence``, ``source``. Kaggle's downloads state no author
        or licence of single images, so that these two columns refer to the source.

    Raises:
        InputError: when the data set cannot be downloaded or has no folder of categories, or the folder cannot be
            written.
    """
    # Imported here, because the import takes a second.
    import kagglehub

    dataset = settings["dataset"]
    try:
        downloaded = Path(kagglehub.dataset_download(dataset))
    # kagglehub's errors have no common base class, and the user can fix each of them.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(
            f"The Kaggle data set {dataset!r} cannot be downloaded ({reason}): check its name and the connection and "
            f"put a token of kaggle.com/settings into KAGGLE_API_TOKEN, or {INSTEAD}."
        ) from error
    images = _categorised(downloaded, dataset)
    names = [image.relative_to(image.parent.parent).as_posix() for image in images]
    try:
        for name, image in zip(names, images, strict=True):
            link = folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(image)
    except OSError as error:
        raise InputError(
            f"{folder} cannot take links ({error.strerror}): allow writing there or choose a disk that has links."
        ) from error
    see = "see source"
    source = f"https://www.kaggle.com/datasets/{dataset}"
    return pd.DataFrame({"file": names, "author": see, "licence": see, "source": source})


def _categorised(downloaded: Path, dataset: str) -> list[Path]:
    """Return the sorted images ``ROOT/CATEGORY/FILE``, where ``ROOT`` is the folder with most such images."""
    downloaded = downloaded.resolve()
    images = sorted(
        path
        for path in downloaded.rglob("*")
        # Files with a dot in front come from macOS or editors.
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.parent != downloaded
    )
    if not images:
        raise InputError(f"The Kaggle data set {dataset!r} has no folders of images: choose another, or {INSTEAD}.")
    counts = Counter(image.parent.parent for image in images)
    root = max(counts, key=counts.__getitem__)
    if counts[root] < len(images):
        log.warning(
            "%s: %d images are used from %s, %d elsewhere are not",
            dataset,
            counts[root],
            root.relative_to(downloaded).as_posix(),
            len(images) - counts[root],
        )
    return [image for image in images if image.parent.parent == root]
