"""Compare the speed of encoding, from image files to features, of this workflow, Keras's `predict` and OpenVINO.

    python benchmarks/encoding.py [--photographs FOLDER] [--images N]

MobileNetV2 with random weights. 600 JPEGs of 256 x 256 pixels and 128 of 4000 x 3000 are generated, or made from the
photographs in FOLDER. Then larger networks, without OpenVINO, on 120 JPEGs of 256 x 256: three of Keras Applications,
and a vision transformer of keras-hub with the sizes of ViT-S/16. Each candidate runs in a process of its own, all of
them in turn, and is warm when measured. The workflow also checks each file's hash and writes the features; the others
leave them in memory. OpenVINO and keras-hub need `make extras`. With --images, there are N images of each kind.
"""

import argparse
import hashlib
import importlib.util
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import photographs
from peers import THREADS, Work, measure, table

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

CASES = {"256 x 256": ((256, 256), 600), "4000 x 3000": ((4000, 3000), 128)}
VISION_TRANSFORMER = "ViT-S/16"
LARGER = ("resnet50", "efficientnetv2b0", "convnexttiny", VISION_TRANSFORMER)
LARGER_IMAGES = 120
REPEATS = 5
# Images at a time in each thread: the default, and the fastest for OpenVINO as well.
BATCH = 2
KERAS = "Keras `predict` over `image_dataset_from_directory`"


def network(name: str) -> Any:
    """Return a network with random weights: an architecture of this workflow, or the vision transformer."""
    from cbir.encoders.architectures import REGISTRY

    if name != VISION_TRANSFORMER:
        return REGISTRY[name].build(REGISTRY[name].SIZE)
    from keras_hub import layers, models

    with tempfile.TemporaryDirectory() as folder:
        models.ViTBackbone((224, 224, 3), 16, 12, 6, 384, 1536).save_to_preset(folder)
        layers.ViTImageConverter(image_size=(224, 224), scale=1 / 127.5, offset=-1.0).save_to_preset(folder)
        return REGISTRY[f"hub:{folder}"].fetch()[0]


def keras_predict(folder: Path, name: str = "mobilenetv2") -> Work:
    """Encode as in Keras's documentation: a data set from a folder, and `predict`."""
    import keras

    model = network(name)

    def run() -> None:
        images = keras.utils.image_dataset_from_directory(
            folder, labels=None, image_size=model.input_shape[1:3], shuffle=False, verbose=False
        )
        model.predict(images.prefetch(2), verbose=0)

    return run


def openvino_float32(folder: Path) -> Work:
    """Encode as in OpenVINO's documentation: decoding threads, and a queue of asynchronous requests."""
    import openvino
    import tensorflow as tf
    from PIL import Image

    model = network("mobilenetv2")
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


def workflow(folder: Path, *runtime: str, name: str = "mobilenetv2") -> Work:
    """Encode as the rule `encode` does, in a runtime."""
    import pandas as pd

    from cbir.encoders import devices, inference
    from cbir.encoders.runtimes import Runtime
    from cbir.features import shards

    devices.limit_threads(1, THREADS)
    model = network(name)
    _, height, width, _ = model.input_shape
    values = model.output_shape[-1]
    embed = inference.embedder(model, BATCH, False, Runtime(*runtime), THREADS)

    # In the workflow this is an argument of the rule.
    rows = [
        {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.rglob("*.jpg"))
    ]
    collection = pd.DataFrame(rows)

    def run() -> None:
        with tempfile.TemporaryDirectory() as out:
            shard = Path(out) / "0.h5"
            shards.encode_shard(collection, shard, "", values, (width, height), BATCH, lambda: embed, THREADS)

    return run


def larger_workflow(folder: Path, name: str) -> Work:
    """Encode as the rule `encode` does, with one of the larger networks."""
    return workflow(folder, name=name)


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
    parser.add_argument("--images", type=int, help="how many of each kind")
    options = parser.parse_args()
    source = options.photographs
    print(f"{THREADS} processors; images {f'from {source}' if source else 'generated'}; medians of {REPEATS}\n")
    for case, (size, count) in CASES.items():
        count = options.images or count
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
    compare_larger(source, options.images or LARGER_IMAGES)


def compare_larger(source: Path | None, count: int) -> None:
    """Print the table of the larger networks."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        photographs.write(folder, count, (256, 256), source, THREADS)
        # One network at a time, because each process holds a whole one.
        for name in LARGER:
            if name == VISION_TRANSFORMER and importlib.util.find_spec("keras_hub") is None:
                continue
            found = measure({KERAS: (keras_predict, (folder, name)), "": (larger_workflow, (folder, name))}, REPEATS)
            theirs, ours = (count / of.seconds for of in found.values())
            rows.append([f"`{name}`", f"{theirs:.1f}", f"{ours:.1f}", f"{ours / theirs:.2f}"])
    table([f"{count:,} JPEGs of 256 x 256: images a second", KERAS, "this workflow", "times Keras's"], rows)


if __name__ == "__main__":
    main()
