# What every rule file uses: the checked configuration, content hashes of the scripts, and names.
import re
import sys
from pathlib import Path

import yaml

sys.path.insert(0, f"{workflow.basedir}/scripts")

from cbir import code as cbir_code
from cbir import config as cbir_config
from cbir.errors import InputError
from cbir.files import sha256_json
from snakemake.exceptions import WorkflowError

BASE = Path(workflow.basedir)

try:
    config = cbir_config.check(
        config,
        yaml.safe_load((BASE / "schemas/config.schema.yaml").read_text()),
    )
except InputError as error:
    raise WorkflowError(str(error))

METHODS = sorted(config["methods"])
SPLITS = ["train", "val", "test"]


def code(script):
    """Content hash of a script and the library modules it uses: the only trace of code that reruns a rule."""
    return cbir_code.fingerprint(BASE / "scripts" / script, BASE / "scripts")


def settings(value):
    """Plain data as one string that reordered keys do not change."""
    return cbir_config.canonical(value)


wildcard_constraints:
    encoder="[A-Za-z0-9][A-Za-z0-9_-]*",
    method="[A-Za-z0-9][A-Za-z0-9_-]*",
    split="train|val|test|outside",
    shard="[0-9]+|outside",
    query="[A-Za-z0-9][A-Za-z0-9._-]*",
