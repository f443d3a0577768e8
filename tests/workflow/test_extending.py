"""The examples of docs/extending.md work: all of them are put into a copy of the project and used in one run."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

import sharing
import workplace
from workplace import REPOSITORY, Workplace

PAGE = (REPOSITORY / "docs/extending.md").read_text(encoding="utf-8")
# The sections with an example, by heading: the files to save, by path, and the change of the configuration.
SECTIONS = {
    heading: (
        dict(re.findall(r"^```(?:python\n# |jinja\n\{# )(\S+)(?: #\})?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)),
        "".join(re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)),
    )
    for heading, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
# A pretrained and a trained encoder, both small; the page calls them `pretrained` and `finetuned`.
TRAINED = {
    "architecture": "siamese",
    "weights": "random",
    "seed": 1,
    "training": {"margin": 1, "categories_per_batch": 3, "epochs": 1, "steps_per_epoch": 2},
}
CONFIG = workplace.CONFIG | {
    "encoders": workplace.CONFIG["encoders"] | {"trained": TRAINED},
    "methods": workplace.CONFIG["methods"] | {"trained": {"encoder": "trained"}},
    "feedback": {"simulation": {"rounds": 1, "methods": ["siamese"]}},
}


@pytest.fixture(scope="session")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a run that uses every example."""

    def fill(root: Path) -> None:
        place = workplace.make(root)
        config = json.loads(json.dumps(CONFIG))
        for files, change in SECTIONS.values():
            for path, text in files.items():
                assert not (place.checkout / path).exists()
                (place.checkout / path).write_text(text, encoding="utf-8")
            renamed = change.replace("pretrained", "siamese").replace("finetuned", "trained")
            update_config(config, yaml.safe_load(renamed) or {})
        # A source that fetches images reads no folder.
        if config["collection"]["source"] != "folder":
            del config["collection"]["path"]
        place.configure(config)
        done = place.run()
        assert done.status == 0, done.output

    return Workplace(sharing.once(tmp_path_factory, "extended", fill)).folder / "results"


def sources(results: Path) -> None:
    images = pd.read_csv(results / "collection/images.csv")
    assert images["category"].value_counts().to_dict() == {"3-pixels": 8, "6-pixels": 8, "12-pixels": 8}


def protocols(results: Path) -> None:
    # 60, 20 and 20 % of 8 images.
    for split, numbers in (("train", "01234"), ("val", "56"), ("test", "7")):
        names = pd.read_csv(results / f"splits/{split}.csv")["image_id"]
        assert set(names.str.split("/").str[1]) == {f"{number}.png" for number in numbers}


def architectures(results: Path) -> None:
    about = json.loads((results / "encoders/tiny.json").read_text())
    assert (about["architecture"], about["dimension"]) == ("thumbnail", 32)


def losses(results: Path) -> None:
    assert len(pd.read_csv(results / "encoders/trained/history.csv")) == 2
    assert '"loss": "contrastive"' in (results / "configuration.json").read_text()


def steps(results: Path) -> None:
    rooted = pd.read_csv(results / "evaluation/rooted/neighbours.csv")
    plain = pd.read_csv(results / "evaluation/siamese/neighbours.csv")
    assert len(rooted) == len(plain)
    assert not rooted["distance"].equals(plain["distance"])


def indexes(results: Path) -> None:
    assert json.loads((results / "index/siamese.json").read_text())["kind"] == "ball-tree"
    assert list((results / "index").glob("*.pkl")) == []
    assert json.loads((results / "queries/siamese/best.json").read_text())["neighbours"]


def metrics(results: Path) -> None:
    summary = json.loads((results / "evaluation/siamese/summary.json").read_text())
    queries = pd.read_csv(results / "evaluation/siamese/queries.csv")
    nearest = pd.read_csv(results / "evaluation/siamese/neighbours.csv").query("rank == 1").set_index("query")
    category = nearest["image_id"].str.split("/").str[0]
    right = queries["category"] == queries["image_id"].map(category)
    assert list(queries["reciprocal_rank"] == 1) == list(right)
    assert summary["reciprocal_rank"] == pytest.approx(queries["reciprocal_rank"].mean())
    assert "One divided by the rank of the first image" in (results / "report.html").read_text()


def strategies(results: Path) -> None:
    gain = pd.read_csv(results / "feedback/simulated/siamese/gain.csv")
    assert {"rocchio", "centre"} <= set(gain["strategy"])


def sections(results: Path) -> None:
    shown = (results / "report.html").read_text()
    assert "Sizes of images" in shown
    images = pd.read_csv(results / "collection/images.csv")
    pixels = f"{(images['width'] * images['height']).min():,}"
    assert f"The images have {pixels} to {pixels} pixels." in shown


CHECKS = (sources, protocols, architectures, losses, steps, indexes, metrics, strategies, sections)


def test_every_registry_has_an_example() -> None:
    library = REPOSITORY / "scripts/cbir"
    registries = {
        path.parent.relative_to(library).as_posix()
        for path in library.glob("*/*/__init__.py")
        if "REGISTRY = Registry(" in path.read_text()
    }
    shown = {
        Path(path).parent.relative_to("scripts/cbir").as_posix() for files, _ in SECTIONS.values() for path in files
    }
    assert registries <= shown


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_example_works(check, request: pytest.FixtureRequest) -> None:
    check(request.getfixturevalue("extended"))
