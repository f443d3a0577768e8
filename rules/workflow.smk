# Shared by all stages: the checked configuration, code hashes of the rules, and functions for inputs, parameters and resources.
import math
import os
import re
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import update_config

# The folder of this workflow. `workflow.basedir` is that of the main workflow, which may import this one as a module.
BASE = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent
IS_MAIN = Path(workflow.main_snakefile) == BASE / "Snakefile"

if f"{BASE}/scripts" not in sys.path:
    sys.path.insert(0, f"{BASE}/scripts")

from cbir.workflow import code_hash as cbir_code
from cbir.workflow import configuration as cbir_config
from cbir.collection import corrections as cbir_corrections
from cbir.collection import roles as cbir_roles
from cbir.collection.protocols import REGISTRY as PROTOCOLS
from cbir.collection.sources import REGISTRY as SOURCES
from cbir.encoders import architectures as cbir_architectures
from cbir.encoders import devices as cbir_devices
from cbir.encoders import frozen as cbir_frozen
from cbir.encoders.options import Options
from cbir.evaluation import measure as cbir_measure
from cbir.evaluation import metrics as cbir_metrics
from cbir.features import chains as cbir_chains
from cbir.features.steps import REGISTRY as STEPS
from cbir.workflow import lock as cbir_lock
from cbir.workflow import options as cbir_options
from cbir.files.errors import InputError
from cbir.feedback import folder as cbir_folder
from cbir.training import losses as cbir_losses
from cbir.training.settings import SHOWN
from cbir.feedback.strategies import Weights
from cbir.report.sections import REGISTRY as SECTIONS
from cbir.retrieval import indexes as cbir_indexes
from cbir.files.atomic import date_back
from cbir.files.hashes import sha256_file, sha256_json
from cbir.files.registry import path as entry_file
from cbir.encoders.runtimes import RUNTIMES, Runtime

# In a local run, the number of parallel GPU jobs is limited to the number of GPUs. Without a GPU they use the CPU.
if workflow.local_exec:
    workflow.global_resources.setdefault("gpu", len(cbir_devices.visible()))


def require_encoders():
    """Check that the weights of each encoder, and a user's own network, exist."""
    named = {row["architecture"] for row in config["encoders"].values()}
    entries = {name: cbir_architectures.REGISTRY.get_entry(name) for name in {*cbir_architectures.REGISTRY, *named}}
    own = {name: ["own"] if hasattr(entry, "FILE") else [] for name, entry in entries.items()}
    cbir_config.require_weights(config, {name: [*entry.SOURCES, *own[name]] for name, entry in entries.items()})
    for name, row in config["encoders"].items():
        try:
            # For a user's network, this reads the file and thus checks it.
            Options.from_row(row).size or entries[row["architecture"]].SIZE
        except InputError as error:
            raise InputError(f"config: encoders.{name}: {error}")


try:
    # `configfile:` is not used, because it ignores the file if this workflow is a module with its own configuration, and
    # overrides the configuration of a workflow that includes this one.
    given, config = config, {}
    if not workflow.config_settings.replace_workflow_config:
        update_config(config, yaml.safe_load((BASE / "config.yaml").read_text(encoding="utf-8")))
    update_config(config, given)
    config = cbir_config.check(
        config,
        yaml.safe_load((BASE / "scripts/cbir/workflow/config.schema.yaml").read_text()),
        given=given,
        tell=logger.info if workflow.is_main_process else lambda sentence: None,
    )
    SOURCE = SOURCES.get_entry(config["collection"]["source"])
    # Whether the source downloads images. A user's own images are read in their folder.
    FETCHED = hasattr(SOURCE, "fetch")
    if not FETCHED:
        SOURCE.require(config["collection"])
    CORRECTIONS = cbir_corrections.read(
        config["collection"]["corrections"].replace("{source}", config["collection"]["source"])
    )
    config["methods"] = cbir_options.check_steps(config["methods"], STEPS)
    config["encoders"] = cbir_options.check_losses(config["encoders"], cbir_losses.REGISTRY)
    # For each method the kind of its index, the options, and the recall that a search must have.
    INDEXES = cbir_indexes.of_methods(config["index"], given.get("index") or {}, sorted(config["methods"]))
    require_encoders()
    cbir_roles.require_fitting(
        config["split"], sorted(name for name, row in config["encoders"].items() if row["training"] is not None)
    )
