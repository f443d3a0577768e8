"""Reviewing the collection: decisions on doubtful images are saved as corrections that the next run applies."""

import re
from pathlib import Path

import pandas as pd
import pytest
from flask.testing import FlaskClient

from cbir.collection import corrections
from cbir.files.tables import write_csv, write_json
from cbir.web.app import create_app
from cbir.web.library import Library
from web.made import CONFIGURATION, doubt, visitor
from web.test_app import OWN, SEARCH, link


@pytest.fixture
def doubted(results: Path, tmp_path: Path, network: list[Path]) -> FlaskClient:
    """Return a run with what `doubt` adds."""
    doubt(results)
    return visitor(create_app(Library(results), tmp_path / "feedback"))


def decide(client: FlaskClient, of: str, image_id: str | list[str], verdict: str, category: str = ""):
    form = {"image_id": image_id, "verdict": verdict, "category": category}
    return client.post(f"/decide?of={of}", headers=OWN, data=form)


def test_the_first_page_counts_the_images_to_review(doubted: FlaskClient, client: FlaskClient) -> None:
    page = doubted.get("/").text
    for title, count in (
        ("Doubtful labels", "2 images"),
        ("Near-duplicates", "2 images"),
        ("Rejected files", "1 image"),
    ):
        assert re.search(f'>{title}</a> <span class="note">{count}<', page)
    decide(doubted, "labels", "sea/0.png", "right")
    assert "2 images, 1 reviewed" in doubted.get("/").text


@pytest.mark.parametrize("kind", ["labels", "copies", "rejected"])
def test_a_run_without_anything_to_review_says_so(client: FlaskClient, kind: str) -> None:
    page = client.get(f"/review/{kind}").text
    assert "This run found nothing to review here." in page
    assert "0 of 0" not in page and "nothing left" not in page


def test_flags_of_near_duplicates_are_shown_in_words(doubted: FlaskClient, results: Path) -> None:
    assert "Group 1: 2 images, in several categories" in doubted.get("/review/copies").text
    path = results / "collection" / "near_duplicates.csv"
    write_csv(path, pd.read_csv(path).assign(across_categories=0, across_splits=1, mirrored=1, doubted=1))
    page = doubted.get("/review/copies").text
    assert "Group 1: 2 images, in several splits, probably not copies" in page
    assert page.count("3 of 256 bits from the nearest, mirrored.") == 2


def test_decisions_are_saved_as_corrections(doubted: FlaskClient, tmp_path: Path) -> None:
    path = tmp_path / "corrections" / "folder.csv"
    page = doubted.get("/review/labels").text
    assert "8 of its 10 nearest images are apple, none is sea." in page
    assert "<option selected>apple</option>" in page
    after = decide(doubted, "labels", "sea/0.png", "move", "apple")
    assert after.status_code == 303
    page = doubted.get(after.location).text
    assert "To be moved to <bdi>apple</bdi>" in page and "8 of its 10" not in page and "1 of 2 images" in page
    decide(doubted, "labels", "leaf/1.png", "right")
    assert "There is nothing left to review" in doubted.get("/review/labels").text
    decide(doubted, "copies", ["apple/1.png", "apple/2.png"], "right")
    decide(doubted, "copies", "apple/2.png", "exclude")
    decide(doubted, "rejected", "sea/twice.png", "move", "apple")
    assert corrections.read(path) == {
        "apple/1.png": {"verdict": "right", "category": ""},
        "apple/2.png": {"verdict": "exclude", "category": ""},
        "leaf/1.png": {"verdict": "right", "category": ""},
        "sea/0.png": {"verdict": "move", "category": "apple"},
        "sea/twice.png": {"verdict": "move", "category": "apple"},
    }
    # The decision is removed.
    decide(doubted, "labels", "sea/0.png", "clear")
    assert "sea/0.png" not in corrections.read(path)
    assert "8 of its 10" in doubted.get("/review/labels").text


