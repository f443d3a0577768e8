"""Long test driver, run by hand: use every network of Keras Applications, with random weights, with the whole library.

    nice .venv/bin/python tests/applications.py [WORD ...]

It checks of each network that its weights have the order and shapes of Keras's own network; that its features equal
those of Keras's network for pixels preprocessed by `preprocess_input`; that the table beside `applications.py` names
the file that Keras would download; that a saved network is the same when it is opened; and that it encodes, indexes and
evaluates a dozen images at its own size. It prints a row for each network, and ends with status 1 if one fails.
"""

import logging
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from cbir.encoders import inference, networks  # noqa: E402
from cbir.encoders.architectures import REGISTRY, applications  # noqa: E402
from cbir.encoders.architectures._layers import numbered_anew  # noqa: E402
from cbir.evaluation.evaluate import evaluate  # noqa: E402
from cbir.features import store  # noqa: E402
from cbir.features.shards import encode_shard, read_rows  # noqa: E402
from cbir.files.hashes import sha256_file  # noqa: E402
from cbir.files.registry import table  # noqa: E402
from cbir.retrieval import index  # noqa: E402
from conftest import picture  # noqa: E402

CATEGORIES = ["apple", "leaf", "sea"]


class StoppedError(Exception):
    """Ends a download before it begins."""


def requested_download(function: str) -> dict[str, Any]:
    """Return the arguments with which Keras calls `get_file` for a network with ImageNet weights."""
    from keras.src.utils import file_utils

    got: dict[str, Any] = {}

    def get_file(name: str, url: str, **options: Any) -> None:
        got.update(file=name, url=url, hash=options.get("file_hash") or "")
        raise StoppedError

    kept, file_utils.get_file = file_utils.get_file, get_file
    try:
        getattr(keras.applications, function)(weights="imagenet", include_top=False, input_shape=(96, 96, 3))
    except StoppedError:
        pass
    finally:
        file_utils.get_file = kept
    return got


def keras_network(row: dict[str, str], size: tuple[int, int]) -> Any:
    """Return Keras's own network, without weights."""
    with numbered_anew():
        return getattr(keras.applications, row["function"])(
            weights=None, include_top=False, pooling="avg", input_shape=(size[1], size[0], 3)
        )


def check(word: str, row: dict[str, str], collection: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Raise AssertionError if a check fails; return the row to print."""
    start = time.monotonic()
    entry = REGISTRY[word]
    model, source = networks.build(word, "random", 0)
    assert model.output_shape == (None, entry.WIDTH), model.output_shape
    assert {name: row[name] for name in ("file", "url", "hash")} == requested_download(row["function"])
    own = keras_network(row, entry.SIZE)
    values = model.get_weights()
    # Keras's EfficientNet has the mean and variance of ImageNet's pixels among its weights.
    scaled = row["pixels"] == "torch-instead"
    assert [value.shape for value in own.get_weights()[3 * scaled :]] == [value.shape for value in values]
    module = sys.modules[getattr(keras.applications, row["function"]).__module__]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:])).astype(np.float32)
    if scaled:
        variance = np.square([0.229, 0.224, 0.225], dtype=np.float32)
        own.set_weights([np.array([0.485, 0.456, 0.406], np.float32), variance, np.zeros((), np.int32), *values])
        own.get_layer("normalization").finalize_state()
    else:
        own.set_weights(values)
    expected = own.predict(module.preprocess_input(pixels.copy()), batch_size=1, verbose=0)
    found = model.predict(pixels, batch_size=1, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    del own
    path = folder / f"{word}.keras"
    networks.save(model, path, encoder=word, source=source, normalise=False, architecture=word)
    opened = networks.open_encoder(path)
    assert all(map(np.array_equal, opened.model.get_weights(), values))
    parameters = model.count_params()
    # Three copies of the largest networks, and their conversion, would not fit the memory.
    del model, values
    keras.utils.clear_session()
    encode(word, opened, collection, folder)
    path.unlink()
    return {
        "architecture": word,
        "size": entry.SIZE[0],
        "width": entry.WIDTH,
        "parameters": parameters,
        "seconds": round(time.monotonic() - start),
    }


def encode(word: str, encoder: Any, collection: pd.DataFrame, folder: Path) -> None:
    """Encode, index and evaluate a collection with an encoder."""
    shard, made, width = folder / "0.h5", encoder.about["fingerprint"], encoder.about["dimension"]
    embed = inference.embedder(encoder.model, 2, False)
    assert encode_shard(collection, shard, made, width, encoder.size, 2, lambda: embed, 2) == len(collection)
    splits = {"train": collection[collection.index % 2 == 0], "test": collection[collection.index % 2 == 1]}
    for name, rows in splits.items():
        blocks = read_rows([shard], list(rows["sha256"]), made)
        store.write(folder / f"{name}.h5", rows, blocks, width, {"method": word, "split": name})
    gallery = store.read(folder / "train.h5", word)
    index.build(gallery, folder / "index.json", "exact")
    opened = index.read(folder / "index.json", gallery)
    figures = evaluate(
        *(gallery, store.read(folder / "test.h5", word), CATEGORIES, opened),
        **{"k": 1, "neighbours": 2, "worst_images": 1, "worst_retrieved": 1, "seed": 0, "block_bytes": 10**8},
    ).summary
    assert 0 <= figures["accuracy"] <= 1, figures
    shard.unlink()


def dozen(folder: Path) -> pd.DataFrame:
    """Write a dozen pictures of three categories; return their rows."""
    rows = []
    for label, category in enumerate(CATEGORIES):
        for number in range(4):
            path = folder / f"{category}-{number}.png"
            picture(label, number).save(path)
            rows.append((path.name, str(path), category, label, sha256_file(path)))
    return pd.DataFrame(rows, columns=["image_id", "path", "category", "label", "sha256"])


def main() -> None:
    """Check all networks, or those named on the command line."""
    logging.basicConfig(level=logging.WARNING)
    # Warnings about operations that cannot be converted are hidden, not those of the library.
    logging.getLogger("cbir").setLevel(logging.INFO)
    rows = {row["word"]: row for row in table(applications.__file__)}
    failed = []
    with tempfile.TemporaryDirectory() as name:
        collection = dozen(Path(name))
        for word in sys.argv[1:] or rows:
            try:
                print(check(word, rows[word], collection, Path(name)), flush=True)
            except Exception:
                traceback.print_exc()
                failed.append(word)
            keras.utils.clear_session()
    print(f"{len(sys.argv[1:] or rows) - len(failed)} pass, {len(failed)} fail: {' '.join(failed)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
