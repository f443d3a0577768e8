import copy
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from cbir.files.errors import InputError
from cbir.workflow import configuration as module

ROOT = Path(module.__file__).parents[3]
TEXT = (ROOT / "config.yaml").read_text(encoding="utf-8")
SHIPPED: dict[str, Any] = yaml.safe_load(TEXT)
SCHEMA: dict[str, Any] = yaml.safe_load((ROOT / "scripts/cbir/workflow/config.schema.yaml").read_text(encoding="utf-8"))

PCA = {"transform": "pca", "of": "pretrained", "dimension": 4, "whiten": True}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the shipped configuration with one key set, or removed if it has a minus in front."""
    found = copy.deepcopy(SHIPPED)
    part = found
    *above, last = path.removeprefix("-").split(".")
    for name in above:
        part = part[name]
    if path.startswith("-"):
        del part[last]
    else:
        part[last] = value
    return found


def check(path: str, value: Any = None) -> dict[str, Any]:
    return module.check(changed(path, value), SCHEMA)


def leaves(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield every key of the schema with its part of the schema; * is the name of any row."""
    parts = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        parts["*"] = schema["additionalProperties"]
    for name, part in parts.items():
        yield (*path, name), part
        yield from leaves(part, (*path, name))


def test_the_shipped_configuration_passes_and_is_not_changed() -> None:
    before = copy.deepcopy(SHIPPED)
    found = module.check(SHIPPED, SCHEMA)
    assert before == SHIPPED
    assert found["methods"] == SHIPPED["methods"]
    # The same row with the defaults of missing keys.
    assert found["encoders"]["finetuned"]["batch"] == 2
    assert found["encoders"]["finetuned"]["training"]["augment"] == {"flip": True, "crop": 0.3, "colour": 0.2}
    assert found["encoders"]["pretrained"]["training"] is None


def test_the_defaults_of_the_schema_are_the_shipped_values() -> None:
    defaults = {path: part["default"] for path, part in leaves(SCHEMA) if "default" in part}
    outside_rows = {path: value for path, value in defaults.items() if "*" not in path}
    assert len(outside_rows) > 10
    for path, value in outside_rows.items():
        shipped = SHIPPED
        for name in path:
            shipped = shipped[name]
        assert shipped == value, path


def test_every_key_of_a_row_is_in_the_shipped_file() -> None:
    for path, _ in leaves(SCHEMA):
        if "*" in path and path[-1] != "*":
            assert re.search(rf"\b{path[-1]}:", TEXT), path


def test_every_key_of_the_schema_has_a_description() -> None:
    for path, part in leaves(SCHEMA):
        if path[-1] != "*":
            assert len(part.get("description", "")) > 5, path


def test_every_key_outside_rows_is_in_the_shipped_file() -> None:
    for path, _ in leaves(SCHEMA):
        if "*" not in path:
            part: Any = SHIPPED
            for name in path:
                assert name in part, path
                part = part[name]


def test_every_key_has_a_comment_where_it_first_occurs() -> None:
    # Sections are recognised by their keys, and rows by their kind.
    seen = {*SHIPPED, *SHIPPED["methods"], "augment"}
    above = ""
    for line in TEXT.splitlines():
        match = re.match(r"\s*([a-z_0-9]+):", line)
        if match and match[1] not in seen:
            assert " # " in line or above.lstrip().startswith("#"), line
            seen.add(match[1])
        above = line
    assert len(seen) > 40