def test_image_files_are_not_changed(doubted: FlaskClient, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "collection").rglob("*.png")}
    decide(doubted, "labels", "sea/0.png", "exclude")
    decide(doubted, "labels", "leaf/1.png", "move", "sea")
    assert {path: path.read_bytes() for path in (tmp_path / "collection").rglob("*.png")} == before


def test_any_image_can_be_corrected_in_its_large_view(client: FlaskClient, tmp_path: Path) -> None:
    look = link(client.get(SEARCH).text, "look-1")
    page = client.get(look).text
    image_id = re.search('name="image_id" value="([^"]+)"', page).group(1)
    action = re.search('class="decide" action="([^"]+)"', page).group(1).replace("&amp;", "&")
    form = {"image_id": image_id, "verdict": "move", "category": "apple"}
    response = client.post(action, headers=OWN, data=form)
    assert response.status_code == 303 and response.location == look
    assert "To be moved to <bdi>apple</bdi>" in client.get(look).text
    assert corrections.read(tmp_path / "corrections" / "folder.csv") == {
        image_id: {"verdict": "move", "category": "apple"}
    }


@pytest.mark.parametrize(
    ("image_id", "verdict", "category", "message"),
    [
        ("sea/99.png", "right", "", "not in the collection"),
        ("../../etc/passwd", "exclude", "", "not in the collection"),
        ("sea/0.png", "gone", "", "an unknown decision"),
        ("sea/0.png", "move", "a/b", "cannot name a category"),
        ("sea/0.png", "move", "", "the category is empty"),
        ([], "right", "", "not in the collection"),
    ],
)
def test_an_invalid_decision_is_refused(
    doubted: FlaskClient, tmp_path: Path, image_id: str | list[str], verdict: str, category: str, message: str
) -> None:
    response = decide(doubted, "labels", image_id, verdict, category)
    assert response.status_code == 400 and message in response.text
    assert not (tmp_path / "corrections").exists()


@pytest.mark.parametrize("named", ["../corrections.csv", "/tmp/corrections.csv", "corrections", "link/x.csv"])
def test_corrections_are_written_only_below_the_folder_of_the_run(results: Path, tmp_path: Path, named: str) -> None:
    # The configuration may belong to results of somebody else.
    (tmp_path / "link").symlink_to("/tmp")
    write_json(
        results / "configuration.json", CONFIGURATION | {"collection": {"source": "folder", "corrections": named}}
    )
    client = visitor(create_app(Library(results), tmp_path / "feedback"))
    form = {"image_id": "sea/0.png", "verdict": "exclude"}
    response = client.post("/decide?" + SEARCH.split("?")[1], headers=OWN, data=form)
    assert response.status_code == 400 and "set collection.corrections to one" in response.text


def test_a_damaged_file_of_corrections_is_reported_and_kept(doubted: FlaskClient, tmp_path: Path) -> None:
    path = tmp_path / "corrections" / "folder.csv"
    path.parent.mkdir()
    path.write_text("image_id,verdict,category\nsea/0.png,perhaps,\n")
    for response in (doubted.get("/review/labels"), decide(doubted, "labels", "leaf/1.png", "right")):
        assert response.status_code == 400 and "line 2: the verdict &#39;perhaps&#39;" in response.text
    assert "perhaps" in path.read_text()
    assert doubted.get("/").status_code == 200


def test_a_rejected_file_is_shown_only_with_the_recorded_content(doubted: FlaskClient, tmp_path: Path) -> None:
    page = doubted.get("/review/rejected").text
    address = re.search(r"/thumbnails/\w+\.webp", page).group(0)
    assert doubted.get(address).status_code == 200
    (tmp_path / "collection" / "sea" / "twice.png").write_bytes(b"another")
    visit = doubted.get(address.replace("thumbnails", "pictures"))
    assert visit.status_code == 404
