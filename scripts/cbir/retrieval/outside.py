"""Features of images from outside the collection, made as the run made those of its own images.

TensorFlow takes seconds to load; it is imported when the first image is encoded.
"""

import hashlib
import json
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cbir.collection import images
from cbir.encoders.options import Options, Preparation, preparation
from cbir.encoders.runtimes import Embed, made_by
from cbir.features import store, transforms
from cbir.features.shards import encode_shard, read_rows
from cbir.files.errors import InputError
from cbir.files.tables import read_json
from cbir.results import NETWORK, TRANSFORM, Results

# The batch in which a single image is encoded: the default of the configuration. With the batch size of the workflow a
# network gives the same features bit for bit on most machines; with another one they differ in the last bits.
_BATCH = 2
# Features of the newest images are kept, because several methods may use one encoder.
_KEPT = 128

# What a feature store says about the encoder that made it, not about its method or split.
_OF_THE_ENCODER = {
    *("encoder", "encoder_fingerprint", "weights", "weights_fingerprint", "preprocessing", "preprocessing_fingerprint"),
    *("normalise", "runtime", "precision"),
}


class OutsideEncoder:
    """Turns images into a method's features. One thread may use it at a time.

    Attributes:
        stage: what it is doing, as a sentence; empty before the first image.
    """

    def __init__(self, results: Results, methods: Mapping[str, Mapping[str, Any]]) -> None:
        """Load nothing yet.

        Args:
            results: a run's results.
            methods: what each method's feature store says about itself, by name; see `cbir.features.store.about`.
        """
        self._results, self._methods = results, methods
        self._networks: dict[str, Embed] = {}
        self._encoded: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self.stage = ""

    def features(self, method: str, data: bytes) -> NDArray[np.float32]:
        """Return a method's features of an image: by its encoder, or from those of the method's parts.

        Args:
            method: whose features.
            data: the bytes of an image file.

        Returns:
            float32 (d,).

        Raises:
            InputError: when there is no such method, its network or transform is not the one that made the features of
                the run, or the image cannot be decoded.
        """
        if method not in self._methods:
            raise InputError(f"The features of the method {method!r} are missing: run the workflow again.")
        about = self._methods[method]
        if "encoder" in about:
            return self._encode(str(about["encoder"]), str(about["encoder_fingerprint"]), data)
        fitted, made_from = self._results.transform(method)
        if made_from.get("fingerprint") != about.get("transform_fingerprint"):
            path = self._results.path(TRANSFORM, derived=method)
            raise InputError(f"The transform {path} is not the one that made the features: run the workflow again.")
        parts = [self.features(part, data)[None] for part in json.loads(made_from["parts"])]
        return transforms.transform(fitted, parts)[0]

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
    """Return how images are prepared for a network of a run.

    Raises:
        InputError: when its side file is missing or does not say so.
    """
    side = network.with_suffix(".json")
    return preparation(read_json(side, {"architecture": str}), side)


def open_network(path: Path, fingerprint: str, batch: int, calls: int = 1) -> Embed:
    """Return the network that made features, as a function from images to features.

    Args:
        path: the network of a run.
        fingerprint: the ``encoder_fingerprint`` of the features.
        batch: images at a time.
        calls: threads that call the function at the same time.

    Raises:
        InputError: when the network is not the one that made the features.
    """
    runtime = made_by(read_json(path.with_suffix(".json")).get("fingerprint"), fingerprint)
    if runtime is None:
        raise InputError(f"The network {path} is not the one that made the features: run the workflow again.")
    # Here, not above: it imports TensorFlow.
    from cbir.encoders import inference, networks

    encoder = networks.open_encoder(path)
    flip = Options.from_row(encoder.about.get("options", {})).flip
    return inference.embedder(encoder.model, batch, encoder.about["normalise"], runtime, calls, flip)


def encode_files(
    manifest: pd.DataFrame, target: str | Path, network: Path, made: Mapping[str, Any], batch: int, workers: int
) -> None:
    """Write the features of image files into a file in the format of a feature store.

    Args:
        manifest: columns image_id, path, label and sha256, and perhaps `cbir.collection.ranges.WHITE`, a row each.
        target: the file to write.
        network: the network of a run.
        made: what a feature store of this network says about itself.
        batch: images at a time, in each thread.
        workers: threads.

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
