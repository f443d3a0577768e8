import copy
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.feedback.refinement import MAX_BYTES, SCHEMA, Refinement, Round, as_json, locate_query, parse, read
from cbir.feedback.strategies import Weights
from cbir.files.errors import InputError

METHODS = ("pretrained", "siamese")
GOOD: dict[str, Any] = {
    "query": "cat/a.jpg",
    "method": "pretrained",
    "k": 3,
    "strategy": "nearest",
    "alpha": 2,
    "beta": 0.5,
    "gamma": 0.25,
    "rounds": [{"relevant": ["cat/b.jpg", 1], "irrelevant": [0]}, {"relevant": [2.0]}, {}],
}


def parsed(value: Any) -> Refinement:
    return parse(json.dumps(value).encode(), "mine.json", METHODS, Weights(1, 0.75, 0.15))


def refused(value: Any) -> str:
    with pytest.raises(InputError) as caught:
        parsed(value)
    return one_sentence(str(caught.value))


def one_sentence(message: str) -> str:
    assert message.startswith("mine.json")
    assert "\n" not in message
    assert message.isprintable()
    assert message.endswith(".")
    assert len(message) < 400
    return message


def changed(path: list[str | int], value: Any) -> Any:
    whole = copy.deepcopy(GOOD)
    target = whole
    for part in path[:-1]:
        target = target[part]  # type: ignore[index]
    target[path[-1]] = value  # type: ignore[index]
    return whole


def test_every_key_is_read() -> None:
    rounds = (Round(("cat/b.jpg", 1), (0,)), Round((2,)), Round())
    assert parsed(GOOD) == Refinement(
        "cat/a.jpg", "pretrained", 3, "nearest", Weights(2.0, 0.5, 0.25), rounds, "mine.json"
    )


def test_missing_keys_get_the_values_of_the_configuration() -> None:
    short = {key: GOOD[key] for key in ("query", "method", "k", "rounds")} | {"beta": 0}
    refinement = parse(json.dumps(short).encode(), "mine.json", METHODS, Weights(7, 8, 9))
    assert refinement.weights == Weights(7, 0, 9)
    assert refinement.strategy == "rocchio"


def test_missing_method_and_k_get_the_values_of_the_configuration() -> None:
    least = {"query": "cat/a.jpg", "rounds": [{}]}
    refinement = parse(json.dumps(least).encode(), "mine.json", METHODS, Weights(1, 0.75, 0.15), "siamese", 4)
    assert (refinement.method, refinement.k) == ("siamese", 4)
    refinement = parse(json.dumps(GOOD).encode(), "mine.json", METHODS, Weights(1, 0.75, 0.15), "siamese", 4)
    assert (refinement.method, refinement.k) == ("pretrained", 3)


def test_a_written_refinement_is_read_back() -> None:
    refinement = parsed(changed(["alpha"], 0.1 + 0.2))
    assert parsed(as_json(refinement)) == refinement


def test_a_byte_order_mark_is_accepted() -> None:
    data = b"\xef\xbb\xbf" + json.dumps(GOOD).encode()
    assert parse(data, "mine.json", METHODS, Weights(1, 0.75, 0.15)) == parsed(GOOD)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["method"], "magic", 'method "magic" is not configured: choose one of pretrained, siamese'),
        (["strategy"], "best", 'strategy is "best": choose one of linear, mixed, nearest, rocchio'),
        (["k"], 0, "k is 0: write a number of at least 1"),
        (["k"], 1001, "k is 1001: write a number of at most 1000"),
        (["k"], 2.5, "k is 2.5: write a whole number"),
        (["k"], True, "k is true: write a whole number"),
        (["k"], 10**4000, "k is 1000"),
        (["alpha"], -1, "alpha is -1: write a number of at least 0"),
        (["alpha"], "1", 'alpha is "1": write a number'),
        (["gamma"], None, "gamma is null: write a number"),
        (["query"], "", 'query is "": write a name'),
        (["query"], ["cat/a.jpg"], "query is a list [...]: write a text"),
        (["query"], "x" * 2000, "shorten it to 1024 characters"),
        (["rounds"], [], "rounds is empty: add an entry"),
        (["rounds"], {}, "rounds is an object {...}: write a list [...]"),
        (["rounds"], [{}] * 101, "rounds has 101 entries: leave at most 100"),
        (["rounds", 1], 3, "rounds[1] is 3: write an object {...}"),
        (["rounds", 0, "relevant"], 3, "rounds[0].relevant is 3: write a list [...]"),
        (["rounds", 0, "relevant", 1], True, "rounds[0].relevant[1] is true: write a text or a whole number"),
        (["rounds", 0, "relevant", 1], 1.5, "rounds[0].relevant[1] is 1.5: write a text or a whole number"),
        (["rounds", 0, "relevant", 1], -1, "rounds[0].relevant[1] is -1: write a number of at least 0"),
        (["rounds", 0, "relevant", 1], None, "rounds[0].relevant[1] is null"),
        (["rounds", 0, "irrelevant"], [0] * 1001, "rounds[0].irrelevant has 1001 entries: leave at most 1000"),
        (["rounds", 0, "relevent"], [], 'rounds[0] has the unknown key "relevent": use only relevant, irrelevant'),
        (["delta"], 1, 'the refinement has the unknown key "delta"'),
        (["\ud800\n\x1b[31m"], 1, r'unknown key "\ud800\n\u001b[31m"'),
        (["method"], "\ud800\n", r'method "\ud800\n" is not configured'),
    ],
)
def test_each_mistake_names_the_file_and_the_key(path: list[str | int], value: Any, words: str) -> None:
    assert words in refused(changed(path, value))


