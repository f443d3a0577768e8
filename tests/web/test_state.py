"""The state of a search, which is encoded in its address."""

import pytest

from cbir.files.errors import InputError
from cbir.web.state import State, image_key, parse, verdicts

METHODS = ["tiny", "unit"]
A, B, C = (image_key(letter * 64) for letter in "abc")
START = State("tiny", "sea/1.png", None, 4)


@pytest.mark.parametrize(
    "state",
    [
        START,
        State("unit", None, "0f" * 32, 1000, "linear"),
        State("tiny", "a b/ü&=_.png", None, 4, "nearest", (f"r{A}i{B}", "", f"i{C}"), 1),
    ],
)
def test_a_state_is_read_back_from_its_address(state: State) -> None:
    arguments = {name: str(value) for name, value in state.arguments().items()}
    assert parse(arguments, METHODS) == state


def test_a_second_click_removes_a_flag_and_another_verdict_replaces_it() -> None:
    once = START.flag(B, "r")
    assert once.flags == (f"r{B}",)
    # The order does not depend on that of the clicks.
    assert once.flag(A, "i").flags == (f"i{A}r{B}",) == START.flag(A, "i").flag(B, "r").flags
    assert once.flag(B, "r").flags == ("",)
    assert once.flag(B, "i").flags == (f"i{B}",)


def test_a_change_of_an_earlier_round_removes_later_rounds() -> None:
    state = START.flag(A, "r").next().flag(B, "i").next()
    assert (state.flags, state.at, state.last) == ((f"r{A}", f"i{B}", ""), 2, 2)
    back = state.step(0)
    assert back.flags == state.flags
    assert back.flag(B, "r").flags == (f"r{A}r{B}",)


def test_only_states_with_the_same_results_have_the_same_ranking() -> None:
    state = START.flag(A, "r").next()
    assert state.ranking() == state.flag(B, "i").ranking()
    assert state.ranking() != START.flag(B, "r").next().ranking()
    assert state.step(0).ranking() == START.ranking()


def test_flags_are_verdicts_on_images() -> None:
    assert verdicts(f"r{A}i{C}r{B}") == {A: "r", B: "r", C: "i"}
    assert verdicts("") == {}


def test_the_order_of_parameters_in_an_address_does_not_matter() -> None:
    arguments = START.arguments() | {"k": "4", "rounds": f"i{C}r{A}"}
    assert parse(arguments, METHODS) == START.flag(A, "r").flag(C, "i")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "other"}, "'other'"),
        ({"query": None}, "no query"),
        ({"upload": "0f" * 32}, "no query"),
        ({"query": None, "upload": "../../etc/passwd"}, "no query"),
        ({"strategy": "magic"}, "'magic'"),
        ({"k": "0"}, "from 1 to 1000"),
        ({"k": "1001"}, "from 1 to 1000"),
        ({"k": "٣"}, "from 1 to 1000"),
        ({"k": "9" * 5000}, "from 1 to 1000"),
        ({"rounds": "rrrrr"}, "flags that are not valid"),
        ({"rounds": "r<i"}, "flags that are not valid"),
        ({"rounds": f"r{A}\n"}, "flags that are not valid"),
        ({"rounds": f"r{A[1:]}"}, "flags that are not valid"),
        ({"rounds": f"r{A.upper()}"}, "flags that are not valid"),
        ({"rounds": "_" * 21}, "more than 20 rounds"),
        ({"rounds": f"r{A}" * 1001}, "More than 1,000 images"),
        ({"rounds": "_", "at": "2"}, "from 0 to 1"),
        ({"at": "-1"}, "from 0 to 0"),
    ],
)
def test_an_invalid_address_is_an_input_error(change: dict, message: str) -> None:
    arguments = {"method": "tiny", "query": "sea/1.png", "k": "4", **change}
    with pytest.raises(InputError, match=message) as caught:
        parse({name: value for name, value in arguments.items() if value is not None}, METHODS)
    assert len(str(caught.value)) < 200
