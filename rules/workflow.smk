# Shared by all stages: the checked configuration, content hashes of the scripts, and the functions that name files.
import math
import os
import re
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import update_config

# Of this file: `workflow.basedir` is the folder of whatever workflow imports this one.
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

# On one machine no more GPU jobs run at once than there are GPUs; where there is none they are given none.
if workflow.local_exec:
    workflow.global_resources.setdefault("gpu", len(cbir_devices.visible()))


def require_encoders():
    """Refuse an encoder whose weights, or whose network of a person's own, are not there."""
    named = {row["architecture"] for row in config["encoders"].values()}
    entries = {name: cbir_architectures.REGISTRY.get_entry(name) for name in {*cbir_architectures.REGISTRY, *named}}
    own = {name: ["own"] if hasattr(entry, "FILE") else [] for name, entry in entries.items()}
    cbir_config.require_weights(config, {name: [*entry.SOURCES, *own[name]] for name, entry in entries.items()})
    for name, row in config["encoders"].items():
        try:
            # Of a file, it is read there.
            Options.from_row(row).size or entries[row["architecture"]].SIZE
        except InputError as error:
            raise InputError(f"config: encoders.{name}: {error}")


try:
    # Not by `configfile:`, which passes over the file in a module with a configuration of its own, and overrules the
    # configuration of a workflow that includes this one.
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
    # Images of a person's own are read where they lie.
    FETCHED = hasattr(SOURCE, "fetch")
    if not FETCHED:
        SOURCE.require(config["collection"])
    CORRECTIONS = cbir_corrections.read(
        config["collection"]["corrections"].replace("{source}", config["collection"]["source"])
    )
    config["methods"] = cbir_options.check_steps(config["methods"], STEPS)
    config["encoders"] = cbir_options.check_losses(config["encoders"], cbir_losses.REGISTRY)
    # The kind of index of each method, its options, and the recall that is asked of it.
    INDEXES = cbir_indexes.of_methods(config["index"], given.get("index") or {}, sorted(config["methods"]))
    require_encoders()
    cbir_roles.require_fitting(
        config["split"], sorted(name for name, row in config["encoders"].items() if row["training"] is not None)
    )
except InputError as error:
    raise WorkflowError(str(error))

# A job's own Snakemake on another machine is no second run. Jobs of an importing workflow do not hold the folder.
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
# The splits that are searched and that ask, and what else the protocol brings.
GALLERY, ASKING = cbir_roles.gallery_of(config["split"]["protocol"]), cbir_roles.QUERIES
PROTOCOL = PROTOCOLS[config["split"]["protocol"]]
RELEVANCE_FILE = {"relevance": "results/collection/relevance.csv"} if hasattr(PROTOCOL, "relevance") else {}
# Without the keys that this protocol does not read, so that they rerun nothing.
SPLIT_SETTINGS = {
    key: value
    for key, value in config["split"].items()
    if key not in ("folds", "relevance", "setup") or key in getattr(PROTOCOL, "SETTINGS", ())
}
FOLDS_FILE = {"folds": "results/evaluation/{method}/folds.csv"} if hasattr(PROTOCOL, "FOLDS") else {}
# Learned from the val images, where they search the gallery as the queries do.
HAS_CALIBRATION = LABELLED and cbir_roles.has_unseen_gallery(config["split"]["protocol"])
CALIBRATION_FILE = {"calibration": "results/evaluation/{method}/calibration.json"} if HAS_CALIBRATION else {}
METHODS = sorted(config["methods"])
SHARDS = range(config["collection"]["shards"])
# How the collection is read, and what of the split decides whether it can be used.
COLLECTED = {
    "source": config["collection"]["source"],
    "exclude": config["collection"]["exclude"],
    "layout": ("parts" if config["split"]["from"] == "folders" else "categories") if LABELLED else "none",
    **{key: config["split"][key] for key in ("protocol", "small")},
    "val": math.ceil(config["split"]["val"]),
    # What a person looked at and left as it is changes nothing. Without corrections nothing is made again.
    **{"corrections": made for made in [cbir_corrections.effective(CORRECTIONS)] if made},
}
COLLECT_ENTRIES = [
    ("collection/sources", config["collection"]["source"]),
    ("collection/protocols", config["split"]["protocol"]),
]
TRAINED = sorted(name for name, row in config["encoders"].items() if row["training"] is not None)
PAIRS = [f"{a}_vs_{b}" for a, b in config["comparison"]["pairs"]]
COMPARISON = ["methods.csv", "methods.svg", "categories.svg", "best_worst.csv"]
ENCODED = sorted(name for name, row in config["methods"].items() if "encoder" in row)
CHOSEN = sorted(name for name, row in config["methods"].items() if "choose" in row)
# The ending of the file beside `index/{method}.json` for each method, "" if there is none. A rule writes the same files
# for all of its methods, so the methods of each ending have one.
INDEX_ENDINGS = {name: cbir_indexes.REGISTRY[row[0]].SUFFIX.removeprefix(".") for name, row in INDEXES.items()}
INDEX_GROUPS = sorted(set(INDEX_ENDINGS.values()))
APPROXIMATE = sorted(name for name, (kind, *_) in INDEXES.items() if cbir_indexes.is_approximate(kind))
# The encoder whose features find doubtful labels: if possible one that is not trained on this collection, because
# training moves even mislabelled images towards the others of their category.
UNTRAINED = min(
    (config["methods"][method]["encoder"] for method in ENCODED),
    key=lambda encoder: (encoder in TRAINED, config["encoders"][encoder]["weights"] == "random", encoder),
)


