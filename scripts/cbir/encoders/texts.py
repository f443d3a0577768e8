"""Texts as vectors in the space of an encoder's images: of which encoders, and by what part of their preset.

No Keras is imported before `open_texts`.
"""

import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.encoders.architectures.hub import Hub
from cbir.files.errors import InputError
from cbir.files.tables import read_json

EmbedText = Callable[[str], NDArray[np.float32]]
"""From a text to its vector (d,) float32."""


# The parts that take images of the networks of keras-hub that embed texts, too: CLIP, MetaCLIP 2, SigLIP and SigLIP 2.
_TAKING_TEXTS = ("CLIPVisionEncoder", "MetaCLIP2VisionEncoder", "SigLIPVisionEncoder")
_LARGEST_CONFIG = 20_000_000
# What `Hub.fetch` says; of a network that was trained, more follows.
_OWN = re.compile(
    r"keras-hub \S+, preset (?P<preset>.+), config\.json sha256 (?P<config>[0-9a-f]{64}), "
    r"weights sha256 (?P<weights>[0-9a-f]{64})"
)


def is_for_texts(network: Path) -> bool:
    """Tell whether an encoder's network is the image encoder of a network for images and texts.

    Args:
        network: the encoder's network in the results of a run.

    Raises:
        InputError: when its side file is missing or damaged.
    """
    about = read_json(network.with_suffix(".json"), {"architecture": str})
    return bool(about["architecture"].startswith("hub:")) and _name(network) in _TAKING_TEXTS


def without_texts(network: Path) -> str:
    """Return why an encoder's features cannot be compared with texts, to follow its name; empty if they can.

    Args:
        network: the encoder's network in the results of a run.

    Raises:
        InputError: when its side file is missing or damaged.
    """
    if not is_for_texts(network):
        return "takes no texts"
    about = read_json(network.with_suffix(".json"), {"architecture": str})
    own = _own(about)
    if own is None:
        return "has other weights than its preset's own"
    pooling = about.get("options", {}).get("pooling")
    if pooling not in (None, "token"):
        return f"has pooling: {pooling}, which leaves the space that images and texts share"
    if Hub(own["preset"]).is_gone:
        return f"lacks its preset (put the folder {own['preset']} back, and start again)"
    return ""


def open_texts(network: Path) -> EmbedText:
    """Return the part of an encoder's preset that takes texts, of the same files as its part that takes images.

    Args:
        network: as `without_texts` takes it, one with texts.

    Raises:
        InputError: when the preset is no longer there, or is not the one that the encoder was made from.
    """
    about = read_json(network.with_suffix(".json"), {"architecture": str})
    expected = _own(about)
    if expected is None:
        raise ValueError(f"{network} has no texts")
    embed, where = Hub(expected["preset"]).texts()
    found = _OWN.fullmatch(where)
    if found is None or found["config"] != expected["config"] or found["weights"] != expected["weights"]:
        raise InputError(
            f"The preset {expected['preset']} is not the one that the network {network} was made from: run the "
            "workflow again."
        )
    return embed


def _own(about: Mapping[str, Any]) -> re.Match[str] | None:
    return _OWN.fullmatch(str(about.get("weights", "")))


def _name(network: Path) -> str:
    """Return the name of the network in an archive; the weights are not read."""
    try:
        with zipfile.ZipFile(network) as members:
            member = members.getinfo("config.json")
            if member.file_size > _LARGEST_CONFIG:
                return ""
            return str(json.loads(members.read(member))["config"]["name"])
    # A damaged archive raises nearly anything, and is refused where it is opened.
    except Exception:
        return ""