MISTAKES = {
    "unknown section": ("querys", {}, "config: the configuration has the unknown key 'querys'; known are collection, "),
    "unknown key": (
        "split.tran",
        0.6,
        "config: split has the unknown key 'tran'; known are folds, from, near_duplicates, protocol, relevance, ",
    ),
    "wrong type": ("evaluation.k", "three", 'config: evaluation.k is "three", but must be integer.'),
    "truth for a number": ("evaluation.k", True, "config: evaluation.k is true, but must be integer."),
    "null for a section": ("collection", None, "config: collection is null, but must be object."),
    "too small": ("evaluation.k", 0, "config: evaluation.k is 0, but must be at least 1."),
    "too large": ("queries.k", 101, "config: queries.k is 101, but must be at most 100."),
    "not below": ("split.train", 1, "config: split.train is 1, but must be below 1."),
    "not above": ("split.test", 0, "config: split.test is 0, but must be above 0."),
    "no choice": (
        "collection.source",
        "web",
        'collection.source is "web", but must be one of "digits", "folder", "ka',
    ),
    "no data set": ("collection.dataset", "x", 'collection.dataset is "x", but must be like ^[A-Za-z0-9_-]+/'),
    "not a number": ("split.train", math.nan, "config: split.train is nan, but must be a finite number."),
    "no end": (
        "encoders.siamese.training.margin",
        math.inf,
        "siamese.training.margin is inf, but must be a finite number.",
    ),
    "precision of another runtime": (
        "encoders.pretrained.precision",
        "bfloat16",
        "precision is bfloat16, which needs OpenVINO: set encoders.pretrained.runtime to openvino.",
    ),
    "empty text": ("report.title", "", 'config: report.title is "", but must be not empty.'),
    "twice": (
        "queries.choose",
        ["best", "best"],
        'queries.choose is ["best", "best"], but must be a list without repe',
    ),
    "in a list": (
        "queries.choose",
        ["best", "bst"],
        'queries.choose.1 is "bst", but must be one of "best", "middling", "w',
    ),
    "bad name": (
        "methods.a b",
        {"encoder": "siamese"},
        'config: methods has the name "a b"; a name consists of letters',
    ),
    "path as name": ("encoders.../x", {"architecture": "siamese", "weights": "random"}, "has the name"),
    "nameless row": ("-encoders.siamese.architecture", None, "config: encoders.siamese lacks a key: 'architecture' is"),
    "no such encoder": (
        "methods.x",
        {"encoder": "resnet"},
        "config: methods.x.encoder names the encoder 'resnet', which is not there; known are finetuned, pre",
    ),
    "no such part": (
        "methods.x",
        {"combine": ["siamese", "y"], "normalise": "l2"},
        "config: methods.x.combine names the method 'y', which is not there",
    ),
    "no such origin": ("methods.x", {"transform": "l2", "of": "y"}, "config: methods.x.of names the method 'y'"),
    "row switched off": (
        "encoders.siamese",
        None,
        "methods.siamese.encoder names the encoder 'siamese', which is not there",
    ),
    "all off": ("methods", {"siamese": None}, "config: methods has no row that is switched on"),
    "no rows": ("encoders", {}, "config: encoders is {}, but must be not empty."),
    "itself": ("methods.x", {"transform": "l2", "of": "x"}, "config: methods.x is made from itself (x from x)."),
    "one part": ("methods.x", {"combine": ["siamese"], "normalise": "l2"}, "but must be a list of at least 2"),
    "no kind": (
        "methods.x",
        {},
        "config: methods.x is {}, but must have exactly these keys: encoder; or combine, normalise; or ",
    ),
    "two kinds": ("methods.x", {"encoder": "siamese", "of": "siamese"}, "must have exactly these keys: encoder; or"),
    "pca without": ("methods.x", {"transform": "pca", "of": "siamese"}, "transform: pca, of, dimension, whiten."),
    "unknown step": (
        "methods.x",
        {"transform": "best", "of": "siamese"},
        'methods.x.transform is "best", but must be',
    ),
    "frozen and not trained": (
        *("encoders.pretrained.freeze", True),
        "config: encoders.pretrained.freeze is true, but the encoder is not trained: take it out, or set training.",
    ),
    "an index of no method": (
        *("index.methods", {"best": {"kind": "exact"}}),
        "config: index.methods names the method 'best', which is not there; known are combined, expanded, finetuned, "
        "finetuned-expanded, pretrained, siamese.",
    ),
    "an unknown key of an index": (
        *("index.methods", {"siamese": {"knd": "exact"}}),
        "config: index.methods.siamese has the unknown key 'knd'; known are code_bytes, ef_construction, kind, ",
    ),
    "unknown index kind": (
        "index.kind",
        "best",
        'config: index.kind is "best", but must be one of "auto", "exact", "hnsw", "ivf-pq", "kdtree".',
    ),
    "unknown strategy": (
        "feedback.simulation.strategies",
        ["best"],
        'one of "linear", "mixed", "nearest", "rocchio".',
    ),
    "pca of combined": (
        "methods.x",
        {"combine": ["siamese", "finetuned"], "normalise": "pca"},
        'config: methods.x.normalise is "pca", but must be another than "pca".',
    ),
    "l2 with": ("methods.x", {"transform": "l2", "of": "siamese", "dimension": 2}, "transform, of; or"),
    "no components": ("methods.x", PCA | {"dimension": 0}, "config: methods.x.dimension is 0, but must be at least 1."),
    "no folder": (
        "collection.source",
        "folder",
        "config: collection.path is not set; with source: folder it must name",
    ),
    "sum": ("split.train", 0.7, "config: split.train, split.val and split.test sum to 1.1, but must sum to 1."),
    "nearly": ("split.train", 0.6000001, "sum to 1.0000001, but must sum to 1."),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_an_invalid_value_is_an_input_error_with_key_and_allowed_values(mistake: tuple[str, Any, str]) -> None:
    path, value, sentence = mistake
    if path == "encoders.../x":
        broken = changed("report.title", "x")
        broken["encoders"]["../x"] = value
    else:
        broken = changed(path, value)
    with pytest.raises(InputError) as caught:
        module.check(broken, SCHEMA)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("config: ")
    assert str(caught.value).endswith(".")


def test_the_precision_of_gpus_requires_tensorflow() -> None:
    broken = changed("encoders.pretrained.runtime", "openvino")
    broken["encoders"]["pretrained"]["precision"] = "tf32"
    with pytest.raises(InputError, match=r"precision is tf32, which needs TensorFlow: set .*\.runtime to tensorflow"):
        module.check(broken, SCHEMA)
    broken["encoders"]["pretrained"]["runtime"] = "tensorflow"
    module.check(broken, SCHEMA)


def test_methods_made_from_each_other_in_a_circle() -> None:
    circle = changed("methods.a", {"transform": "l2", "of": "b"})
    circle["methods"]["b"] = {"combine": ["siamese", "c"], "normalise": "l2"}
    circle["methods"]["c"] = {"transform": "l2", "of": "a"}
    with pytest.raises(InputError) as caught:
        module.check(circle, SCHEMA)
    # Any of the three may be named first, because each is made from the next.
    assert any(f"is made from itself ({order})" in str(caught.value) for order in
               ("a from b from c from a", "b from c from a from b", "c from a from b from c"))  # fmt: skip


def test_many_methods_made_from_many_are_checked_quickly() -> None:
    deep = changed("methods.m0", {"encoder": "siamese"})
    deep["methods"]["n0"] = {"encoder": "pretrained"}
    for level in range(1, 600):
        for name in "mn":
            parts = [f"m{level - 1}", f"n{level - 1}"]
            deep["methods"][f"{name}{level}"] = {"combine": parts, "normalise": "l2"}
    assert len(module.check(deep, SCHEMA)["methods"]) == len(SHIPPED["methods"]) + 1200


@pytest.mark.parametrize(("text", "name"), [("1: {encoder: siamese}", "1"), ("on: {encoder: siamese}", "True")])
def test_names_that_yaml_reads_as_other_types(text: str, name: str) -> None:
    broken = changed("report.title", "x")
    broken["methods"].update(yaml.safe_load(text))
    with pytest.raises(
        InputError, match=f"config: methods has the name {name}, which YAML does not take for text; put"
    ):
        module.check(broken, SCHEMA)


TEXTS = {
    "number": ("evaluation.k", "5", 5),
    "fraction": ("comparison.confidence", "0.9", 0.9),
    "small": ("encoders.siamese.training.learning_rate", "1e-4", 0.0001),
    "whole": ("evaluation.k", "5.0", 5),
    "negative": ("split.seed", "-3", -3),
    "true": ("split.near_duplicates.together", "true", True),
    "False": ("split.near_duplicates.together", "False", False),
    "null": ("encoders.siamese.training", "null", None),
    "null for a number": ("encoders.siamese.training.steps_per_epoch", "null", None),
    "number or null": ("encoders.siamese.training.steps_per_epoch", "7", 7),
    "null for a path": ("collection.path", "null", None),
    "null for a list": ("feedback.simulation.methods", "null", None),
    "list": ("queries.choose", "[best, worst]", ["best", "worst"]),
    "text": ("report.title", "5", "5"),
    "text that says null": ("report.title", "null", "null"),
    "texts in a list": ("queries.images", ["5", "true"], ["5", "true"]),
    "in a row": ("methods.small", PCA | {"dimension": "4", "whiten": "false"}, PCA | {"dimension": 4, "whiten": False}),
}


@pytest.mark.parametrize(("path", "text", "meant"), TEXTS.values(), ids=TEXTS)
def test_texts_are_converted_to_the_types_of_the_schema(path: str, text: Any, meant: Any) -> None:
    # Snakemake passes nested values of --config as texts.
    found: Any = check(path, text)
    for name in path.split("."):
        found = found[name]
    assert found == meant
    assert type(found) is type(meant)


def test_a_text_that_switches_a_row_off() -> None:
    found = changed("methods.combined", "null")
    found["comparison"]["pairs"] = [["pretrained", "finetuned"]]
    left = {"expanded", "finetuned", "finetuned-expanded", "pretrained", "siamese"}
    assert set(module.check(found, SCHEMA)["methods"]) == left


@pytest.mark.parametrize(
    ("path", "text", "sentence"),
    [
        ("evaluation.k", "five", 'evaluation.k is "five", but must be integer'),
        ("evaluation.k", "2.5", 'evaluation.k is "2.5", but must be integer'),
        ("evaluation.k", "true", 'evaluation.k is "true", but must be integer'),
        ("evaluation.k", "0", "evaluation.k is 0, but must be at least 1"),
        ("split.near_duplicates.together", "1", 'split.near_duplicates.together is "1", but must be boolean'),
        ("split.train", ".inf", "split.train is inf, but must be a finite number"),
        ("evaluation.k", "[", 'evaluation.k is "[", but must be integer'),
        ("evaluation.k", "[" * 5000, 'evaluation.k is "[[[['),
    ],
)
def test_texts_of_the_wrong_type_are_refused(path: str, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"config: {sentence}")):
        check(path, text)


