"""Which split is searched, and which asks: the one place that everything behind the split looks it up."""

from typing import Any

from cbir.collection.protocols import REGISTRY
from cbir.files.errors import InputError

QUERIES = "test"
"""The split whose images are the queries of an evaluation."""


def gallery_of(protocol: str) -> str:
    """Return the split that is searched under a protocol: ``train``, or ``test``, whose images ask each other.

    Raises:
        InputError: when there is no such protocol.
    """
    name: str = getattr(REGISTRY.get_entry(protocol), "GALLERY", "train")
    return name


def has_unseen_gallery(protocol: str) -> bool:
    """Tell whether val images search the same gallery as the queries do, and can be searched themselves."""
    return gallery_of(protocol) != QUERIES and not getattr(REGISTRY.get_entry(protocol), "FILE", False)


def require_fitting(split: dict[str, Any], trained: list[str]) -> None:
    """Refuse a configuration whose encoders or file do not fit its protocol.

    Args:
        split: the section ``split`` of the configuration.
        trained: the encoders that are trained.

    Raises:
        InputError: when encoders would be trained and no image is there to train on, or ``split.relevance`` is missing
            or not read.
    """
    name, path = split["protocol"], split["relevance"]
    protocol = REGISTRY.get_entry(name)
    has_file = getattr(protocol, "FILE", False)
    if has_file and path is None:
        raise InputError(
            f"config: split.protocol is {name}, which needs a file of queries and their relevant images: name it in "
            "split.relevance."
        )
    if path is not None and not has_file:
        raise InputError(
            f"config: split.relevance is {path}, but split.protocol is {name}, which does not read it: set it to "
            "query-gallery, or split.relevance to null."
        )
    if trained and (has_file or getattr(protocol, "EVERY_IMAGE_ASKS", False)):
        why = "has no val images to train by" if has_file else "makes every image a query, so that none is unseen"
        off = ", ".join(f"encoders.{encoder}: null" for encoder in trained)
        raise InputError(
            f"config: split.protocol {name} {why}, but encoders are trained here: switch them off ({off}), as "
            "configs/pretrained.yaml does, or set split.protocol to random, grouped or disjoint."
        )
