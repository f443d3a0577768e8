"""Which split is the gallery and which holds the queries; all later stages use these functions."""

from typing import Any

from cbir.collection.protocols import REGISTRY
from cbir.files.errors import InputError

QUERIES = "test"
"""The split whose images are the queries of an evaluation."""


def gallery_of(protocol: str) -> str:
    """Return the split that a protocol uses as the gallery: ``train``, or ``test`` if test images search each other.

    Raises:
        InputError: when there is no such protocol.
    """
    name: str = getattr(REGISTRY.get_entry(protocol), "GALLERY", "train")
    return name


def has_unseen_gallery(protocol: str) -> bool:
    """Tell whether val images can search the gallery of the test queries, and can form a gallery of their own."""
    return gallery_of(protocol) != QUERIES and not getattr(REGISTRY.get_entry(protocol), "FILE", False)


def require_fitting(split: dict[str, Any], trained: list[str]) -> None:
    """Refuse a configuration in which the split protocol does not fit the encoders or the file of judgements.

    Args:
        split: the section ``split`` of the configuration.
        trained: the encoders that are trained.

    Raises:
        InputError: when encoders are to be trained although the protocol leaves no images for it, when the protocol
            needs ``split.relevance`` and it is not set, or when it is set and the protocol does not read it.
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