def code(script, *data, entries=()):
    """Content hash of what can change a rule's output: its script, the library modules it uses and data files beside them.

    As a parameter it does not depend on when or where the files were checked out, as an input would.

    Args:
        script: a file name in scripts/.
        data: further files, relative to the repository.
        entries: the entries of registries that the configuration names for this rule, as pairs such as
            ("training/losses", "triplet"). Data files beside an entry that are named as it is count, too.
    """
    files = tuple(entry_file(BASE / "scripts/cbir" / registry, name) for registry, name in entries)
    own = cbir_code.fingerprint(BASE / "scripts" / script, BASE / "scripts", files)
    beside = (
        path for file in files for path in file.parent.glob(f"{file.stem}.*") if path.suffix not in (".py", ".pyc")
    )
    data = sorted({*data, *(path.relative_to(BASE).as_posix() for path in beside)})
    return sha256_json([own, *(sha256_file(BASE / path) for path in data)]) if data else own


def settings(value):
    """Plain data as one string that reordered keys do not change."""
    return cbir_config.canonical(value)


def one_of(names):
    """A wildcard constraint that admits these names alone."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def grows(base, per_mb=0):
    """Resource function: ``base``, and ``per_mb`` for each megabyte of the inputs that are there; more with each attempt."""

    def amount(wildcards, input, attempt):
        size = sum(Path(path).stat().st_size for path in input if Path(path).is_file())
        return round(attempt * (base + per_mb * size / 1e6))

    return amount


def threads_for(parts):
    """A thread for each part of the work, 16 at most: jobs of little work run side by side."""
    return min(max(1, math.ceil(parts)), 16)


def spread(megabytes):
    """Threads function: one for each so many megabytes of inputs."""

    def count(wildcards, input):
        size = sum(Path(path).stat().st_size for path in input if Path(path).is_file())
        return threads_for(size / megabytes / 1e6)

    return count


def encode_threads(wildcards, input):
    """Threads function: one for each batch of images that the shard does not hold yet."""
    # Here, so that a run that encodes nothing waits for no import.
    from cbir.features.shards import count_missing

    encoded = Path(input.network).parents[1] / "encoded"
    shard = encoded / wildcards.encoder / wildcards.runtime / f"{wildcards.shard}.h5"
    missing = count_missing(input.images, shard, input.about, Runtime.parse(wildcards.runtime))
    return threads_for(missing / config["encoders"][wildcards.encoder]["batch"])


def grows_with_images(base, per_thousand, manifest):
    """Resource function: ``base``, and ``per_thousand`` for each thousand rows of an input; more with each attempt.

    ``per_thousand`` is a number or a function of the wildcards.
    """

    def amount(wildcards, input, attempt):
        path = Path(input[manifest])
        rows = path.read_bytes().count(b"\n") if path.is_file() else 0
        slope = per_thousand(wildcards) if callable(per_thousand) else per_thousand
        return round(attempt * (base + slope * rows / 1000))

    return amount


def collection_contents(wildcards):
    """Hash of all names and contents of a person's own images; what other sources hold is an input of the rule."""
    if FETCHED:
        return config["collection"]["source"]
    try:
        return SOURCE.contents(config["collection"], RESULTS / "collection/memory/contents.json")
    except InputError as error:
        raise WorkflowError(str(error))


def collection_credits(wildcards):
    """Where the pictures of a source come from; a person's own folder has no such list."""
    return [f"results/sources/{config['collection']['source']}/credits.csv"] if FETCHED else []


