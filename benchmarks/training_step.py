"""Profile a step of training on a processor, and compare it with variants and with Keras's `fit`.

    python benchmarks/training_step.py [--photographs FOLDER] [--tables whole parts variants kinds] [--repeats 5]

MobileNetV2 with random weights at 224 pixels, trained as `finetuned` in configs/cpu.yaml: batches of 16 categories x 4
images, frozen batch normalisation, float32. 256 JPEGs of 256 x 256 pixels are generated, or made from the photographs
in FOLDER. The tables:

whole     an epoch as the workflow trains it, images decoded and augmented, beside `fit` of plain Keras
parts     what the parts of a step take by themselves
variants  steps on a batch that is in memory: other precision, threads, compilers and batch sizes
kinds     what the kinds of operations take in a step, from TensorFlow's profiler

Candidates of a table take turns in processes of their own. A ratio is the median of the ratios within a round, so other
work on the machine changes it little. The variant with JAX needs `make extras`.
"""

import argparse
import collections
import functools
import importlib.util
import multiprocessing
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import photographs
import yaml
from peers import THREADS, Work, measure, table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

CATEGORIES, PER_CATEGORY, SIDE = 16, 4, 224
IMAGES = CATEGORIES * PER_CATEGORY
EPOCH = 4 * IMAGES


def recipe(**changes: Any) -> Any:
    """Return the `TrainingSettings` of the encoder ``finetuned`` in config.yaml."""
    from cbir.training.settings import TrainingSettings

    schema = yaml.safe_load((ROOT / "scripts/cbir/workflow/config.schema.yaml").read_text())
    keys = schema["properties"]["encoders"]["additionalProperties"]["properties"]["training"]["properties"]
    row = {name: key["default"] for name, key in keys.items()}
    row["augment"] = {name: key["default"] for name, key in keys["augment"]["properties"].items()}
    own = yaml.safe_load((ROOT / "config.yaml").read_text())["encoders"]["finetuned"]["training"]
    return TrainingSettings.from_row(row | own | changes)


def start(backend: str = "tensorflow", intra: int = THREADS, inter: int = 1, deterministic: bool = True) -> None:
    """Prepare Keras as the rule `train` does, or with other threads."""
    os.environ["KERAS_BACKEND"] = backend
    import keras

    from cbir.encoders import devices

    keras.utils.set_random_seed(0)
    devices.limit_threads(intra, inter)
    if backend == "tensorflow" and deterministic:
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def trained(folded: bool = True, jit: bool | str = False, **changes: Any) -> Any:
    """Return the compiled `TrainingModel` of the recipe with changes; ``folded`` as in the workflow, or as before."""
    import keras

    from cbir.encoders.architectures import REGISTRY
    from cbir.training import objective
    from cbir.training.model import TrainingModel, half_precision_twin

    settings = recipe(**changes)
    encoder = REGISTRY["mobilenetv2"].build((SIDE, SIDE))
    dtype = settings.mixed_precision
    computing = half_precision_twin(encoder, dtype) if dtype else encoder
    model = TrainingModel(computing, objective.build(settings, CATEGORIES, encoder.output_shape[-1]), settings)
    if not folded:
        model.folded = None
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate), jit_compile=jit)
    model.optimizer.build(model.trainable_variables)
    return model


