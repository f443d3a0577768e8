"""A search in its address."""

import pytest

from cbir.errors import InputError
from cbir.web.state import State, judgements, parse

METHODS = ["tiny", "unit"]
START = State("tiny", "sea/1.png", None, 4)


@pytest.mark.parametrize(
    "state",
    [
        START,
        State("unit", None, "0f" * 32, 100, "linear"),
        State("tiny", "a b/ü&=_.png", None, 4, "nearest", ("r.i", "", "..r"), 1),
    ],
)
def test_an_address_reads_back_as_the_state_it_was_made_from(state: State) -> None:
    arguments = {name: str(value) for name, value in state.arguments().items()}
    assert parse(arguments, METHODS) == state


def test_a_second_click_takes_a_flag_away_and_another_verdict_replaces_it() -> None:
    once = START.flag(2, "r")
    assert once.flags == ("..r",)
    assert once.flag(0, "i").flags == ("i.r",)
    assert once.flag(2, "r").flags == ("",)
    assert once.flag(2, "i").flags == ("..i",)


def test_a_change_of_an_earlier_round_leaves_out_the_rounds_after_it() -> None:
    state = START.flag(0, "r").next().flag(1, "i").next()
    assert (state.flags, state.at, state.last) == (("r", ".i", ""), 2, 2)
    back = state.step(0)
    assert back.flags == state.flags
    assert back.flag(1, "r").flags == ("rr",)


def test_another_strategy_keeps_the_flags_of_the_plain_results() -> None:
    # Round 0 is the same for every strategy; what later rounds showed is not.
    state = START.flag(0, "r").next().flag(1, "i").next()
    assert (state.with_strategy("linear").flags, state.with_strategy("linear").at) == (("r", ""), 1)
    assert START.flag(0, "r").with_strategy("linear").flags == ("r",)


def test_another_method_or_k_starts_again() -> None:
    state = START.flag(0, "r").next()
    assert state.afresh(method="unit") == State("unit", "sea/1.png", None, 4)
    assert state.afresh(k=2) == State("tiny", "sea/1.png", None, 2)


def test_only_states_with_the_same_results_have_the_same_ranking() -> None:
    state = START.flag(0, "r").next()
    assert state.ranking() == state.flag(3, "i").ranking()
    assert state.ranking() != START.flag(1, "r").next().ranking()
    assert state.step(0).ranking() == START.ranking()


def test_flags_become_ranks() -> None:
    found = judgements("r.ir")
    assert (found.relevant, found.irrelevant) == ((0, 3), (2,))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"method": "other"}, "'other'"),
        ({"query": None}, "no query"),
        ({"upload": "0f" * 32}, "no query"),
        ({"query": None, "upload": "../../etc/passwd"}, "no query"),
        ({"strategy": "magic"}, "'magic'"),
        ({"k": "0"}, "from 1 to 100"),
        ({"k": "101"}, "from 1 to 100"),
        ({"k": "٣"}, "from 1 to 100"),
        ({"k": "9" * 5000}, "from 1 to 100"),
        ({"rounds": "rrrrr"}, "do not fit"),
        ({"rounds": "r<i"}, "do not fit"),
        ({"rounds": "_".join(["r"] * 102)}, "more than 100 rounds"),
        ({"rounds": "r_", "at": "2"}, "from 0 to 1"),
        ({"at": "-1"}, "from 0 to 0"),
    ],
)
def test_an_address_that_no_link_has_is_refused_in_one_sentence(change: dict, told: str) -> None:
    arguments = {"method": "tiny", "query": "sea/1.png", "k": "4", **change}
    with pytest.raises(InputError, match=told) as caught:
        parse({name: value for name, value in arguments.items() if value is not None}, METHODS)
    assert len(str(caught.value)) < 200
