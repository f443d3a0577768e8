"""Options of steps and losses are checked before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from cbir.features.steps import REGISTRY
from cbir.files.errors import InputError
from cbir.files.registry import Registry
from cbir.training import losses
from cbir.workflow import options


def check(steps: list[Any], **row: Any) -> dict[str, Any]:
    return options.check_steps({"x": {"of": "p", "steps": steps, **row}}, REGISTRY)["x"]


def test_valid_options_are_not_changed() -> None:
    steps = ["l2", {"pca": 64}, {"pca": {"dimension": 3, "whiten": True}}, "expand", {"expand": {"which": "query"}}]
    assert check(steps) == {"of": "p", "steps": steps}
    chosen = [{"pca": [8, 16]}, {"expand": {"neighbours": [1, 2], "which": ["both", "query"]}}]
    assert check(chosen, choose="val", monitor="map")["steps"] == chosen
    assert options.check_steps({"x": {"encoder": "p"}}, REGISTRY) == {"x": {"encoder": "p"}}


def test_texts_are_converted_to_the_type_of_the_option() -> None:
    # Values of --config are texts.
    found = check([{"pca": ["64", "8"]}, {"expand": {"power": "2.5", "which": "query"}}], choose="val")["steps"]
    assert found == [{"pca": [64, 8]}, {"expand": {"power": 2.5, "which": "query"}}]


MISTAKES: list[tuple[list[Any], dict[str, Any], str]] = [
    (["best"], {}, 'config: methods.x.steps.0 is "best", but must be one of "expand", "l2", "minmax", '),
    (["l2", {"best": 1}], {}, 'config: methods.x.steps.1 is {"best": 1}, but must be one of "expand", '),
    ([{"l2": None, "pca": 3}], {}, "but must be one step, such as {NAME: OPTIONS}."),
    ([{}], {}, "config: methods.x.steps.0 is {}, but must be one step"),
    ([{"l2": 3}], {}, "but l2 has no options: write l2."),
    ([{"l2": {"p": 3}}], {}, "config: methods.x.steps.0.l2 has the unknown key 'p'."),
    (["pca"], {}, "config: methods.x.steps.0.pca lacks a key: 'dimension' is a required property."),
    ([{"pca": {"whiten": 1}}], {}, "config: methods.x.steps.0.pca lacks a key: 'dimension' is a required"),
    ([{"pca": {"dim": 1}}], {}, "steps.0.pca has the unknown key 'dim'; known are dimension, whiten."),
    ([{"pca": 0}], {}, "config: methods.x.steps.0.pca.dimension is 0, but must be at least 1."),
    ([{"pca": "many"}], {}, 'steps.0.pca.dimension is "many", but must be integer.'),
    ([{"pca": {"dimension": 2, "whiten": 1.5}}], {}, "steps.0.pca.whiten is 1.5, but must be at most 1."),
    ([{"expand": {"which": "all"}}], {}, 'which is "all", but must be one of "both", "gallery", "query".'),
    ([{"expand": {"power": float("inf")}}], {}, "expand.power is inf, but must be a finite number."),
    ([{"pca": [2, 3]}], {}, "config: methods.x.steps has a list of values: add choose: val, which takes the best"),
    ([{"pca": []}], {"choose": "val"}, "steps.0.pca.dimension is [], but must be a list of at least 1."),
    ([{"pca": [2, 2]}], {"choose": "val"}, "steps.0.pca.dimension is [2, 2], but must be a list without repetitions."),
    ([{"pca": [2, 0]}], {"choose": "val"}, "steps.0.pca.dimension is 0, but must be at least 1."),
    (["l2"], {"choose": "val"}, "config: methods.x has choose, but no list of values in its steps: add one or"),
    (["l2"], {"monitor": "map"}, "config: methods.x has monitor, but no choose: add choose: val or take monitor out."),
    (
        [{"pca": list(range(1, 22))}, {"expand": list(range(1, 11))}],
        {"choose": "val"},
        "config: methods.x.steps has 210 choices of values, but at most 200 are tried: shorten its lists.",
    ),
]


@pytest.mark.parametrize(("steps", "row", "sentence"), MISTAKES)
def test_an_invalid_option_is_an_input_error(steps: list[Any], row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        check(steps, **row)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("config: methods.x")


def test_an_entry_without_options_accepts_anything(tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text("import missing\n")
    (tmp_path / "stated.py").write_text('import missing\n\nOPTIONS: dict = {"p": {"type": "integer"}}\n')
    registry = Registry("nowhere", str(tmp_path), "step")
    # The options are read without an import.
    assert registry.options("silent") is None
    assert registry.options("stated") == {"p": {"type": "integer"}}
    row = {
        "of": "p",
        "steps": [{"silent": {"share": "0.5", "kind": "soft", "size": [1, 2]}}, "silent"],
        "choose": "val",
    }
    found = options.check_steps({"x": row}, registry)["x"]["steps"]
    assert found == [{"silent": {"share": 0.5, "kind": "soft", "size": [1, 2]}}, "silent"]


def check_loss(loss: Any) -> Any:
    rows = {"e": {"training": {"loss": loss, "epochs": 3}}, "f": {"training": None}}
    found = options.check_losses(rows, losses.REGISTRY)
    assert found["f"] == {"training": None}
    return found["e"]["training"]["loss"]


@pytest.mark.parametrize(
    "loss",
    [
        "triplet",
        {"multi-similarity": 1, "proxy-anchor": 0.1},
        {"proxy-anchor": {"rate": 50, "weight": 2}, "triplet": None},
        {"multi-similarity": {"epsilon": None}},
    ],
)
def test_valid_losses_are_not_changed(loss: Any) -> None:
    assert check_loss(loss) == loss


def test_texts_of_losses_are_converted() -> None:
    assert check_loss({"triplet": "0.5", "arcface": {"scale": "32"}}) == {"triplet": 0.5, "arcface": {"scale": 32}}


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (
            "triplets",
            'config: encoders.e.training.loss is "triplets", but must be one of "arcface", "multi-similarity", ',
        ),
        ({}, "config: encoders.e.training.loss is {}, but must name a loss."),
        ({"triplet": 0}, "config: encoders.e.training.loss.triplet.weight is 0, but must be above 0."),
        ({"triplet": {"margin": 1}}, "loss.triplet has the unknown key 'margin'; known are weight."),
        ({"arcface": {"margin": 2}}, "config: encoders.e.training.loss.arcface.margin is 2, but must be at most 1.5."),
        ({"triplet": [1, 2]}, "config: encoders.e.training.loss has a list of values, but an option of a loss has one"),
    ],
)
def test_an_invalid_loss_is_an_input_error(loss: Any, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        check_loss(loss)
    assert sentence in str(caught.value)