@pytest.mark.parametrize("key", ["query", "method", "k", "rounds"])
def test_a_missing_key_is_named(key: str) -> None:
    assert f"lacks the key {key}" in refused({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize("value", [[], 3, "text", None, True])
def test_anything_but_an_object_is_refused(value: Any) -> None:
    assert "write an object" in refused(value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"\x00" * 100, "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[" * 500 + b"]" * 500, "deeper than a refinement"),
        (b'{"k": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"alpha": NaN}', "NaN is not a valid JSON number"),
        (b'{"alpha": -Infinity}', "-Infinity is not a valid JSON number"),
        (b'{"k": 1, "k": 2}', 'the key "k" is repeated'),
        (b'{"rounds": [{"relevant": [], "relevant": [1]}]}', 'the key "relevant" is repeated'),
        (b" " * (MAX_BYTES + 1), "is larger than"),
    ],
)
def test_invalid_json_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(data, "mine.json", METHODS, Weights(1, 0.75, 0.15))
    assert words in one_sentence(str(caught.value))


def test_a_number_too_large_for_a_float_is_refused() -> None:
    data = json.dumps(GOOD).replace('"alpha": 2', '"alpha": 1e999').encode()
    with pytest.raises(InputError, match="alpha is Infinity: write a number of at most 1000"):
        parse(data, "mine.json", METHODS, Weights(1, 0.75, 0.15))


def test_a_file_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(GOOD))
    assert as_json(read(path, METHODS, Weights(1, 0.75, 0.15))) == as_json(parsed(GOOD))
    os.mkfifo(tmp_path / "pipe.json")
    for missing in (tmp_path / "other.json", tmp_path, tmp_path / "pipe.json"):
        with pytest.raises(InputError, match=f"{missing} cannot be read"):
            read(missing, METHODS, Weights(1, 0.75, 0.15))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(METHODS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*GOOD, "relevant", "irrelevant"]) | st.text(), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "rounds.0", "relevant"]), values, max_size=3))
@settings(max_examples=300, deadline=None, database=None)
def test_a_damaged_refinement_is_read_or_an_input_error(changes: dict[str, Any]) -> None:
    whole = copy.deepcopy(GOOD)
    for key, value in changes.items():
        if key == "rounds.0":
            whole["rounds"] = [value]
        elif key == "relevant":
            whole["rounds"] = [{"relevant": value}]
        else:
            whole[key] = value
    try:
        refinement = parsed(whole)
    except InputError as error:
        one_sentence(str(error))
    else:
        assert 1 <= refinement.k <= 1000
        assert parsed(as_json(refinement)) == refinement


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=300, deadline=None, database=None)
def test_random_bytes_are_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse(data, "mine.json", METHODS, Weights(1, 0.75, 0.15))
    one_sentence(str(caught.value))


def test_the_schema_is_valid_and_agrees_with_the_code() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert properties["strategy"]["registry"] == "feedback/strategies"
    # A refinement without these keys gets them from the configuration.
    assert not any("default" in properties[name] for name in ("alpha", "beta", "gamma", "method", "k"))
    assert schema["$defs"]["judged"]["maximum"] == properties["k"]["maximum"] - 1
    assert all("description" in property for property in properties.values())


def located(query: str, folder: Path) -> str | Path:
    return locate_query(parsed(changed(["query"], query)), {"cat/a.jpg"}, folder)


def test_an_image_id_takes_precedence_over_a_file_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.jpg").touch()
    (tmp_path / "cat" / "b.jpg").touch()
    assert located("cat/a.jpg", tmp_path) == "cat/a.jpg"
    assert located("cat/b.jpg", tmp_path) == tmp_path.resolve() / "cat" / "b.jpg"


def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "feedback"
    folder.mkdir()
    outside = tmp_path / "secret.jpg"
    outside.touch()
    (folder / "link.jpg").symlink_to(outside)
    (tmp_path / "feedback2").mkdir()
    (tmp_path / "feedback2" / "a.jpg").touch()
    for query in (str(outside), "../secret.jpg", "link.jpg", "x/../../secret.jpg", "../feedback2/a.jpg", "..", "../a"):
        with pytest.raises(InputError, match="leaves the folder") as caught:
            located(query, folder)
        assert one_sentence(str(caught.value)).startswith("mine.json: query ")


def test_a_query_that_is_not_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for query in ("gone.jpg", "folder", "pipe", "loop", ".", "a\x00b", "\ud800", "x" * 1000, "x/" * 500):
        with pytest.raises(InputError, match="neither an image_id") as caught:
            located(query, tmp_path)
        assert one_sentence(str(caught.value)).startswith("mine.json: query ")


def test_a_folder_behind_a_link_contains_its_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").touch()
    (tmp_path / "link").symlink_to("real")
    assert located("a.jpg", tmp_path / "link") == (tmp_path / "real" / "a.jpg").resolve()