def content_of(path):
    """The hash of a person's own file, "" if it cannot be read; the job says why.

    Such a file is a parameter, its path and this hash, and no input: Snakemake takes braces in an input's path for
    wildcards, puts the prefix of a module in front of it, and looks at its time, which a copied file keeps.
    """
    try:
        # Some files of /proc and /sys have the size 0 and never end.
        return sha256_file(path) if Path(path).is_file() and Path(path).stat().st_size else ""
    except OSError:
        return ""


def encoder_row(wildcards):
    """What decides an encoder's weights. How it is run does not."""
    row = config["encoders"][wildcards.encoder]
    row = {key: value for key, value in row.items() if key not in ("batch", "runtime", "precision", "freeze")}
    # Options that are not used are left out, so that a new one reruns nothing.
    row = {key: value for key, value in row.items() if key not in vars(Options())} | Options.from_row(row).given()
    if row["training"] is not None:
        unused = {key for key in ("freeze_below", "most_images") if row["training"][key] is None}
        row["training"] = {key: value for key, value in row["training"].items() if key not in unused}
    return settings(row)


def architecture_entry(wildcards):
    """The entry of an encoder's architecture."""
    return [("encoders/architectures", config["encoders"][wildcards.encoder]["architecture"])]


def training_entries(wildcards):
    """The entries of registries that decide the weights: the architecture, losses, and the metric whose best epoch is the result."""
    training = config["encoders"][wildcards.encoder]["training"]
    return [
        *architecture_entry(wildcards),
        *(("training/losses", name) for name in cbir_losses.asked(training["loss"])),
        ("evaluation/metrics", training["monitor"]),
    ]


def runtime_of(encoder):
    """What runs an encoder, and in which precision."""
    row = config["encoders"][encoder]
    return str(Runtime(row["runtime"], row["precision"]))


def validation_k(wildcards):
    """How many results a validation looks at; None where the monitor does not depend on it."""
    return k_of(("evaluation/metrics", config["encoders"][wildcards.encoder]["training"]["monitor"]))


def k_of(entry):
    """How many results a metric looks at; None where it does not depend on it."""
    return config["evaluation"]["k"] if cbir_measure.depends_on_k(cbir_metrics.REGISTRY[entry[1]]) else None


def monitor_entry(wildcards):
    """The metric by which a method's values are chosen."""
    return ("evaluation/metrics", cbir_chains.monitor_of(config["methods"][wildcards.method]))


def shown_metrics(wildcards):
    """The metrics that a history shows."""
    names = [*SHOWN, config["encoders"][wildcards.encoder]["training"]["monitor"]]
    return [("evaluation/metrics", name) for name in dict.fromkeys(names)]


def train_minutes(wildcards):
    """Minutes that a training may take for each thousand images of the train split: one for each epoch, at most."""
    return config["encoders"][wildcards.encoder]["training"]["epochs"]


def weights_file(wildcards):
    """The file of an encoder's first weights, if they are published ones, which are fetched."""
    row = config["encoders"][wildcards.encoder]
    entry, source = cbir_architectures.REGISTRY[row["architecture"]], row["weights"]
    # The network of a preset is in the file of its weights, whatever weights it gets.
    source = "own" if hasattr(entry, "fetch") else source
    name = architecture_name(row["architecture"])
    return {"fetched": f"results/weights/{name}-{source}.keras"} if source in entry.SOURCES else {}


def preset_content(wildcards):
    """The contents of the files of a preset on this machine; those of a published one do not change."""
    entry = cbir_architectures.REGISTRY[ARCHITECTURES[wildcards.architecture]]
    return [content_of(path) for path in getattr(entry, "FILES", [])]


def weights_content(wildcards):
    """The contents of the weights file and of the network that a person named; "" where there are none."""
    row = config["encoders"][wildcards.encoder]
    own = getattr(cbir_architectures.REGISTRY[row["architecture"]], "FILE", None)
    published = cbir_architectures.REGISTRY[row["architecture"]].SOURCES
    named = row["weights"] not in ("random", "own", *published)
    return (content_of(own) if own else "") + (content_of(row["weights"]) if named else "")


def shard_manifest(wildcards):
    """The images of a shard; an image from outside the collection is one of its own."""
    if wildcards.shard in OUTSIDE:
        return f"results/splits/{wildcards.shard}.csv"
    return f"results/collection/shards/{wildcards.shard}.csv"


def encoder_about(wildcards):
    """The side file of a method's encoder."""
    return f"results/encoders/{config['methods'][wildcards.method]['encoder']}.json"


