"""The workflow as a part of other workflows: as a module, with a prefix, twice in one DAG, and by include."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from workplace import CONFIG, Run, Workplace, run

MODULE = """
module {name}:
    snakefile: "{snakefile}"
    config: config["{name}"]
{more}

use rule * from {name} as {name}_*
"""
# Results that a run makes early, and which determine all others.
TARGETS = ["collection/images.csv", "features/siamese/test.h5", "evaluation/siamese/summary.json"]


def importing(place: Workplace, snakefile: str, config: dict, *arguments: str) -> Run:
    """Run another workflow, which imports that of ``place``, in the folder of the collection."""
    shutil.rmtree(place.folder / "results")
    shutil.rmtree(place.folder / ".snakemake")
    (place.folder / "own.yaml").write_text(yaml.safe_dump(config))
    (place.folder / "Snakefile").write_text('configfile: "own.yaml"\n' + snakefile)
    return run([sys.executable, "-m", "snakemake", "--cores", "2", *arguments], place.folder)


def module(place: Workplace, name: str, more: str = "") -> str:
    return MODULE.format(name=name, snakefile=place.checkout / "Snakefile", more=more)


def made(results: Path) -> dict[str, bytes]:
    return {name: (results / name).read_bytes() for name in TARGETS}


@pytest.fixture(scope="module")
def expected(finished: Workplace) -> dict[str, bytes]:
    return made(finished.folder / "results")


def test_as_a_module(workplace: Workplace, expected: dict[str, bytes]) -> None:
    done = importing(workplace, module(workplace, "cbir"), {"cbir": CONFIG}, *(f"results/{name}" for name in TARGETS))
    assert done.status == 0, done.output
    assert {"cbir_collect", "cbir_encode", "cbir_evaluate"} <= done.rules.keys()
    assert made(workplace.folder / "results") == expected


def test_by_include(workplace: Workplace, expected: dict[str, bytes]) -> None:
    # Keys of the including workflow's configuration have priority.
    snakefile = f"""
include: "{workplace.checkout}/Snakefile"

rule mine:
    default_target: True
    input: {[f"results/{name}" for name in TARGETS]}
"""
    done = importing(workplace, snakefile, CONFIG)
    assert done.status == 0, done.output
    assert made(workplace.folder / "results") == expected


def test_twice_under_two_prefixes_with_two_configurations(workplace: Workplace, expected: dict[str, bytes]) -> None:
    other = CONFIG | {"evaluation": {"k": 1}, "queries": {"images": ["{foo}<bar>.png"]}}
    shutil.copy(workplace.folder / "collection/sea/0.png", workplace.folder / "{foo}<bar>.png")
    snakefile = module(workplace, "one", '    prefix: "first"') + module(workplace, "two", '    prefix: "below/second"')
    snakefile += """
rule mine:
    default_target: True
    input: rules.one_all.input, rules.two_all.input
"""
    done = importing(workplace, snakefile, {"one": CONFIG, "two": other})
    assert done.status == 0, done.output
    assert made(workplace.folder / "first/results") == expected
    assert json.loads((workplace.folder / "below/second/results/evaluation/siamese/summary.json").read_text())["k"] == 1
    # All results of each are below its prefix.
    assert not (workplace.folder / "results").exists()
    for results in (workplace.folder / "first/results", workplace.folder / "below/second/results"):
        assert (results / "collection/memory/contents.json").is_file()
        assert "evaluate" in (results / "report.html").read_text().split('id="timings"')[1]
    again = run([sys.executable, "-m", "snakemake", "--cores", "2"], workplace.folder)
    assert "Nothing to be done" in again.output


def test_a_module_under_a_prefix_that_fetches_its_images(workplace: Workplace) -> None:
    config = {"cbir": CONFIG | {"collection": {"source": "digits"}}}
    done = importing(
        workplace, module(workplace, "cbir", '    prefix: "part"'), config, "part/results/collection/images.csv"
    )
    assert done.status == 0, done.output
    table = (workplace.folder / "part/results/collection/images.csv").read_text().splitlines()
    assert len(table) == 1 + 1797
    assert table[1].split(",")[1].startswith("part/results/sources/digits/images/")
    assert sorted(path.name for path in workplace.folder.iterdir() if path.is_dir()) == [
        ".snakemake",
        "collection",
        "part",
    ]
