import json
from pathlib import Path

import pytest

from cbir.collection.relevance import read
from cbir.files.errors import InputError


def test_json_and_csv_give_the_same_judgements(tmp_path: Path) -> None:
    one, other = tmp_path / "list.json", tmp_path / "list.CSV"
    one.write_text(json.dumps({"queries": {"q2": {"relevant": ["b"]}, "q1": {"junk": ["c"], "hard": ["b", "a"]}}}))
    other.write_text("query,image_id,grade\nq2,b,relevant\nq1,a,hard\nq1,c,junk\nq1,b,hard\n")
    found = read(one)
    assert found.table.equals(read(other).table)
    assert found.table.to_numpy().tolist() == [
        ["q1", "a", "hard"],
        ["q1", "b", "hard"],
        ["q1", "c", "junk"],
        ["q2", "b", "relevant"],
    ]
    assert found.queries == read(other).queries == ["q1", "q2"]
    assert found.gallery is read(other).gallery is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "holds no object with the key 'queries'"),
        ('{"queries": []}', "holds no object with the key 'queries'"),
        ('{"queries": {}}', "names no query"),
        ('{"queries": {"q": {}}, "junk": []}', "has the unknown key 'junk'"),
        ('{"queries": {"q": ["a"]}}', "the query 'q' holds no object of lists"),
        ('{"queries": {"q": {"easy": "a"}}}', "'q', easy is \"a\", but must be a list of image_ids"),
        ('{"queries": {"q": {"easy": [1]}}}', "'q', easy is \\[1\\], but must be a list"),
        ('{"queries": {"q": {"good": ["a"]}}}', "has the grade 'good', none of relevant, easy, hard, junk"),
        ('{"queries": {"q": {"easy": ["a"], "junk": ["a"]}}}', "the query 'q' lists 'a' twice"),
        ('{"queries": {"q": {}}, "gallery": {}}', "gallery is {}, but must be a list"),
        ("{", "is not valid JSON"),
    ],
)
def test_an_invalid_file_is_an_input_error(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read(path)


def test_a_missing_file_or_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.json does not exist"):
        read(tmp_path / "none.json")
    (tmp_path / "list.csv").write_text("query,image_id\nq,a\n")
    with pytest.raises(InputError, match="grade"):
        read(tmp_path / "list.csv")