def encoded_shards(wildcards):
    """The shards that hold a split's rows."""
    encoder = config["methods"][wildcards.method]["encoder"]
    shards = [wildcards.split] if wildcards.split in OUTSIDE else SHARDS
    return shards_of(encoder, shards)


def shards_of(encoder, shards):
    """The files of an encoder's shards."""
    rows = "results/encoded/{encoder}/{runtime}/{shard}.h5"
    return expand(rows, encoder=encoder, runtime=runtime_of(encoder), shard=shards)


def steps_of(method):
    """The registry's entries of the steps of a derived method."""
    return [("features/steps", name) for name in cbir_chains.steps(config["methods"][method])]


def parts_features(split):
    """Input function: the feature stores of a derived method's parts, for one split."""

    def paths(wildcards):
        parts = cbir_config.parts(config["methods"][wildcards.method])
        return expand("results/features/{part}/{split}.h5", part=parts, split=split or wildcards.split)

    return paths


def index_outputs(group):
    """The files that the rule of a group of methods writes."""
    files = {"about": "results/index/{method}.json"}
    return files | ({"stored": f"results/index/{{method}}.{INDEX_GROUPS[group]}"} if INDEX_GROUPS[group] else {})


def indexed_by(group):
    """A wildcard constraint that admits the methods of a group."""
    return one_of(name for name in METHODS if INDEX_ENDINGS[name] == INDEX_GROUPS[group])


def index_kind(wildcards):
    """The entry of a method's kind of index."""
    return [("retrieval/indexes", INDEXES[wildcards.method][0])]


def index_files(wildcards):
    """The files of a method's index, and of an approximate one what was measured of it."""
    group = INDEX_GROUPS.index(INDEX_ENDINGS[wildcards.method])
    files = {name: path.replace("{method}", wildcards.method) for name, path in index_outputs(group).items()}
    measured = {"quality": f"results/index/{wildcards.method}.quality.json"}
    return files | (measured if wildcards.method in APPROXIMATE else {})


def compared_index(wildcards):
    """The files of an index that the evaluation compares with the exact search; none of an approximate one."""
    return {} if wildcards.method in APPROXIMATE else index_files(wildcards)