except InputError as error:
    raise WorkflowError(str(error))

# Only in the main process, because a job on another machine starts Snakemake again. Not as a module, because jobs of the importing
# workflow do not hold the lock.
if workflow.is_main_process and IS_MAIN:
    try:
        if cbir_lock.release_abandoned():
            logger.info(
                "The last run here was killed and left its lock; nobody is at work here any more, so it is removed."
            )
    except InputError as error:
        raise WorkflowError(str(error))

SPLITS = ["train", "val", "test"]
# Whether images have categories.
LABELLED = config["collection"]["labels"] != "none"
# The splits of the gallery and of the queries, and the files that depend on the protocol.
GALLERY, QUERY_SPLIT = cbir_roles.gallery_of(config["split"]["protocol"]), cbir_roles.QUERIES
PROTOCOL = PROTOCOLS[config["split"]["protocol"]]
RELEVANCE_FILE = {"relevance": "results/collection/relevance.csv"} if hasattr(PROTOCOL, "relevance") else {}
# Without the keys that the protocol does not use, so that changing them reruns nothing.
SPLIT_SETTINGS = {
    key: value
    for key, value in config["split"].items()
    if key not in ("folds", "relevance", "setup") or key in getattr(PROTOCOL, "SETTINGS", ())
}
FOLDS_FILE = {"folds": "results/evaluation/{method}/folds.csv"} if hasattr(PROTOCOL, "FOLDS") else {}
# The calibration is learned from the val images as queries, which requires that they are not in the gallery.
HAS_CALIBRATION = LABELLED and cbir_roles.has_unseen_gallery(config["split"]["protocol"])
CALIBRATION_FILE = {"calibration": "results/evaluation/{method}/calibration.json"} if HAS_CALIBRATION else {}
METHODS = sorted(config["methods"])
SHARDS = range(config["collection"]["shards"])
# The settings of reading the collection, with those of the split that decide which categories are too small.
COLLECTED = {
    "source": config["collection"]["source"],
    "exclude": config["collection"]["exclude"],
    "layout": ("parts" if config["split"]["from"] == "folders" else "categories") if LABELLED else "none",
    **{key: config["split"][key] for key in ("protocol", "small")},
    "val": math.ceil(config["split"]["val"]),
    # Only corrections that change something; without any, the key is missing, so that nothing is rerun.
    **{"corrections": made for made in [cbir_corrections.effective(CORRECTIONS)] if made},
}
COLLECT_ENTRIES = [
    ("collection/sources", config["collection"]["source"]),
    ("collection/protocols", config["split"]["protocol"]),
]
TRAINED = sorted(name for name, row in config["encoders"].items() if row["training"] is not None)
PAIRS = [f"{a}_vs_{b}" for a, b in config["comparison"]["pairs"]]
COMPARISON = ["methods.csv", "tests.csv", "methods.svg", "categories.svg", "best_worst.csv"]
ENCODED = sorted(name for name, row in config["methods"].items() if "encoder" in row)
CHOSEN = sorted(name for name, row in config["methods"].items() if "choose" in row)
# The suffix of the index file of each method, "" if there is none.
INDEX_ENDINGS = {name: cbir_indexes.REGISTRY[row[0]].SUFFIX.removeprefix(".") for name, row in INDEXES.items()}
APPROXIMATE = sorted(name for name, (kind, *_) in INDEXES.items() if cbir_indexes.is_approximate(kind))
# All jobs of a rule have the same outputs, so there is a rule for each suffix, and for approximate indexes.
INDEX_GROUPS = sorted({(ending, name in APPROXIMATE) for name, ending in INDEX_ENDINGS.items()})
# The encoder whose features are used to find doubtful labels, preferably one that is not trained on this collection: training moves
# even mislabelled images towards their category.
UNTRAINED = min(
    (config["methods"][method]["encoder"] for method in ENCODED),
    key=lambda encoder: (encoder in TRAINED, config["encoders"][encoder]["weights"] == "random", encoder),
)


