import pytest

from cbir.report import filters


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (240.47, "4 min 0 s"), (3725, "1 h 2 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert filters.duration(seconds) == shown


def test_figures() -> None:
    assert filters.percent(0.89378) == "89.4 %"
    assert filters.decimal(0.34519) == "0.345"
    assert filters.amount(1939.0) == "1,939"
    for written in (filters.percent, filters.decimal, filters.amount, filters.duration):
        assert written(None) == written(float("nan")) == "–"


def test_plurals_and_lists() -> None:
    assert filters.plural(1, "query", "queries") == "1 query"
    assert filters.plural(1200, "query", "queries") == "1,200 queries"
    assert filters.plural(0, "image") == "0 images"
    assert [filters.listed(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://example.org/a_(1)", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://example.org and more", False),
        ("https://example.org/\n", False),
    ],
)
def test_only_web_addresses_become_links(text: str, link: bool) -> None:
    assert filters.is_link(text) is link