def batch(images: int = IMAGES) -> tuple[Any, dict[str, Any]]:
    """Return random pixels and the labels of a batch."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, SIDE, SIDE, 3)).astype(np.float32)
    return pixels, {"labels": np.arange(images) % CATEGORIES}


def batches(folder: Path, threads: int = THREADS) -> Any:
    """Return the batches of an epoch, as the workflow makes them."""
    from cbir.training import objective
    from cbir.training.batches import Photographs, TrainingBatches
    from cbir.training.sampler import epoch_batches

    settings = recipe()
    paths = sorted(map(str, folder.rglob("*.jpg")))
    labels = np.arange(len(paths)) % CATEGORIES
    order = epoch_batches(labels, CATEGORIES, PER_CATEGORY, 0, 1)
    read = Photographs(paths, (SIDE, SIDE, 3))
    targets = objective.build(settings, CATEGORIES, 1).targets
    return TrainingBatches(read, labels, order, settings.augment, targets, 0, 1, threads)


def workflow(folder: Path, folded: bool) -> Work:
    """Train an epoch as the workflow does; after the first one the decoded images are in memory."""
    start()
    model, made = trained(folded), batches(folder)
    return lambda: model.fit(made, shuffle=False, verbose=0)


def keras_fit(folder: Path) -> Work:
    """Train an epoch as in Keras's guide to fine-tuning: a classifier on a frozen batch normalisation."""
    start(deterministic=False)
    import keras

    backbone = keras.applications.MobileNetV2((SIDE, SIDE, 3), include_top=False, weights=None, pooling="avg")
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(keras.layers.RandomFlip("horizontal")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(CATEGORIES)(backbone(x, training=False)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss, jit_compile=False)
    images = keras.utils.image_dataset_from_directory(
        folder, labels=[0] * EPOCH, image_size=(SIDE, SIDE), batch_size=IMAGES, verbose=False
    )
    images = images.cache().prefetch(2)
    return lambda: model.fit(images, verbose=0)


def step(
    images: int = IMAGES,
    threads: tuple[int, int] = (THREADS, 1),
    backend: str = "tensorflow",
    environment: tuple[tuple[str, str], ...] = (),
    **choices: Any,
) -> Work:
    """Train the steps that show ``IMAGES`` images, or one step of more."""
    os.environ |= dict(environment)
    # Keras does not use XLA in deterministic computations.
    start(backend, *threads, deterministic=not choices.get("jit"))
    model, (pixels, targets) = trained(**choices), batch(images)

    def run() -> None:
        for _ in range(max(1, IMAGES // images)):
            model.train_on_batch(pixels, targets)

    return run


def part(name: str, folder: Path) -> Work:
    """Do one part of a step by itself."""
    start()
    import tensorflow as tf

    if name == "input":
        made = batches(folder)
        quarters = [made.batches[0][i :: len(made)] for i in range(len(made))]

        def make() -> None:
            made.batches = np.stack(quarters)
            with ThreadPoolExecutor(THREADS) as pool:
                list(pool.map(made.__getitem__, range(len(made))))

        return make
    model, (pixels, targets) = trained(), batch()
    weights = [variable.value for variable in model.encoder.trainable_variables]
    vectors = tf.random.stateless_normal((IMAGES, model.encoder.output_shape[-1]), (0, 0))
    gradients = [tf.ones_like(variable.value) for variable in model.trainable_variables]
    labels = {"labels": tf.constant(targets["labels"])}

    def forward() -> Any:
        return model(pixels, training=True)

    def backward() -> Any:
        with tf.GradientTape() as tape:
            vectors = forward()
        return tape.gradient(vectors, weights)

    def loss() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            result = model.objective(tf.math.l2_normalize(vectors, 1), labels)[0]
        return tape.gradient(result, vectors)

    def optimizer() -> None:
        model.optimizer.apply(gradients, model.trainable_variables)

    compute = tf.function({"forward": forward, "backward": backward, "loss": loss, "optimizer": optimizer}[name])
    return lambda: compute()


def product(side: int = 2048) -> Work:
    """Multiply two square matrices, as often as a step of MobileNetV2 has operations: 3 x 0.6 GFLOP an image."""
    start()
    import tensorflow as tf

    one = tf.random.stateless_normal((side, side), (0, 0))
    multiply = tf.function(tf.matmul)

    def run() -> None:
        for _ in range(round(IMAGES * 3 * 0.6e9 / (2 * side**3))):
            multiply(one, one)

    return run


KINDS = {
    "Conv2DBackpropFilter": "convolutions, gradient by the kernel",
    "Conv2DBackpropInput": "convolutions, gradient by the input",
    "Conv2D": "convolutions, forward",
    "DepthwiseConv2dNativeBackpropFilter": "depthwise convolutions, gradient by the kernel",
    "DepthwiseConv2dNativeBackpropInput": "depthwise convolutions, gradient by the input",
    "DepthwiseConv2dNative": "depthwise convolutions, forward",
    "BiasAddGrad": "gradient by the bias",
    "Relu6": "ReLU6 by itself",
    "Relu6Grad": "ReLU6, gradient",
    "Cast": "changes of precision",
}
OTHERS = "sums, products and others: batch normalisation, residuals, optimizer"


def kinds(choices: dict[str, Any], steps: int = 4) -> dict[str, float]:
    """Return the ms an image of each kind of operation, of each operation the least of some steps."""
    start()
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    model, (pixels, targets) = trained(**choices), batch()
    model.train_on_batch(pixels, targets)
    space = xplane_pb2.XSpace()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(steps):
                model.train_on_batch(pixels, targets)
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    spent: dict[str, list[float]] = collections.defaultdict(list)
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                # Events of operations are called NAME:TYPE.
                name = plane.event_metadata[event.metadata_id].name
                if ":" in name and not name.startswith("$"):
                    spent[name].append(event.duration_ps / 1e9)
    total: collections.Counter[str] = collections.Counter()
    for name, times in spent.items():
        operation = name.rpartition(":")[2].strip()
        # Executors, whose events contain those of the operations.
        if operation not in ("Run", "Process") and not operation.startswith("__inference"):
            bare = operation.removeprefix("_MklNative").removeprefix("Fused").removesuffix("WithBias")
            total[KINDS.get(bare, OTHERS)] += sum(sorted(times)[: max(1, len(times) // steps)]) / IMAGES
    return dict(total)


NOW, BEFORE = "this workflow", "the same, batch normalisation not folded"
BFLOAT16 = "the same, `mixed_precision: bfloat16`"
PEER = "Keras `fit`, a classifier"


def variants() -> dict[str, dict[str, Any]]:
    """Return the candidates of the table ``variants``: keyword arguments of `step`."""
    found: dict[str, dict[str, Any]] = {
        NOW: {},
        BEFORE: {"folded": False},
        BFLOAT16: {"mixed_precision": "bfloat16"},
        "the same, bfloat16 not folded": {"mixed_precision": "bfloat16", "folded": False},
        "float32 rounded to bfloat16 by oneDNN": {"environment": (("ONEDNN_DEFAULT_FPMATH_MODE", "BF16"),)},
        "XLA": {"jit": True},
        "without oneDNN": {"environment": (("TF_ENABLE_ONEDNN_OPTS", "0"),)},
        "an operation a thread": {"threads": (1, THREADS)},
        "one thread": {"threads": (1, 1)},
        "batches of 16": {"images": 16},
        "batches of 128": {"images": 128},
    }
    if importlib.util.find_spec("jax"):
        found["Keras on JAX"] = {"backend": "jax", "jit": "auto"}
    return found


def compare(peers: dict[str, Any], first: str, images: int, repeats: int) -> None:
    """Print a table of candidates that take turns with the first."""
    found = measure(peers, repeats)
    rows = []
    for name, one in found.items():
        ratio = statistics.median(a / b for a, b in zip(found[first].turns, one.turns, strict=True))
        speed, processor = images / one.seconds, 1000 * one.processor / images
        rows.append([name, f"{speed:.1f}", f"{ratio:.2f}", f"{processor:.1f}", f"{one.peak_mb:.0f}"])
    table(["what", "images a second", f"times {first}", "ms of processor an image", "peak MB"], rows)


def main() -> None:
    """Print the tables that are asked for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photographs", type=Path)
    tables = ("whole", "parts", "variants", "kinds")
    options.add_argument("--tables", nargs="+", choices=tables, default=tables)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--only", nargs="+", default=[""], help="words of the variants to measure")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if {"whole", "parts"} & set(chosen.tables):
            photographs.write(folder, EPOCH, (256, 256), chosen.photographs, THREADS)
        if "whole" in chosen.tables:
            whole = {NOW: (workflow, (folder, True)), BEFORE: (workflow, (folder, False)), PEER: (keras_fit, (folder,))}
            compare(whole, NOW, EPOCH, chosen.repeats)
        if "parts" in chosen.tables:
            names = ("input", "forward", "backward", "loss", "optimizer")
            steps = {"a step": (step, ()), **{name: (part, (name, folder)) for name in names}}
            compare({**steps, "matrix product of as many operations": (product, ())}, "a step", IMAGES, chosen.repeats)
    if "variants" in chosen.tables:
        # A few at a time, because each keeps its memory.
        others = [name for name in variants() if name != NOW and any(word in name for word in chosen.only)]
        for first in range(0, len(others), 3):
            group = [NOW, *others[first : first + 3]]
            candidates = {name: (functools.partial(step, **variants()[name]), ()) for name in group}
            compare(candidates, NOW, IMAGES, chosen.repeats)
    if "kinds" in chosen.tables:
        profiled = {"float32": {}, "not folded": {"folded": False}, "bfloat16": {"mixed_precision": "bfloat16"}}
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
            found = dict(zip(profiled, pool.map(kinds, profiled.values()), strict=True))
        names = list(dict.fromkeys([*KINDS.values(), OTHERS]))
        rows = [[name, *(f"{one.get(name, 0):.1f}" for one in found.values())] for name in names]
        rows.append(["all", *(f"{sum(one.values()):.1f}" for one in found.values())])
        table(["ms an image", *found], rows)


if __name__ == "__main__":
    main()
