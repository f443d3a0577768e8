"""The code blocks of README, CONTRIBUTING and docs/ work; their links and paths exist.

Python runs on a run's results, `make run` is planned (-n), YAML must be a valid change of the configuration, JSON a
valid refinement. The examples of docs/extending.md are tested by test_extending.py. A block after a comment
`<!-- not run: REASON -->` is skipped, and the test lists it. A block after `<!-- needs: MODULE, ... -->` is skipped if
one of the modules is not installed; it finds an export of the results in its folder.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import jsonschema
import pytest
import yaml
from snakemake.utils import update_config

import cbir
from cbir.encoders import architectures
from cbir.files.tables import read_csv
from cbir.workflow import configuration
from workplace import REPOSITORY, Workplace

CONFIG_SCHEMA = "scripts/cbir/workflow/config.schema.yaml"
REFINEMENT_SCHEMA = REPOSITORY / "scripts/cbir/feedback/refinement.schema.json"
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MARK = r"(?:<!-- (?:not run: (?P<reason>[^>\n]+)|needs: (?P<needs>[^>\n]+)) -->\n)?"
BLOCK = re.compile(MARK + r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
# Real commands on a clone, except that nothing is installed, runs are only planned, and make prints other commands.
PRELUDE = """
make() {
    local argument arguments=() stamps=(-o .venv/run.stamp -o .venv/dev.stamp) plan="ARGS=-n"
    for argument in "$@"; do
        if [[ $argument == ARGS=* ]]; then plan="ARGS=-n ${argument#ARGS=}"; fi
        arguments+=("$argument")
    done
    case $1 in
        run) command make "${stamps[@]}" "${arguments[@]}" "$plan";;
        inspect) command make "${stamps[@]}" "${arguments[@]}";;
        *) command make -n "${stamps[@]}" "${arguments[@]}";;
    esac
}
set -ex
"""


def blocks(*languages: str) -> list:
    """Return the blocks in these languages as parameters."""
    found = []
    for path in (path for path in DOCUMENTS if path.name != "extending.md"):
        for number, match in enumerate(BLOCK.finditer(path.read_text()), 1):
            if match["language"] in languages and not match["needs"]:
                marks = [pytest.mark.skip(reason=match["reason"])] if match["reason"] else []
                name = f"{path.relative_to(REPOSITORY)}:{number}"
                found.append(pytest.param(match["code"], id=name, marks=marks))
    return found


@pytest.fixture(scope="session")
def clone(finished: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a reader's folder: a clone with the results of a run, those of another one in ../birds, and .venv."""
    place = finished.copy(tmp_path_factory.mktemp("documents") / "place")
    for name in ("configs", "feedback"):
        shutil.copytree(REPOSITORY / name, place.checkout / name)
    shutil.copy(REPOSITORY / "Makefile", place.checkout)
    for name in ("collection", "results"):
        shutil.copytree(place.folder / name, place.checkout / name)
    (place.root / "birds").symlink_to(place.folder)
    (place.checkout / ".venv").symlink_to(sys.prefix)
    return place.checkout