@pytest.mark.parametrize("path", ["methods.siamese\n", "encoders.siamese\n"])
def test_a_name_that_ends_in_a_newline(path: str) -> None:
    row = SHIPPED[path.split(".")[0]]["siamese"]
    with pytest.raises(InputError, match=re.escape(r'has the name "siamese\n"; a name consists of')):
        check(path, row)
    with pytest.raises(InputError, match=r"collection\.dataset is"):
        check("collection.dataset", "a/b\n")


def test_a_folder_that_the_source_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = f"config: collection.path is {tmp_path}/birds, but collection.source is sample, which does not read it"
    with pytest.raises(InputError, match=re.escape(sentence)):
        check("collection.path", "birds")


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("collection", {"source": "folder", "path": "~/birds"}, "/home/me/birds"),
        ("encoders.siamese.weights", "~/w.keras", "/home/me/w.keras"),
        ("queries.images", ["~/a.png"], "/home/me/a.png"),
        ("feedback.folder", "~/{source}", "/home/me/{source}"),
    ],
)
def test_the_home_folder_in_paths(path: str, value: Any, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found: Any = check(path, SHIPPED["collection"] | value if isinstance(value, dict) else value)
    for name in path.split("."):
        found = found[name]
    assert meant in ([found["path"]] if isinstance(found, dict) else found if isinstance(found, list) else [found])


def test_a_weights_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(f"there is no file {tmp_path}/w.keras")):
        module.require_weights(
            check("encoders.siamese.weights", "w.keras"), {"siamese": [], "mobilenetv2": ["imagenet"]}
        )
    (tmp_path / "w.keras").touch()
    module.require_weights(check("encoders.siamese.weights", "w.keras"), {"siamese": [], "mobilenetv2": ["imagenet"]})