def code(script, *data, entries=()):
    """Return the hash of a rule's script, of the library modules that it imports, and of its data files.

    It is a parameter and not an input, because inputs are compared by their time and path, which depend on the checkout.

    Args:
        script: a file name in scripts/.
        data: further files, relative to the repository.
        entries: the entries of registries that the configuration names for this rule, as pairs such as
            ("training/losses", "triplet"). Data files with the stem of an entry are covered, too.
    """
    files = tuple(entry_file(BASE / "scripts/cbir" / registry, name) for registry, name in entries)
    own = cbir_code.fingerprint(BASE / "scripts" / script, BASE / "scripts", files)
    beside = (
        path for file in files for path in file.parent.glob(f"{file.stem}.*") if path.suffix not in (".py", ".pyc")
    )
    data = sorted({*data, *(path.relative_to(BASE).as_posix() for path in beside)})
    return sha256_json([own, *(sha256_file(BASE / path) for path in data)]) if data else own


def settings(value):
    """Return plain data as a string that does not depend on the order of keys."""
    return cbir_config.canonical(value)


def one_of(names):
    """Return a wildcard constraint that matches only these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def grows(base, per_mb=0):
    """Resource function: ``base`` plus ``per_mb`` for each megabyte of existing inputs, times the number of the attempt."""

    def amount(wildcards, input, attempt):
        size = sum(Path(path).stat().st_size for path in input if Path(path).is_file())
        return round(attempt * (base + per_mb * size / 1e6))

    return amount


def threads_for(parts):
    """Return a number of threads for a number of parts of the work, from 1 to 16, so that small jobs run in parallel."""
    return min(max(1, math.ceil(parts)), 16)


def spread(megabytes):
    """Threads function: one thread for each ``megabytes`` MB of inputs, at most 16."""

    def count(wildcards, input):
        size = sum(Path(path).stat().st_size for path in input if Path(path).is_file())
        return threads_for(size / megabytes / 1e6)

    return count


def encode_threads(wildcards, input):
    """Threads function: one thread for each batch of images to encode, at most 16."""
    # Imported here, because a run that encodes nothing does not need it.
    from cbir.features.shards import count_missing

    encoded = Path(input.network).parents[1] / "encoded"
    shard = encoded / wildcards.encoder / wildcards.runtime / f"{wildcards.shard}.h5"
    missing = count_missing(input.images, shard, input.about, Runtime.parse(wildcards.runtime))
    return threads_for(missing / config["encoders"][wildcards.encoder]["batch"])


def grows_with_images(base, per_thousand, manifest):
    """Resource function: ``base`` plus ``per_thousand`` for each 1,000 rows of an input, times the number of the attempt.

    Args:
        base: the constant part.
        per_thousand: a number, or a function of the wildcards.
        manifest: the name of the input, a CSV file.
    """

    def amount(wildcards, input, attempt):
        path = Path(input[manifest])
        rows = path.read_bytes().count(b"\n") if path.is_file() else 0
        slope = per_thousand(wildcards) if callable(per_thousand) else per_thousand
        return round(attempt * (base + slope * rows / 1000))

    return amount


def collection_contents(wildcards):
    """Return the hash of all names and contents of a user's own images; fetched images are an input of the rule."""
    if FETCHED:
        return config["collection"]["source"]
    try:
        return SOURCE.contents(config["collection"], RESULTS / "collection/memory/contents.json")
    except InputError as error:
        raise WorkflowError(str(error))


def collection_credits(wildcards):
    """Input function: the list of credits of a fetched source; a user's own folder has none."""
    return [f"results/sources/{config['collection']['source']}/credits.csv"] if FETCHED else []


