from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from cbir.features.store import FeatureStore
from cbir.feedback import records
from cbir.feedback.refinement import Refinement, Round
from cbir.feedback.rounds import RoundResult, refine
from cbir.feedback.strategies import Weights
from cbir.report import plots, refinement_pictures

STORE = FeatureStore(
    features=np.array([[1], [2], [3], [4]], np.float32),
    image_id=np.array(["cat/1", "dog/2", "cat/3", "dog/4"], object),
    label=np.array([0, 1, 0, 1]),
    sha256=np.array(list("abcd"), object),
    about={"features_sha256": "f00"},
)
# The query at 0. Round 1 judges cat/1 and, beyond the two results, dog/4. q' = 0 + 1 - 0.25 * 4 = 0.
# Round 2 judges its second result.
ROUNDS = (Round((0,), ("dog/4",)), Round((), (1,)))


@pytest.fixture
def results() -> list[RoundResult]:
    return refine(records.gallery(STORE, ["cat", "dog"]), judged(), np.zeros(1), "cat/0", "cat")


def judged() -> Refinement:
    return Refinement("cat/0", "m", 2, "rocchio", Weights(1, 1, 0.25), ROUNDS, "x.json")


@pytest.fixture
def record(results: list[RoundResult]) -> dict[str, Any]:
    return records.record(judged(), "cat/0", "cat", STORE, results)


def test_a_gallery_has_the_categories_of_its_labels() -> None:
    gallery = records.gallery(STORE, ["cat", "dog"])
    assert gallery.categories.tolist() == ["cat", "dog", "cat", "dog"]
    assert gallery.image_ids == ["cat/1", "dog/2", "cat/3", "dog/4"]


def test_the_record_has_the_judgements_of_each_round(record: dict[str, Any]) -> None:
    flagged = [round["flagged"] for round in record["rounds"]]
    assert flagged[0] == {"relevant": ["cat/1"], "irrelevant": ["dog/4"]}
    assert flagged[1] == {"relevant": [], "irrelevant": ["dog/2"]}
    assert flagged[2] == {"relevant": [], "irrelevant": []}
    assert record["features_sha256"] == "f00"
    assert record["refinement"]["rounds"][0] == {"relevant": [0], "irrelevant": ["dog/4"]}


def test_the_table_has_a_row_for_each_result(record: dict[str, Any]) -> None:
    table = records.table(record)
    # q' stays at 0 in round 1; in round 2 it is 1 - 0.25 * (4 + 2) / 2 = 0.25.
    assert table["round"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["image_id"].tolist() == ["cat/1", "dog/2"] * 3
    assert table["distance"].tolist() == [1, 2, 1, 2, 0.75, 1.75]
    assert table["precision_at_k"].tolist() == [0.5] * 6
    # Round 1 without cat/1 and dog/4: dog/2, cat/3. Round 2 without dog/2 too: cat/3, and nothing.
    assert table["residual_precision_at_k"].tolist() == [0.5] * 6
    assert table["flag"].fillna("").tolist() == ["relevant", "", "", "irrelevant", "", ""]
    assert table["judged"].fillna("").tolist() == ["", "", "relevant", "", "relevant", "irrelevant"]


def test_the_vectors_are_those_of_the_searches(
    results: list[RoundResult], record: dict[str, Any], tmp_path: Path
) -> None:
    records.write_vectors(results, record, tmp_path / "vectors.h5")
    with h5py.File(tmp_path / "vectors.h5") as file:
        assert file["vectors"][:].tolist() == [[0], [0], [0.25]]
        assert file["vectors"].dtype == np.float64
        assert dict(file.attrs) == {"method": b"m", "query": b"cat/0", "features_sha256": b"f00"}


def test_the_picture_has_a_row_for_each_round(record: dict[str, Any], tmp_path: Path) -> None:
    paths = {}
    for image_id in ("cat/0", *STORE.image_id):
        paths[image_id] = str(tmp_path / f"{image_id.replace('/', '-')}.png")
        Image.new("RGB", (20, 20), "navy").save(paths[image_id])
    # The text in an SVG shows what it contains.
    refinement_pictures.rounds(record, paths, tmp_path / "r.svg")
    text = (tmp_path / "r.svg").read_text()
    assert text.count("+ relevant") == 1 and text.count("− irrelevant") == 1
    assert [f"round {number}" in text for number in range(4)] == [True, True, True, False]
    assert text.count("relevant before") == 3 and text.count("irrelevant before") == 1
    assert plots.RELEVANT in text and plots.IRRELEVANT in text
    assert plots.RIGHT not in text and plots.WRONG not in text
    # The name of a result, below its category, and the meaning of its number.
    assert ">1<" in text and text.count("distance ") == 6
    assert text.count("right, ") == text.count("wrong, ") == 3
    refinement_pictures.rounds(record, paths, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "r.svg").read_bytes()


def test_a_long_refinement_is_drawn_in_part_with_a_note(record: dict[str, Any], tmp_path: Path) -> None:
    paths = dict.fromkeys(["cat/0", *STORE.image_id], str(tmp_path / "x.png"))
    Image.new("RGB", (20, 20)).save(tmp_path / "x.png")
    many = record | {"rounds": [record["rounds"][0]] * 101}
    refinement_pictures.rounds(many, paths, tmp_path / "r.svg")
    assert "11 of 101 rankings" in (tmp_path / "r.svg").read_text()
