"""Images to features, from files to a file: this workflow against Keras's `predict` and against OpenVINO.

    python benchmarks/encoding.py [--photographs FOLDER]

MobileNetV2 with random weights. 600 JPEGs of 256 x 256 pixels and 128 of 4000 x 3000 are generated, or made from the
photographs in FOLDER. Each candidate runs in a process of its own, all of them in turn, and is warm when measured.
The workflow also checks each file's hash and writes the features; the others leave them in memory. OpenVINO needs
`make extras`.
"""

import argparse
import hashlib
import importlib.util
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import photographs
from peers import THREADS, Work, measure, table

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

CASES = {"256 x 256": ((256, 256), 600), "4000 x 3000": ((4000, 3000), 128)}
REPEATS = 5
# Images at a time in each thread: the default, and the fastest for OpenVINO as well.
BATCH = 2
KERAS = "Keras `predict` over `image_dataset_from_directory`"


def keras_predict(folder: Path) -> Work:
    """What Keras's documentation shows: a data set from a folder, and `predict`."""
    import keras

    from cbir.encoders.architectures import mobilenetv2

    model = mobilenetv2.build(mobilenetv2.SIZE)

    def run() -> None:
        images = keras.utils.image_dataset_from_directory(
            folder, labels=None, image_size=(224, 224), shuffle=False, verbose=False
        )
        model.predict(images.prefetch(2), verbose=0)

    return run


def openvino_float32(folder: Path) -> Work:
    """Threads that decode, and a queue of asynchronous requests, as OpenVINO's documentation has it."""
    import openvino
    import tensorflow as tf
    from PIL import Image

    from cbir.encoders.architectures import mobilenetv2

    model = mobilenetv2.build(mobilenetv2.SIZE)
    function = tf.function(lambda x: model(x, training=False), [tf.TensorSpec([BATCH, 224, 224, 3], tf.float32)])
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(openvino.convert_model(function), "CPU", settings)

    def load(path: Path) -> np.ndarray:
        image = Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        return np.asarray(image, np.float32)

    def run() -> None:
        paths = sorted(folder.rglob("*.jpg"))
        features = np.empty((len(paths), 1280), np.float32)
        queue = openvino.AsyncInferQueue(compiled)

        def keep(request: openvino.InferRequest, start: int) -> None:
            features[start : start + BATCH] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        with ThreadPoolExecutor(THREADS) as pool:
            loaded = pool.map(load, paths)
            for start in range(0, len(paths), BATCH):
                queue.start_async([np.stack([next(loaded) for _ in range(BATCH)])], start)
        queue.wait_all()

    return run


def workflow(folder: Path, *runtime: str) -> Work:
    """How the rule `encode` works in a runtime."""
    import pandas as pd

    from cbir.encoders import devices, inference
    from cbir.encoders.architectures import mobilenetv2
    from cbir.encoders.runtimes import Runtime
    from cbir.features import shards

    devices.limit_threads(1, THREADS)
    embed = inference.embedder(mobilenetv2.build(mobilenetv2.SIZE), BATCH, False, Runtime(*runtime), THREADS)

    # The rule is given it.
    rows = [
        {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.rglob("*.jpg"))
    ]
    collection = pd.DataFrame(rows)

    def run() -> None:
        with tempfile.TemporaryDirectory() as out:
            shards.encode_shard(collection, Path(out) / "0.h5", "", 1280, (224, 224), BATCH, lambda: embed, THREADS)

    return run


CANDIDATES = {
    KERAS: (keras_predict, ()),
    "this workflow": (workflow, ()),
    "OpenVINO float32": (openvino_float32, ()),
    "this workflow, `runtime: openvino`": (workflow, ("openvino", "float32")),
    "this workflow, `runtime: openvino`, `precision: bfloat16`": (workflow, ("openvino", "bfloat16")),
}


def possible() -> list[str]:
    """Return the candidates that this machine can run."""
    if importlib.util.find_spec("openvino") is None:
        return [name for name in CANDIDATES if "openvino" not in name.lower()]
    import openvino

    has = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for name in CANDIDATES if has or "bfloat16" not in name]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, help="a folder of images to make the files from")
    source = parser.parse_args().photographs
    print(f"{THREADS} processors; images {f'from {source}' if source else 'generated'}; medians of {REPEATS}\n")
    for case, (size, count) in CASES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / case
            photographs.write(folder, count, size, source, THREADS)
            peers = {
                name: (prepare, (folder, *more)) for name, (prepare, more) in CANDIDATES.items() if name in possible()
            }
            found = measure(peers, REPEATS)
        rates = {name: count / of.seconds for name, of in found.items()}
        table(
            [f"{count:,} JPEGs of {case}", "images a second", "times Keras's", "peak MB"],
            [
                [name, f"{rate:.0f}", f"{rate / rates[KERAS]:.2f}", f"{found[name].peak_mb:.0f}"]
                for name, rate in rates.items()
            ],
        )


if __name__ == "__main__":
    main()