def content_of(path):
    """Return the hash of a user's own file, "" if it cannot be read; the job then reports the error.

    The path and the hash of such a file are parameters, and the file is not an input. In the path of an input,
    Snakemake would interpret braces as wildcards and add the prefix of a module. It would also compare the file's time,
    which a copy may preserve.
    """
    try:
        # Files of size 0 are not read, because some files in /proc and /sys have this size and never end.
        return sha256_file(path) if Path(path).is_file() and Path(path).stat().st_size else ""
    except OSError:
        return ""


def encoder_row(wildcards):
    """Parameter: the keys of an encoder's row that affect its weights, without those of encoding."""
    row = config["encoders"][wildcards.encoder]
    row = {key: value for key, value in row.items() if key not in ("batch", "runtime", "precision", "freeze")}
    # Options with default values are left out, so that the introduction of an option reruns nothing.
    row = {key: value for key, value in row.items() if key not in vars(Options())} | Options.from_row(row).given()
    if row["training"] is not None:
        unused = {key for key in ("freeze_below", "most_images") if row["training"][key] is None}
        row["training"] = {key: value for key, value in row["training"].items() if key not in unused}
    return settings(row)


def architecture_entry(wildcards):
    """Return the registry entry of an encoder's architecture."""
    return [("encoders/architectures", config["encoders"][wildcards.encoder]["architecture"])]


def training_entries(wildcards):
    """Return the registry entries of a training: the architecture, the losses, and the metric that chooses the best epoch."""
    training = config["encoders"][wildcards.encoder]["training"]
    return [
        *architecture_entry(wildcards),
        *(("training/losses", name) for name in cbir_losses.asked(training["loss"])),
        ("evaluation/metrics", training["monitor"]),
    ]


def runtime_of(encoder):
    """Return the runtime of an encoder with its precision, as in paths."""
    row = config["encoders"][encoder]
    return str(Runtime(row["runtime"], row["precision"]))


def validation_k(wildcards):
    """Parameter: the k of the validation's metric; None if the metric does not depend on k."""
    return k_of(("evaluation/metrics", config["encoders"][wildcards.encoder]["training"]["monitor"]))


def k_of(entry):
    """Return the k of a metric; None if the metric does not depend on k."""
    return config["evaluation"]["k"] if cbir_measure.depends_on_k(cbir_metrics.REGISTRY[entry[1]]) else None


def monitor_entry(wildcards):
    """Return the registry entry of the metric by which the values of a method are chosen."""
    return ("evaluation/metrics", cbir_chains.monitor_of(config["methods"][wildcards.method]))


def shown_metrics(wildcards):
    """Return the registry entries of the metrics in the history of a training."""
    names = [*SHOWN, config["encoders"][wildcards.encoder]["training"]["monitor"]]
    return [("evaluation/metrics", name) for name in dict.fromkeys(names)]


def train_minutes(wildcards):
    """Return the time limit of a training in minutes per 1,000 train images: one minute per epoch."""
    return config["encoders"][wildcards.encoder]["training"]["epochs"]


def weights_file(wildcards):
    """Input function: the file of an encoder's initial weights, if they are published ones."""
    row = config["encoders"][wildcards.encoder]
    entry, source = cbir_architectures.REGISTRY[row["architecture"]], row["weights"]
    # The network of a preset is in the file of its weights, so the file is needed for any weights.
    source = "own" if hasattr(entry, "fetch") else source
    name = architecture_name(row["architecture"])
    return {"fetched": f"results/weights/{name}-{source}.keras"} if source in entry.SOURCES else {}


def preset_content(wildcards):
    """Parameter: the hashes of a preset's files in a folder; published presets do not change."""
    entry = cbir_architectures.REGISTRY[ARCHITECTURES[wildcards.architecture]]
    return [content_of(path) for path in getattr(entry, "FILES", [])]