def run(command: list[str], folder: Path, **environment: str) -> str:
    # The flags of the make that runs the tests must not reach these commands.
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "ARGS")}
    done = subprocess.run(
        command, cwd=folder, env={**outside, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plan(clone: Path, folder: Path, *arguments: str) -> str:
    return run([sys.executable, "-m", "snakemake", "--cores", "1", "--directory", str(folder), *arguments], clone)


def test_every_block_is_in_a_tested_language() -> None:
    known = {"python", "sh", "yaml", "json", "snakemake", "mermaid", "text", "jinja"}
    found = {match["language"] for path in DOCUMENTS for match in BLOCK.finditer(path.read_text())}
    assert found == known
    assert all(path.read_text().count("```") == 2 * len(BLOCK.findall(path.read_text())) for path in DOCUMENTS)


@pytest.mark.parametrize("code", blocks("sh"))
def test_commands(code: str, clone: Path) -> None:
    # The small run has one method with another name.
    code = re.sub(r"(results/\S*?)pretrained", r"\1siamese", code.replace("/data/birds", f"{clone}/collection"))
    run(["bash", "-c", PRELUDE + code], clone)


@pytest.mark.parametrize("code", blocks("yaml"))
def test_configurations(code: str) -> None:
    changes = yaml.safe_load(code)
    whole, schema = (yaml.safe_load((REPOSITORY / name).read_text()) for name in ("config.yaml", CONFIG_SCHEMA))
    update_config(whole, changes)
    # The changes are also passed separately, because rows of the defaults may be dropped, but a user's rows may not.
    configuration.check(whole, schema, given=changes)


@pytest.mark.parametrize("code", blocks("json"))
def test_refinements(code: str) -> None:
    jsonschema.validate(json.loads(code), json.loads(REFINEMENT_SCHEMA.read_text()))


@pytest.mark.parametrize("code", blocks("snakemake"))
def test_workflows(code: str, clone: Path, tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(code.replace("/opt/cbir", str(clone)))
    printed = plan(clone, tmp_path, "-n", "--snakefile", str(tmp_path / "Snakefile"))
    assert "birds/results/report.html" in printed


PYTHON = [parameter.values[0] for parameter in blocks("python") if not parameter.marks]


def run_python(code: str, finished: Workplace, path: str) -> str:
    return run([sys.executable, "-c", code.replace("pretrained", "siamese")], finished.folder, PYTHONPATH=path)


def test_an_index_is_read_without_the_project(finished: Workplace) -> None:
    code, *_ = PYTHON
    answer = json.loads((finished.folder / "results/queries/siamese/best.json").read_text())
    printed = run_python(code, finished, "")
    assert "cbir" not in code
    assert re.match(r"\S+\.png -> \[.*\] \[", printed)
    assert printed.count(".png") == 1 + len(answer["neighbours"])


def test_the_library_opens_the_results_of_the_workflow(finished: Workplace) -> None:
    _, code, *_ = PYTHON
    store = finished.folder / "results/features/siamese"
    printed = run_python(code, finished, str(REPOSITORY / "scripts"))
    with h5py.File(store / "train.h5") as gallery, h5py.File(store / "test.h5") as queries:
        assert printed == f"{gallery['features'].shape} {queries['image_id'].asstr()[0]}\n"


def test_the_library_gives_the_figures_of_the_workflow(finished: Workplace) -> None:
    _, _, code, _ = PYTHON
    neighbours = read_csv(finished.folder / "results/evaluation/siamese/neighbours.csv", ["query", "image_id"])
    nearest = neighbours[neighbours["rank"] == 1]
    right = nearest["query"].str.split("/").str[0] == nearest["image_id"].str.split("/").str[0]
    printed = run_python(code, finished, str(REPOSITORY / "scripts"))
    assert float(printed.split(":")[1]) == pytest.approx(right.mean())


NEEDING = [match for path in DOCUMENTS for match in BLOCK.finditer(path.read_text()) if match["needs"]]


@pytest.mark.parametrize("block", NEEDING, ids=[match["needs"] for match in NEEDING])
def test_exported_vectors_are_loaded_by_other_engines(block: re.Match, finished: Workplace, tmp_path: Path) -> None:
    for name in block["needs"].split(", "):
        pytest.importorskip(name)
    results = cbir.open(finished.folder / "results")
    results.export("siamese", tmp_path / "gallery.parquet", ["train"])
    # Each block prints the nearest images of an image of the gallery, which is the nearest itself.
    found = ast.literal_eval(run([sys.executable, "-c", block["code"]], tmp_path).splitlines()[-1])
    gallery = list(results.features("siamese").image_id)
    assert len(found) == 3 and set(found) <= set(gallery) and found[0] in gallery


# Prints the quality of retrieval of each encoder in the page's configuration; every second image is a query.
QUALITY = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from cbir.encoders import networks
from cbir.encoders.inference import embedder
from cbir.evaluation.validation import retrieval_quality

paths = sorted(Path("digits").glob("*/*.png"))
labels = np.array([int(path.parent.name) for path in paths])
images = np.stack([np.asarray(Image.open(path)) for path in paths])
for name, row in json.loads(sys.argv[1]).items():
    embed = embedder(networks.build(row["architecture"], row["weights"], 0)[0], len(images), False)
    features = embed(images)
    quality = retrieval_quality(features[::2], labels[::2], features[1::2], labels[1::2], ["map"])
    print(json.dumps([name, len(images), quality["map"]]))
"""


def test_a_users_own_network_beats_its_random_twin(tmp_path: Path) -> None:
    *_, code = PYTHON
    [rows] = [
        yaml.safe_load(parameter.values[0])["encoders"]
        for parameter in blocks("yaml")
        if "file:" in parameter.values[0]
    ]
    run([sys.executable, "-c", code], tmp_path)
    entry = architectures.REGISTRY.get_entry(f"file:{tmp_path}/digits.keras")
    assert entry.SIZE == (32, 32)
    printed = run([sys.executable, "-c", QUALITY, json.dumps(rows)], tmp_path, PYTHONPATH=str(REPOSITORY / "scripts"))
    (mine, count, own), (twin, _, random) = map(json.loads, printed.splitlines()[-2:])
    assert (mine, twin, count) == ("mine", "twin", 897)
    # Measured once: 0.80 and 0.57.
    assert own > random + 0.1


def reachable(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return all pairs of nodes that are connected by a path."""
    while more := {(a, d) for a, b in edges for c, d in edges if b == c} - edges:
        edges = edges | more
    return edges


def test_the_graph_agrees_with_the_rules(clone: Path) -> None:
    [code] = [parameter.values[0] for parameter in blocks("mermaid")]
    drawn = set(re.findall(r"^ *(\w+)(?:\[[^]]*\])? --> (\w+)", code, re.M))
    dot = plan(clone, clone, "--rulegraph", "--config", "queries={images: [collection/sea/1.png]}")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', dot))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    # Rules that only draw plots of other rules' results are not in the graph.
    edges = {edge for edge in edges if not any(name.startswith("plot_") for name in edge)}
    assert drawn <= edges
    assert reachable(drawn) == reachable(edges)


def test_every_rule_is_in_the_table_of_the_architecture() -> None:
    rules = [
        name
        for path in (REPOSITORY / "rules").glob("*.smk")
        for name in re.findall(r"^rule (\w+)", path.read_text(), re.M)
    ]
    table = (REPOSITORY / "docs/architecture.md").read_text()
    assert [name for name in rules if f"`{name}`" not in table] == []


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_exist(path: Path) -> None:
    text = BLOCK.sub("", path.read_text())
    dead = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", text):
        other = (path.parent / target).resolve() if target else path
        if not other.exists() or (anchor and anchor not in anchors(other)):
            dead.append(f"{target}#{anchor}")
    folders = "benchmarks|configs|docs|envs|profiles|rules|scripts|tests"
    for name in re.findall(rf"`(?:python )?((?:{folders})/[^`*{{\s]*)(?=[`\s])", text):
        if not (REPOSITORY / name).exists():
            dead.append(name)
    assert dead == []