def check_changes(changes: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the checked configuration after changes by a user, and the messages of the check."""
    found = copy.deepcopy(SHIPPED)
    update_config(found, changes)
    messages: list[str] = []
    return module.check(found, SCHEMA, changes, messages.append), messages


def test_switching_an_encoder_off_drops_defaults_that_need_it() -> None:
    found, messages = check_changes({"encoders": {"siamese": None, "finetuned": "null"}})
    assert list(found["encoders"]) == ["pretrained"]
    assert list(found["methods"]) == ["pretrained", "expanded"]
    assert found["comparison"]["pairs"] == [["pretrained", "expanded"]]
    assert messages == [
        "The method siamese is left out: it needs the encoder siamese, which is switched off.",
        "The method finetuned is left out: it needs the encoder finetuned, which is switched off.",
        "The method combined is left out: it needs the method finetuned, which is switched off.",
        "The method finetuned-expanded is left out: it needs the method finetuned, which is switched off.",
        "The comparison of pretrained with finetuned is left out: finetuned is switched off.",
        "The comparison of pretrained with combined is left out: combined is switched off.",
        "The comparison of finetuned with finetuned-expanded is left out: finetuned is switched off.",
    ]


def test_switching_methods_off_drops_encoders_that_nothing_else_uses() -> None:
    found, messages = check_changes({"methods": {"pretrained": None, "combined": None}})
    assert sorted(found["encoders"]) == ["finetuned", "siamese"]
    assert sorted(found["methods"]) == ["finetuned", "finetuned-expanded", "siamese"]
    assert found["feedback"]["method"] == "siamese"
    assert "feedback.method is siamese: pretrained is switched off." in messages
    # An encoder that the user configures is kept.
    found, _ = check_changes({"methods": {"siamese": None}, "encoders": {"siamese": {"seed": 3}}})
    assert "siamese" in found["encoders"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"comparison": {"pairs": [["pretrained", "finetuned"]]}}, "comparison.pairs names the method 'finetuned'"),
        ({"methods": {"combined": {"normalise": "l2"}}}, "methods.combined.combine names the method 'finetuned'"),
        ({"methods": {"mine": {"transform": "l2", "of": "finetuned"}}}, "methods.mine.of names the method 'finetuned'"),
        ({"feedback": {"method": "finetuned"}}, "feedback.method names the method 'finetuned'"),
        ({"feedback": {"simulation": {"methods": ["finetuned"]}}}, "feedback.simulation.methods names the method"),
        ({"methods": {"finetuned": {"encoder": "finetuned"}}, "encoders": {"finetuned": None}}, "names the encoder"),
    ],
)
def test_naming_a_row_that_is_switched_off_is_an_input_error(changes: dict[str, Any], sentence: str) -> None:
    off = copy.deepcopy(changes)
    update_config(off, {} if "encoders" in changes else {"methods": {"finetuned": None}})
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_changes(off)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_ready_configuration_is_valid(path: Path, tmp_path: Path) -> None:
    changes = yaml.safe_load(path.read_text(encoding="utf-8"))
    if changes["collection"]["source"] == "folder":
        changes["collection"]["path"] = str(tmp_path)
    found, _ = check_changes(changes)
    trained = {name for name, row in found["encoders"].items() if row["training"] is not None}
    assert trained == (set() if path.stem in ("digits", "pretrained") else {"siamese", "finetuned"})


def test_users_of_a_null_row_must_be_switched_off_too() -> None:
    off = changed("methods.combined", None)
    off["methods"]["finetuned"] = off["methods"]["finetuned-expanded"] = off["encoders"]["finetuned"] = None
    off["comparison"]["pairs"] = []
    found = module.check(off, SCHEMA)
    assert sorted(found["methods"]) == ["expanded", "pretrained", "siamese"]
    assert sorted(found["encoders"]) == ["pretrained", "siamese"]


def test_whole_numbers_may_have_a_decimal_point() -> None:
    found = check("evaluation.k", 3.0)["evaluation"]["k"]
    assert (found, type(found)) == (3, int)
    assert isinstance(check("split.seed", 5.0)["split"]["seed"], int)
    with pytest.raises(InputError, match=r"evaluation\.k is 3\.5, but must be integer"):
        check("evaluation.k", 3.5)


@pytest.mark.parametrize("shares", [(0.6, 0.2, 0.2), (0.7, 0.1, 0.2), (0.3333333, 0.3333333, 0.3333334), (0.9, 0, 0.1)])
def test_shares_are_summed_as_decimals(shares: tuple[float, ...]) -> None:
    found = changed("split.seed", 1)
    found["split"].update(zip(("train", "val", "test"), shares, strict=True))
    assert module.check(found, SCHEMA)["split"]["seed"] == 1


def test_a_section_left_out_is_named() -> None:
    with pytest.raises(InputError, match=r"lacks a key: 'split' is a required property"):
        check("-split")


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert module.canonical({"b": 1, "a": {"d": 2, "c": 3}}) == module.canonical({"a": {"c": 3, "d": 2}, "b": 1})
    assert module.canonical({"a": 1}) != module.canonical({"a": 1.5})
    assert module.canonical({"a": ["x", "y"]}) != module.canonical({"a": ["y", "x"]})


def test_the_parts_of_a_method() -> None:
    assert module.parts({"encoder": "e"}) == []
    assert module.parts({"combine": ["a", "b"], "normalise": "l2"}) == ["a", "b"]
    assert module.parts(PCA) == ["pretrained"]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of entries, ``losses``, in a copy of the package."""
    package = tmp_path / "cbir"
    shutil.copytree(module._PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "_PACKAGE", package)
    folder = package / "losses"
    folder.mkdir()
    # None of them can be imported, because only their names are needed.
    for name in ("__init__", "_helper", "triplet", "n_pairs"):
        (folder / f"{name}.py").write_text("raise RuntimeError('imported')\n")
    (folder / "README.md").touch()
    return folder


def with_losses(part: dict[str, Any]) -> dict[str, Any]:
    """Return the shipped schema, in which the title of the report names an entry of a registry."""
    schema = copy.deepcopy(SCHEMA)
    schema["properties"]["report"]["properties"]["title"] = part
    return schema


def test_the_entries_of_a_folder_are_the_words_of_a_key(registry: Path) -> None:
    schema = with_losses({"description": "Loss.", "registry": "losses"})
    for word in ("triplet", "n-pairs"):
        assert module.check(changed("report.title", word), schema)["report"]["title"] == word
    message = r'config: report.title is "arc-face", but must be one of "n-pairs", "triplet"\.'
    with pytest.raises(InputError, match=message):
        module.check(changed("report.title", "arc-face"), schema)
    (registry / "arc_face.py").touch()
    assert module.check(changed("report.title", "arc-face"), schema)["report"]["title"] == "arc-face"
    assert "enum" not in schema["properties"]["report"]["properties"]["title"]


def test_names_of_entries_in_lists_and_as_alternatives_to_null(registry: Path) -> None:
    several = with_losses({"type": "array", "items": {"registry": "losses"}})
    assert module.check(changed("report.title", ["triplet"]), several)["report"]["title"] == ["triplet"]
    with pytest.raises(InputError, match=r'report.title.1 is "helper", but must be one of "n-pairs", "triplet"\.'):
        module.check(changed("report.title", ["triplet", "helper"]), several)
    none = with_losses({"type": ["string", "null"], "registry": "losses"})
    assert module.check(changed("report.title", None), none)["report"]["title"] is None


def test_a_missing_registry_is_an_error_in_the_schema(registry: Path) -> None:
    with pytest.raises(FileNotFoundError):
        module.check(SHIPPED, with_losses({"registry": "loses"}))


def test_the_source_of_a_given_split_sets_the_protocol() -> None:
    config = changed("split.from", "folders")
    assert module.check(config, SCHEMA, {"split": {"from": "folders"}})["split"]["protocol"] == "given"
    with pytest.raises(InputError, match=r"split\.from is folders.*but split\.protocol is random"):
        module.check(config, SCHEMA, {"split": {"from": "folders", "protocol": "random"}})


ALBUM = {"collection": {"path": "album", "labels": "none"}}


def test_without_labels_settings_that_need_them_are_dropped() -> None:
    found, messages = check_changes(ALBUM)
    assert list(found["encoders"]) == list(found["methods"]) == ["pretrained"]
    assert found["collection"]["source"] == "folder" and found["split"]["protocol"] == "gallery"
    assert found["comparison"]["pairs"] == found["queries"]["choose"] == []
    assert found["feedback"]["simulation"]["methods"] == []
    assert messages == [
        "The images have no categories (collection.labels is none): all of them are the gallery, and nothing is "
        "trained, evaluated, compared or simulated.",
        "The encoder siamese is left out: it is trained by categories.",
        "The encoder finetuned is left out: it is trained by categories.",
        "The method expanded is left out: its values are chosen by categories.",
        "The method finetuned-expanded is left out: its values are chosen by categories.",
        "The method siamese is left out: it needs the encoder siamese, which is switched off.",
        "The method finetuned is left out: it needs the encoder finetuned, which is switched off.",
        "The method combined is left out: it needs the method finetuned, which is switched off.",
    ]
    # The result is valid itself, because `make inspect` checks it again.
    assert module.check(found, SCHEMA) == found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"encoders": {"siamese": {"seed": 1}, "finetuned": {"batch": 3}}},
            "config: encoders.finetuned.training trains by categories, but collection.labels is none: switch off what "
            "is trained (`encoders: {finetuned: null, siamese: null}`), or set training to null.",
        ),
        (
            {"methods": {"mine": {"of": "pretrained", "steps": [{"pca": [2, 4]}], "choose": "val"}}},
            "methods.mine.choose compares values by categories, but collection.labels is none",
        ),
        ({"split": {"from": "folders"}}, "split.from is folders, but without labels nothing is split: take it out"),
    ],
)
def test_settings_of_a_user_that_need_labels_are_an_input_error(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        check_changes(ALBUM | changes)


def test_with_labels_the_protocol_gallery_is_refused() -> None:
    with pytest.raises(InputError, match=r"split\.protocol is gallery, which leaves no image to evaluate with"):
        check("split.protocol", "gallery")


def test_a_path_sets_the_source(tmp_path: Path) -> None:
    (tmp_path / "list.csv").touch()
    assert check_changes({"collection": {"path": str(tmp_path)}})[0]["collection"]["source"] == "folder"
    assert check_changes({"collection": {"path": str(tmp_path / "list.csv")}})[0]["collection"]["source"] == "manifest"
    with pytest.raises(InputError, match=r"collection\.source is digits, which does not read it"):
        check_changes({"collection": {"path": str(tmp_path), "source": "digits"}})


def test_a_loss_and_steps_of_a_user_replace_the_shipped_ones() -> None:
    found, _ = check_changes({"encoders": {"finetuned": {"training": {"loss": {"supcon": 2}}}}})
    assert found["encoders"]["finetuned"]["training"]["loss"] == {"supcon": 2}
    found, _ = check_changes({"encoders": {"finetuned": {"training": {"loss": "triplet"}}}})
    assert found["encoders"]["finetuned"]["training"]["loss"] == "triplet"
    found, _ = check_changes({"methods": {"expanded": {"steps": ["l2"]}}})
    assert found["methods"]["expanded"] == {"of": "pretrained", "steps": ["l2"]}
    kept = {"steps": [{"pca": [2, 4]}], "choose": "val"}
    found, _ = check_changes({"methods": {"expanded": kept}})
    assert found["methods"]["expanded"] == kept | {"of": "pretrained"}