def weights_content(wildcards):
    """Parameter: the hashes of the network and of the weights in a user's files; "" if there are none."""
    row = config["encoders"][wildcards.encoder]
    own = getattr(cbir_architectures.REGISTRY[row["architecture"]], "FILE", None)
    published = cbir_architectures.REGISTRY[row["architecture"]].SOURCES
    named = row["weights"] not in ("random", "own", *published)
    return (content_of(own) if own else "") + (content_of(row["weights"]) if named else "")


def shard_manifest(wildcards):
    """Input function: the images of a shard; each outside query is a shard of its own."""
    if wildcards.shard in OUTSIDE:
        return f"results/splits/{wildcards.shard}.csv"
    return f"results/collection/shards/{wildcards.shard}.csv"


def encoder_about(wildcards):
    """Input function: the side file of a method's encoder."""
    return f"results/encoders/{config['methods'][wildcards.method]['encoder']}.json"


def encoded_shards(wildcards):
    """Input function: the encoded shards with the images of a split."""
    encoder = config["methods"][wildcards.method]["encoder"]
    shards = [wildcards.split] if wildcards.split in OUTSIDE else SHARDS
    return shards_of(encoder, shards)


def shards_of(encoder, shards):
    """Return the files of some encoded shards of an encoder."""
    rows = "results/encoded/{encoder}/{runtime}/{shard}.h5"
    return expand(rows, encoder=encoder, runtime=runtime_of(encoder), shard=shards)


def steps_of(method):
    """Return the registry entries of the steps of a derived method."""
    return [("features/steps", name) for name in cbir_chains.steps(config["methods"][method])]


def parts_features(split):
    """Return an input function: the feature stores of a derived method's parts for a split, None for the wildcard's."""

    def paths(wildcards):
        parts = cbir_config.parts(config["methods"][wildcards.method])
        return expand("results/features/{part}/{split}.h5", part=parts, split=split or wildcards.split)

    return paths


def index_paths(ending, is_approximate):
    """Return the files of the indexes of a group of methods."""
    files = {"about": "results/index/{method}.json"}
    files |= {"stored": f"results/index/{{method}}.{ending}"} if ending else {}
    return files | ({"rows": "results/index/{method}.rows.h5"} if is_approximate else {})


def index_group(method):
    """Return the group of a method."""
    return INDEX_ENDINGS[method], method in APPROXIMATE


def index_outputs(group):
    """Return the output files of the index rule of a group of methods.

    With `update` Snakemake does not remove those that a job may keep. It removes the side file, so that a job that was
    stopped is not taken for finished.
    """
    files = index_paths(*INDEX_GROUPS[group])
    is_kept = any(INDEXES[name][3] for name in METHODS if index_group(name) == INDEX_GROUPS[group])
    return {name: update(path) if is_kept and name != "about" else path for name, path in files.items()}


def indexed_by(group):
    """Return a wildcard constraint that matches the methods of a group."""
    return one_of(name for name in METHODS if index_group(name) == INDEX_GROUPS[group])


def index_kind(wildcards):
    """Return the registry entry of a method's kind of index."""
    return [("retrieval/indexes", INDEXES[wildcards.method][0])]


def files_of_index(method):
    """Return the files of a method's index; for an approximate one, also its measured quality."""
    files = {name: path.replace("{method}", method) for name, path in index_paths(*index_group(method)).items()}
    return files | ({"quality": f"results/index/{method}.quality.json"} if method in APPROXIMATE else {})


def index_files(wildcards):
    """Input function: the files of a method's index."""
    return files_of_index(wildcards.method)


