"""Images to features, from files to a file: this workflow against Keras's `predict` and against OpenVINO.

    python benchmarks/encoding.py [--photographs FOLDER]

MobileNetV2 with random weights. 600 JPEGs of 256 x 256 pixels and 32 of 4000 x 3000 are generated, or made from the
photographs in FOLDER. Each candidate runs in a process of its own, all of them in turn, and is warm when measured.
The workflow also checks each file's hash and writes the features; the others leave them in memory. OpenVINO needs
`make extras`.
"""

import argparse
import hashlib
import importlib.util
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1] / "scripts"), str(Path(__file__).parent)]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

CASES = {"256 x 256": ((256, 256), 600), "4000 x 3000": ((4000, 3000), 32)}
REPEATS = 5
THREADS = len(os.sched_getaffinity(0))

Run = Callable[[Path], None]


def keras_predict() -> Run:
    """What Keras's documentation shows: a data set from a folder, and `predict`."""
    import keras

    from cbir.networks import mobilenetv2

    model = mobilenetv2()

    def run(folder: Path) -> None:
        images = keras.utils.image_dataset_from_directory(
            folder, labels=None, image_size=(224, 224), shuffle=False, verbose=False
        )
        model.predict(images.map(lambda x: x / 127.5 - 1).prefetch(2), verbose=0)

    return run


def openvino_float32() -> Run:
    """Threads that decode, and a queue of asynchronous requests, as OpenVINO's documentation has it."""
    import openvino
    import tensorflow as tf
    from PIL import Image

    from cbir.networks import mobilenetv2

    batch, model = 8, mobilenetv2()
    function = tf.function(lambda x: model(x, training=False), [tf.TensorSpec([batch, 224, 224, 3], tf.float32)])
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(openvino.convert_model(function), "CPU", settings)

    def load(path: Path) -> np.ndarray:
        image = Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        return np.asarray(image, np.float32) / 127.5 - 1

    def run(folder: Path) -> None:
        paths = sorted(folder.rglob("*.jpg"))
        features = np.empty((len(paths), 1280), np.float32)
        queue = openvino.AsyncInferQueue(compiled)

        def keep(request: openvino.InferRequest, start: int) -> None:
            features[start : start + batch] = request.get_output_tensor(0).data

        queue.set_callback(keep)
        with ThreadPoolExecutor(THREADS) as pool:
            loaded = pool.map(load, paths)
            for start in range(0, len(paths), batch):
                queue.start_async([np.stack([next(loaded) for _ in range(batch)])], start)
        queue.wait_all()

    return run


def workflow(*runtime: str) -> Callable[[], Run]:
    """Return how the rule `encode` works in a runtime."""

    def prepare() -> Run:
        import pandas as pd

        from cbir import devices, encoding, inference, networks
        from cbir.runtimes import Runtime

        devices.limit_threads(1, THREADS)
        embed = inference.embedder(networks.mobilenetv2(), 8, False, Runtime(*runtime), THREADS)

        def run(folder: Path) -> None:
            rows = [
                {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                for path in sorted(folder.rglob("*.jpg"))
            ]
            with tempfile.TemporaryDirectory() as out:
                encoding.encode_shard(pd.DataFrame(rows), Path(out) / "0.h5", "", 1280, 8, lambda: embed, THREADS)

        return run

    return prepare


CANDIDATES: dict[str, Callable[[], Run]] = {
    "Keras `predict` over `image_dataset_from_directory`": keras_predict,
    "this workflow": workflow(),
    "OpenVINO float32": openvino_float32,
    "this workflow, `runtime: openvino`": workflow("openvino", "float32"),
    "this workflow, `runtime: openvino`, `precision: bfloat16`": workflow("openvino", "bfloat16"),
}


def possible() -> list[str]:
    """Return the candidates that this machine can run."""
    if importlib.util.find_spec("openvino") is None:
        return [name for name in CANDIDATES if "openvino" not in name.lower()]
    import openvino

    has = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [name for name in CANDIDATES if has or "bfloat16" not in name]


def serve(name: str, orders: Connection) -> None:
    """Run a candidate over each folder that is asked for; answer with seconds and the peak of memory in bytes."""
    run = CANDIDATES[name]()
    while (folder := orders.recv()) is not None:
        start = time.perf_counter()
        run(folder)
        orders.send((time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=Path, help="a folder of images to make the files from")
    photographs = parser.parse_args().photographs
    import photographs as files

    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as place:
        workers: dict[str, Connection] = {}
        for name in possible():
            workers[name], theirs = context.Pipe()
            context.Process(target=serve, args=(name, theirs), daemon=True).start()
        source = f"from {photographs}" if photographs else "generated"
        print(f"{THREADS} processors; images {source}; medians of {REPEATS}; memory: peak of the process")
        for case, (size, count) in CASES.items():
            folder = Path(place) / case
            files.write(folder, count, size, photographs, THREADS)
            seconds: dict[str, list[float]] = {name: [] for name in workers}
            memory = {}
            # The first round warms up.
            for _ in range(1 + REPEATS):
                for name, worker in workers.items():
                    worker.send(folder)
                    took, memory[name] = worker.recv()
                    seconds[name].append(took)
            rates = {name: count / statistics.median(times[1:]) for name, times in seconds.items()}
            base = next(iter(rates.values()))
            print(
                f"\n| {count:,} JPEGs of {case} | images a second | times Keras's | MB |\n| --- | ---: | ---: | ---: |"
            )
            for name, rate in rates.items():
                print(f"| {name} | {rate:.0f} | {rate / base:.2f} | {memory[name] / 1e6:.0f} |")
        for worker in workers.values():
            worker.send(None)


if __name__ == "__main__":
    main()
