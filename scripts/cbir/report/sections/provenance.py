"""What the results were made from: encoders, methods, library versions and the configuration."""

import json
import os
import platform
from typing import Any

import yaml

from cbir.evaluation.metrics import REGISTRY as METRICS
from cbir.features import store
from cbir.files.versions import version
from cbir.report.results import Results
from cbir.results import FEATURES, INDEX_ABOUT, NETWORK_ABOUT

TITLE = "Provenance"
ORDER = 120
FOLDED = True
INPUTS = (NETWORK_ABOUT, FEATURES.replace("{split}", "{gallery}"), INDEX_ABOUT)


def gather(results: Results) -> dict[str, Any]:
    """Return the encoders, methods, library versions and the configuration."""
    libraries: dict[str, str] = {}
    methods = []
    for method in results.methods:
        index = results.json(INDEX_ABOUT, method=method.name)
        features = store.about(results.path(FEATURES, method=method.name, split=results.gallery), method.name)
        libraries |= json.loads(features.get("libraries", "{}"))
        libraries |= {name: index[name] for name in ("numpy", "scipy") if name in index}
        methods.append(
            {
                "name": method.name,
                "row": _flow(results.config["methods"][method.name]),
                "chosen": _chosen(features),
                **{key: index.get(key) for key in ("dimension", "rows", "kind", "features_sha256")},
            }
        )
    here = {"Python": platform.python_version(), "snakemake": version("snakemake")}
    return {
        "encoders": [
            {"name": name, **_encoder(results.json(NETWORK_ABOUT, encoder=name))} for name in results.names["encoder"]
        ],
        "methods": methods,
        "libraries": sorted({**libraries, **{name: value for name, value in here.items() if value}}.items()),
        "machine": f"{platform.system()} on {platform.machine()}, {os.cpu_count()} CPUs",
        "config": yaml.safe_dump(results.config, sort_keys=False, allow_unicode=True, width=96).splitlines(),
    }


def _flow(row: dict[str, Any]) -> str:
    return yaml.safe_dump(row, default_flow_style=True, allow_unicode=True, width=10**6).strip().strip("{}")


def _chosen(features: dict[str, Any]) -> dict[str, Any] | None:
    """Return the options of steps that were tried on val; None if nothing was chosen."""
    if "chosen" not in features:
        return None
    chosen = json.loads(features["chosen"])
    return {
        "monitor": METRICS[chosen["monitor"]].NAME.format(k="k"),
        "tried": [
            {
                "steps": ", ".join(map(_flow, tried["steps"])),
                "value": tried["value"],
                "is_best": place == chosen["best"],
            }
            for place, tried in enumerate(chosen["tried"])
        ],
    }


def _encoder(about: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in about.items() if key != "encoder"}
    return {
        "rows": [
            (key, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value)
            for key, value in plain.items()
        ]
    }