def query_name(image):
    """Return a file name for a query image or another path: a readable part of its name, and a hash of the path."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(image).stem).strip("._-")[:60] or "image"
    return f"{stem}-{sha256_json(image)[:8]}"


def architecture_name(architecture):
    """Return the name of an architecture for file names; the name of a preset may be an address or a path."""
    return architecture if architecture in list(cbir_architectures.REGISTRY) else query_name(architecture)


def outside_name(image):
    """Return the name of the split that consists of an outside query, so that it does not depend on other queries."""
    return f"outside-{sha256_json(image)[:8]}"


def read_refinements():
    """Return the path of the folder of refinements, and the refinements by name."""
    asked = config["feedback"]
    path = asked["folder"].replace("{source}", config["collection"]["source"])
    weights = Weights(asked["alpha"], asked["beta"], asked["gamma"])
    try:
        return path, cbir_folder.find(path, METHODS, weights, asked["method"], asked["k"])
    except InputError as error:
        raise WorkflowError(str(error))


# The hash of a user's list of relevant images is a parameter, see `content_of`.
RELEVANCE_CONTENT = {"relevance": content_of(config["split"]["relevance"])} if RELEVANCE_FILE else {}
ARCHITECTURES = {
    architecture_name(name): name
    for name in [*cbir_architectures.REGISTRY, *(row["architecture"] for row in config["encoders"].values())]
}
QUERY_IMAGES = {query_name(image): image for image in config["queries"]["images"]}
# Without labels there is no evaluation by which queries could be chosen, so they are drawn.
DRAWN = [] if LABELLED else [f"drawn-{number}" for number in range(1, config["queries"]["draw"] + 1)]
QUERIES = config["queries"]["choose"] + DRAWN + sorted(QUERY_IMAGES)
FEEDBACK_FOLDER, REFINEMENTS = read_refinements()
# Without the methods, so that adding a method does not rerun the simulations of others.
SIMULATION = {key: value for key, value in config["feedback"]["simulation"].items() if key != "methods"}
SIMULATION |= {key: config["feedback"][key] for key in ("alpha", "beta", "gamma")}
SIMULATED = config["feedback"]["simulation"]["methods"]
SIMULATED = METHODS if SIMULATED is None else sorted(SIMULATED)
# Query images that are paths of files are outside queries.
OUTSIDE = {outside_name(image): image for image in QUERY_IMAGES.values() if Path(image).is_file()}
OUTSIDE |= {outside_name(entry.image): entry.image for entry in REFINEMENTS.values() if entry.image is not None}
# The files that the results may contain; others are removed, see `cbir.report.leftovers`.
ASKED = {
    "split": SPLITS + sorted(OUTSIDE),
    "protocol": [*RELEVANCE_FILE, *FOLDS_FILE, *CALIBRATION_FILE],
    "outside": sorted(OUTSIDE),
    "method": METHODS,
    "derived": sorted(set(METHODS) - set(ENCODED)),
    "approximate": APPROXIMATE,
    "ending": sorted({"json", *INDEX_ENDINGS.values()} - {""}),
    "stored": sorted(f"{method}.{ending}" for method, ending in INDEX_ENDINGS.items()),
    "pair": PAIRS,
    "query": QUERIES,
    "refinement": sorted(REFINEMENTS),
    "simulated": SIMULATED,
    "labels": ["categories"] if LABELLED else [],
}


def query_evaluation(wildcards):
    """Input function: the evaluation by which a query is chosen, and the calibration; empty without labels."""
    folder = "results/evaluation/{method}"
    files = {"categories": f"{folder}/categories.csv", "queries": f"{folder}/queries.csv"} if LABELLED else {}
    return {name: file.format(method=wildcards.method) for name, file in (files | CALIBRATION_FILE).items()}


def query_stores(wildcards):
    """Input function: the feature stores that may contain the query."""
    if wildcards.query in DRAWN:
        return [f"results/features/{wildcards.method}/train.h5"]
    image = QUERY_IMAGES.get(wildcards.query)
    splits = [QUERY_SPLIT] if image is None else [outside_name(image)] if outside_name(image) in OUTSIDE else SPLITS
    return expand("results/features/{method}/{split}.h5", method=wildcards.method, split=splits)


def evaluations(file):
    """Return an input function: a file of the evaluation of each method of a pair."""
    return lambda wildcards: [f"results/evaluation/{method}/{file}" for method in (wildcards.a, wildcards.b)]


def refine_input(wildcards):
    """Input function: the inputs of a refinement; empty if its file is invalid."""
    entry = REFINEMENTS[wildcards.refinement]
    if entry.refinement is None:
        return {}
    splits = SPLITS + [outside_name(entry.image)] if entry.image else SPLITS
    features = f"results/features/{entry.refinement.method}"
    return {
        "gallery": f"{features}/{GALLERY}.h5",
        "stores": [f"{features}/{split}.h5" for split in splits],
        "images": "results/collection/images.csv",
        "ranges": "results/collection/ranges.json",
        "categories": "results/collection/categories.json",
        **refined_index(entry.refinement.method),
    }


def refined_index(method):
    """Return the files of an approximate index, which is searched in the first round."""
    return files_of_index(method) if method in APPROXIMATE else {}


# The strategies of feedback that the report explains.
REPORTED = {
    *SIMULATION["strategies"],
    *(entry.refinement.strategy for entry in REFINEMENTS.values() if entry.refinement),
}


def strategies_of(*names):
    """Return the registry entries of some strategies of feedback."""
    return [("feedback/strategies", name) for name in sorted(set(names))]


def refine_code(wildcards):
    """Parameter: the code hash of a refinement, with its strategy."""
    asked = REFINEMENTS[wildcards.refinement].refinement
    schema = "scripts/cbir/feedback/refinement.schema.json"
    kind = [("retrieval/indexes", INDEXES[asked.method][0])] if asked and asked.method in APPROXIMATE else []
    return code("refine.py", schema, entries=strategies_of(asked.strategy) + kind if asked else ())


def refine_settings(wildcards):
    """Parameter: the settings of the configuration that a refinement uses, without those that it sets itself."""
    asked = REFINEMENTS[wildcards.refinement].refinement
    return settings({"method": asked.method, "k": asked.k, **vars(asked.weights)} if asked else {})


# Values of the wildcards in the inputs of the report, see `cbir.report.sections`.
REPORT_NAMES = {
    "split": SPLITS,
    "gallery": [GALLERY],
    "encoder": sorted(config["encoders"]),
    "trained": TRAINED,
    "method": METHODS,
    "approximate": APPROXIMATE,
    "simulated": SIMULATED,
    "pair": PAIRS,
    "comparison": COMPARISON if len(METHODS) > 1 and LABELLED else [],
    "query": QUERIES,
    "refinement": sorted(REFINEMENTS),
    "source": [config["collection"]["source"]] if FETCHED else [],
}


def report_input(wildcards):
    """Input function: the files that the report shows, and the features of all splits, which the search page needs."""
    # Imported here, so that only the process that builds the DAG imports the sections.
    from cbir.report.build import inputs
    from cbir.results import OF_LABELS, OF_PROTOCOLS

    missing = [] if LABELLED else list(OF_LABELS)
    missing += [file for name, files in OF_PROTOCOLS.items() if name not in ASKED["protocol"] for file in files]
    files = inputs(REPORT_NAMES, missing) + expand("features/{method}/{split}.h5", method=METHODS, split=SPLITS)
    # Files for users and the search page that the report does not show.
    files += ["configuration.json", *expand("evaluation/{method}/confusion.svg", method=METHODS if LABELLED else [])]
    return [f"results/{file}" for file in files]


# Data files of the report. They are covered by the code hash and are not inputs, so that moving the checkout reruns nothing.
TEMPLATES = sorted(
    str(path.relative_to(BASE))
    for path in (BASE / "scripts/cbir/report").rglob("*")
    if path.suffix in (".j2", ".css", ".js")
)


wildcard_constraints:
    encoder="[A-Za-z0-9][A-Za-z0-9_-]*",
    runtime=one_of(map(str, RUNTIMES)),
    method="[A-Za-z0-9][A-Za-z0-9_-]*",
    split=f"train|val|test|{one_of(OUTSIDE)}",
    shard=f"[0-9]+|{one_of(OUTSIDE)}",
    query="[A-Za-z0-9][A-Za-z0-9._-]*",
