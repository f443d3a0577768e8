import pytest

from cbir.report.results import expand


def test_patterns_expand_to_every_combination_of_names_once() -> None:
    names = {"method": ["one", "two"], "query": ["best", "{worst}"], "source": []}
    patterns = ["a.csv", "q/{method}/{query}.json", "s/{source}.csv", "{method}/{method}.json", "a.csv"]
    assert expand(patterns, names) == [
        "a.csv",
        "q/one/best.json",
        "q/one/{worst}.json",
        "q/two/best.json",
        "q/two/{worst}.json",
        "one/one.json",
        "two/two.json",
    ]
    with pytest.raises(KeyError):
        expand(["{unknown}.csv"], names)
