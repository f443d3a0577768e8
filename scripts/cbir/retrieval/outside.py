"""Encode images from outside the collection, and texts, with the encoders and transforms of a run.

TensorFlow takes seconds to load, so it is imported when the first image is encoded.
"""

import hashlib
import json
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection import images
from cbir.encoders.options import Options, Preparation, preparation
from cbir.encoders.runtimes import Embed, Runtime, made_by
from cbir.encoders.texts import EmbedText, is_for_texts, open_texts, without_texts
from cbir.features import store, transforms
from cbir.features.shards import encode_shard, read_rows
from cbir.features.steps import l2
from cbir.files.errors import InputError
from cbir.files.tables import read_json
from cbir.results import NETWORK, TRANSFORM, Results

# The batch size for a single image: the workflow's default. With the same batch size a network computes bit-identical
# features on most machines; with another one they differ in the last bits.
_BATCH = 2
# Features of the last images are cached, because several methods may use one encoder.
_KEPT = 128

# Attributes of a feature store that describe its encoder, as opposed to its method or split.
_OF_THE_ENCODER = {
    *("encoder", "encoder_fingerprint", "weights", "weights_fingerprint", "preprocessing", "preprocessing_fingerprint"),
    *("normalise", "runtime", "precision"),
}


class OutsideEncoder:
    """Encodes images and texts into a method's features. It is not thread-safe.

    Attributes:
        stage: a sentence for the user about the current step; empty before the first image.
    """

    def __init__(self, results: Results, methods: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember the arguments; networks are loaded when they are needed.

        Args:
            results: a run's results.
            methods: the attributes of each method's feature store, by name; see `cbir.features.store.about`.
        """
        self._results, self._methods = results, methods
        self._networks: dict[str, Embed] = {}
        self._texts: dict[str, EmbedText] = {}
        self._without_texts: dict[str, str] = {}
        self._for_texts: set[str] = set()
        self._encoded: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self.stage = ""

    def features(self, method: str, data: bytes) -> NDArray[np.float32]:
        """Return a method's features of an image. Those of a derived method are computed from its parts' features.

        Args:
            method: whose features.
            data: the bytes of an image file.

        Returns:
            float32 (d,).

        Raises:
            InputError: when the method does not exist, its network or transform is not the one that made the features
                of the run, or the image cannot be decoded.
        """
        return self._features(method, lambda encoder, fingerprint: self._encode(encoder, fingerprint, data))

    def text_features(self, method: str, text: str) -> NDArray[np.float32]:
        """Return a method's features of a text, to be compared with its gallery as `by_angle` returns it.

        The text encoder of the preset makes a vector in the space of its images. Steps and combinations take it as they
        take an image from outside. The features of an encoder itself are compared by their angles, as the network was
        trained to, so the vector has unit length.

        Args:
            method: whose features.
            text: what to look for.

        Returns:
            float32 (d,).

        Raises:
            InputError: when the method has no texts (see `without_texts`), its network, preset or transform is not the
                one that made the features of the run, or there is no text.
        """
        if reason := self.without_texts(method):
            raise InputError(reason)
        require_text(text)
        vector = self._features(method, lambda encoder, fingerprint: self._embed_text(encoder, fingerprint, text))
        return by_angle(vector[None], self._methods[method])[0]

    def without_texts(self, method: str) -> str:
        """Return why a method cannot be searched for texts, as a sentence; empty if it can.

        Raises:
            InputError: when there is no such method.
        """
        if not self._lacking(method):
            return ""
        others = [name for name in self._methods if not self._lacking(name)]
        remedy = f"use {', '.join(others)}" if others else "add one of a CLIP or SigLIP preset of keras-hub"
        return f"The method {method!r} has no text search, because {self._lacking(method)}: {remedy}."

    def is_for_texts(self, method: str) -> bool:
        """Tell whether a method is an encoder for images and texts, even if `without_texts` has a reason.

        Raises:
            InputError: when there is no such method.
        """
        self._lacking(method)
        return method in self._for_texts

    def _lacking(self, method: str) -> str:
        if method not in self._without_texts:
            try:
                about = self._about(method)
                if "encoder" in about:
                    encoder = str(about["encoder"])
                    if is_for_texts(self._path(encoder)):
                        self._for_texts.add(method)
                    reason = without_texts(self._path(encoder))
                    reason = reason and f"its encoder {encoder} {reason}"
                else:
                    parts = json.loads(self._results.transform(method)[1]["parts"])
                    reason = next(filter(None, map(self._lacking, parts)), "")
            except InputError as error:
                reason = str(error).rstrip(".")
            self._without_texts[method] = reason
        return self._without_texts[method]

    def _about(self, method: str) -> Mapping[str, Any]:
        if method not in self._methods:
            raise InputError(f"The features of the method {method!r} are missing: run the workflow again.")
        return self._methods[method]

    def _features(self, method: str, encode: Callable[[str, str], NDArray[np.float32]]) -> NDArray[np.float32]:
        about = self._about(method)
        if "encoder" in about:
            return encode(str(about["encoder"]), str(about["encoder_fingerprint"]))
        fitted, made_from = self._results.transform(method)
        if made_from.get("fingerprint") != about.get("transform_fingerprint"):
            path = self._results.path(TRANSFORM, derived=method)
            raise InputError(f"The transform {path} is not the one that made the features: run the workflow again.")
        parts = [self._features(part, encode)[None] for part in json.loads(made_from["parts"])]
        return transforms.transform(fitted, parts)[0]

    def _embed_text(self, encoder: str, fingerprint: str, text: str) -> NDArray[np.float32]:
        if encoder not in self._texts:
            self.stage = (
                f"The part of the network {encoder} that takes texts is loading; this takes some seconds, once."
            )
            _require_made_by(self._path(encoder), fingerprint)
            self._texts[encoder] = open_texts(self._path(encoder))
        self.stage = "The text is being encoded."
        return self._texts[encoder](text)

    def _encode(self, encoder: str, fingerprint: str, data: bytes) -> NDArray[np.float32]:
        key = (encoder, hashlib.sha256(data).hexdigest())
        if key not in self._encoded:
            embed = self._network(encoder, fingerprint)
            self.stage = "The image is being encoded."
            prepared = prepared_as(self._path(encoder))
            pixels = np.asarray(images.decode(data, prepared.size, prepared.crop, self._results.whites))
            self._encoded[key] = embed(pixels[None])[0]
            while len(self._encoded) > _KEPT:
                self._encoded.popitem(last=False)
        return self._encoded[key]

    def _network(self, encoder: str, fingerprint: str) -> Embed:
        if encoder not in self._networks:
            self.stage = f"The network {encoder} is loading; this takes some seconds, once."
            self._networks[encoder] = open_network(self._path(encoder), fingerprint, _BATCH)
        return self._networks[encoder]

    def _path(self, encoder: str) -> Path:
        return self._results.path(NETWORK, encoder=encoder)


def prepared_as(network: Path) -> Preparation:
    """Return how images are resized and cropped for a network of a run.

    Raises:
        InputError: when its side file is missing or lacks that.
    """
    side = network.with_suffix(".json")
    return preparation(read_json(side, {"architecture": str}), side)


def open_network(path: Path, fingerprint: str, batch: int, calls: int = 1) -> Embed:
    """Return the network that made some features as a function from images to features.

    Args:
        path: the network of a run.
        fingerprint: the ``encoder_fingerprint`` of the features.
        batch: the batch size.
        calls: how many threads call the function at the same time.

    Raises:
        InputError: when the network is not the one that made the features.
    """
    runtime = _require_made_by(path, fingerprint)
    # Imported here, because it imports TensorFlow.
    from cbir.encoders import inference, networks

    encoder = networks.open_encoder(path)
    flip = Options.from_row(encoder.about.get("options", {})).flip
    return inference.embedder(encoder.model, batch, encoder.about["normalise"], runtime, calls, flip)


def _require_made_by(network: Path, fingerprint: str) -> Runtime:
    """Return what ran the network that made features, see `cbir.encoders.runtimes.made_by`."""
    runtime = made_by(read_json(network.with_suffix(".json")).get("fingerprint"), fingerprint)
    if runtime is None:
        raise InputError(f"The network {network} is not the one that made the features: run the workflow again.")
    return runtime


def by_angle(rows: NDArray[np.float32], about: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return a method's vectors (n, d) as they are compared with texts.

    Those of an encoder itself have unit length, so that distances follow angles; those of a derived method are as its
    steps made them.

    Args:
        rows: the vectors.
        about: what the method's feature store says about itself.
    """
    return l2.apply({}, np.asarray(rows, np.float64), False).astype(np.float32) if "encoder" in about else rows


LONGEST_TEXT = 1000
"""Characters of a text to look for. Text encoders read the first 64 or 77 tokens."""


def require_text(text: str) -> None:
    """Refuse what is no text to look for.

    Raises:
        InputError: when it is empty, too long, or has characters that were not understood.
    """
    if not text.strip():
        raise InputError("The text is empty: write what to look for.")
    if len(text) > LONGEST_TEXT:
        raise InputError(f"The text has more than {LONGEST_TEXT:,} characters: write fewer.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError("The text has bytes that are no UTF-8: write it anew.")


def encode_files(
    manifest: pd.DataFrame, target: str | Path, network: Path, made: Mapping[str, Any], batch: int, workers: int
) -> None:
    """Write the features of image files into a file in the format of a feature store.

    Args:
        manifest: columns image_id, path, label and sha256, and perhaps `cbir.collection.ranges.WHITE`, a row each.
        target: the file to write.
        network: the network of a run.
        made: the attributes of a feature store of this network.
        batch: the batch size of each thread.
        workers: how many threads encode.

    Raises:
        InputError: when the network is not the one that made that store, or an image cannot be read.
    """
    about = {key: value for key, value in made.items() if key in _OF_THE_ENCODER}
    fingerprint, dimension = str(made["encoder_fingerprint"]), int(made["dimension"])
    prepared = prepared_as(network)
    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "shard.h5"
        encode_shard(
            manifest,
            shard,
            fingerprint=fingerprint,
            dimension=dimension,
            size=prepared.size,
            crop=prepared.crop,
            batch=batch,
            make_embed=lambda: open_network(network, fingerprint, batch, workers),
            workers=workers,
        )
        rows = read_rows([shard], list(manifest["sha256"]), fingerprint)
        store.write(target, manifest, rows, dimension, about)