def query_name(image):
    """A file name for a query image, or another path: what can be read of its name, and a hash that keeps it unique."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(image).stem).strip("._-")[:60] or "image"
    return f"{stem}-{sha256_json(image)[:8]}"


def architecture_name(architecture):
    """What an architecture is called in the name of a file; that of a preset is an address or a path."""
    return architecture if architecture in list(cbir_architectures.REGISTRY) else query_name(architecture)


def outside_name(image):
    """The split that an image from outside the collection is, alone, so that it depends on no other."""
    return f"outside-{sha256_json(image)[:8]}"


def read_refinements():
    """The refinements in the configured folder, by name."""
    asked = config["feedback"]
    path = asked["folder"].replace("{source}", config["collection"]["source"])
    weights = Weights(asked["alpha"], asked["beta"], asked["gamma"])
    try:
        return path, cbir_folder.find(path, METHODS, weights, asked["method"], asked["k"])
    except InputError as error:
        raise WorkflowError(str(error))


# A person's own file, whose content counts like a setting.
RELEVANCE_CONTENT = {"relevance": content_of(config["split"]["relevance"])} if RELEVANCE_FILE else {}
ARCHITECTURES = {
    architecture_name(name): name
    for name in [*cbir_architectures.REGISTRY, *(row["architecture"] for row in config["encoders"].values())]
}
QUERY_IMAGES = {query_name(image): image for image in config["queries"]["images"]}
# Of images without categories there is no evaluation to choose from.
DRAWN = [] if LABELLED else [f"drawn-{number}" for number in range(1, config["queries"]["draw"] + 1)]
QUERIES = config["queries"]["choose"] + DRAWN + sorted(QUERY_IMAGES)
FEEDBACK_FOLDER, REFINEMENTS = read_refinements()
# Without the methods, so that one more method reruns no other simulation.
SIMULATION = {key: value for key, value in config["feedback"]["simulation"].items() if key != "methods"}
SIMULATION |= {key: config["feedback"][key] for key in ("alpha", "beta", "gamma")}
SIMULATED = config["feedback"]["simulation"]["methods"]
SIMULATED = METHODS if SIMULATED is None else sorted(SIMULATED)
# An entry that is the path of a file comes from outside the collection.
OUTSIDE = {outside_name(image): image for image in QUERY_IMAGES.values() if Path(image).is_file()}
OUTSIDE |= {outside_name(entry.image): entry.image for entry in REFINEMENTS.values() if entry.image is not None}
# What the results may hold; the rest is removed, see `cbir.report.leftovers`.
ASKED = {
    "split": SPLITS + sorted(OUTSIDE),
    "protocol": [*RELEVANCE_FILE, *FOLDS_FILE, *CALIBRATION_FILE],
    "outside": sorted(OUTSIDE),
    "method": METHODS,
    "derived": sorted(set(METHODS) - set(ENCODED)),
    "approximate": APPROXIMATE,
    "ending": sorted({"json", *INDEX_GROUPS} - {""}),
    "stored": sorted(f"{method}.{ending}" for method, ending in INDEX_ENDINGS.items()),
    "pair": PAIRS,
    "query": QUERIES,
    "refinement": sorted(REFINEMENTS),
    "simulated": SIMULATED,
    "labels": ["categories"] if LABELLED else [],
}


def query_evaluation(wildcards):
    """What example queries are chosen from and how sure results are; nothing where images have no categories."""
    folder = "results/evaluation/{method}"
    files = {"categories": f"{folder}/categories.csv", "queries": f"{folder}/queries.csv"} if LABELLED else {}
    return {name: file.format(method=wildcards.method) for name, file in (files | CALIBRATION_FILE).items()}


def query_stores(wildcards):
    """The feature stores that may hold the query."""
    if wildcards.query in DRAWN:
        return [f"results/features/{wildcards.method}/train.h5"]
    image = QUERY_IMAGES.get(wildcards.query)
    splits = [ASKING] if image is None else [outside_name(image)] if outside_name(image) in OUTSIDE else SPLITS
    return expand("results/features/{method}/{split}.h5", method=wildcards.method, split=splits)


def other_pairs(wildcards):
    """The pairs that are compared beside this one; their tests are corrected together with its."""
    return [pair for pair in config["comparison"]["pairs"] if pair != [wildcards.a, wildcards.b]]


def methods_of_pairs(wildcards):
    """The methods of this pair and of the others, each once."""
    return list(dict.fromkeys([wildcards.a, wildcards.b, *sum(other_pairs(wildcards), [])]))


def evaluations(file):
    """Input function: a file of the evaluation of each of `methods_of_pairs`."""
    return lambda wildcards: [f"results/evaluation/{method}/{file}" for method in methods_of_pairs(wildcards)]


def refine_input(wildcards):
    """What a refinement needs; nothing at all if its file cannot be used."""
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
    """The files of an approximate index, which answers the first round."""
    found = {"stored": INDEX_ENDINGS[method], "about": "json", "quality": "quality.json"}
    return {name: f"results/index/{method}.{ending}" for name, ending in found.items()} if method in APPROXIMATE else {}


# The strategies of feedback that the report explains.
REPORTED = {
    *SIMULATION["strategies"],
    *(entry.refinement.strategy for entry in REFINEMENTS.values() if entry.refinement),
}


def strategies_of(*names):
    """The registry's entries of some strategies of feedback."""
    return [("feedback/strategies", name) for name in sorted(set(names))]


def refine_code(wildcards):
    """Content hash of what can change a refinement's results, its strategy among it."""
    asked = REFINEMENTS[wildcards.refinement].refinement
    schema = "scripts/cbir/feedback/refinement.schema.json"
    kind = [("retrieval/indexes", INDEXES[asked.method][0])] if asked and asked.method in APPROXIMATE else []
    return code("refine.py", schema, entries=strategies_of(asked.strategy) + kind if asked else ())


def refine_settings(wildcards):
    """What the configuration decides in a refinement, and nothing that the refinement itself decides."""
    asked = REFINEMENTS[wildcards.refinement].refinement
    return settings({"method": asked.method, "k": asked.k, **vars(asked.weights)} if asked else {})


# What the wildcards of the report's inputs stand for; see `cbir.report.sections`.
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
    """Everything that the report shows, and the images of all splits, which the search page offers as queries."""
    # Here, so that only the process that builds the DAG imports the sections.
    from cbir.report.build import inputs
    from cbir.results import OF_LABELS, OF_PROTOCOLS

    missing = [] if LABELLED else list(OF_LABELS)
    missing += [file for name, files in OF_PROTOCOLS.items() if name not in ASKED["protocol"] for file in files]
    files = inputs(REPORT_NAMES, missing) + expand("features/{method}/{split}.h5", method=METHODS, split=SPLITS)
    # What a person and the search page open, and the report does not.
    files += ["configuration.json", *expand("evaluation/{method}/confusion.svg", method=METHODS if LABELLED else [])]
    return [f"results/{file}" for file in files]


# Data of the report, like code: as inputs, their paths would rerun the rule in a moved checkout.
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
