"""Saved refinements: listed, opened, continued, replaced on request, deleted."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from cbir.files.tables import write_json
from web.test_app import OWN, SEARCH, distances, link, png, pressed, save, upload, walk


def test_a_saved_refinement_is_listed_and_opened_at_its_last_round(client: FlaskClient) -> None:
    shown = client.get(save(client, walk(client, SEARCH, "r.i", ".r"), "mine").location).text
    home = client.get("/").text
    assert "Open <bdi>mine</bdi>" in home and "2 rounds: 2 relevant, 1 irrelevant" in home
    opened = client.get("/open/mine", follow_redirects=True).text
    assert distances(opened) == distances(shown)
    assert "Round 2" in opened and 'value="mine"' in opened
    # The earlier rounds are there with their flags.
    assert pressed(client.get(link(opened, "step-0")).text) == ["relevant-0", "irrelevant-2"]


def test_ranks_are_opened_as_the_images_at_these_ranks(client: FlaskClient, tmp_path: Path) -> None:
    rounds = [{"relevant": [0], "irrelevant": [3]}, {"relevant": [1]}]
    refinement = {"query": "sea/6.png", "method": "tiny", "k": 4, "rounds": rounds}
    write_json(tmp_path / "feedback" / "by.rank.json", refinement)
    page = client.get("/open/by.rank", follow_redirects=True).text
    assert distances(page) == distances(client.get(walk(client, SEARCH, "r..i", ".r", "")).text)


def test_a_refinement_is_replaced_only_on_request(client: FlaskClient, tmp_path: Path) -> None:
    save(client, walk(client, SEARCH, "r"), "mine")
    before = (tmp_path / "feedback" / "mine.json").read_text()
    longer = walk(client, SEARCH, "rr")
    refused = save(client, longer, "mine")
    assert refused.status_code == 400
    assert 'name="replace" value="mine"' in refused.text
    assert (tmp_path / "feedback" / "mine.json").read_text() == before
    # The checkbox for another name has no effect.
    form = {"name": "mine", "replace": "other"}
    assert client.post(longer.replace("/search", "/save"), headers=OWN, data=form).status_code == 400
    form["replace"] = "mine"
    assert client.post(longer.replace("/search", "/save"), headers=OWN, data=form).status_code == 303
    assert len(json.loads((tmp_path / "feedback" / "mine.json").read_text())["rounds"][0]["relevant"]) == 2


def test_an_uploaded_image_is_saved_under_its_name_and_opened_again(client: FlaskClient, tmp_path: Path) -> None:
    page = client.get(upload(client, png(), "my holiday.png").location).text
    shown = client.get(save(client, link(page, "relevant-0"), "own").location).text
    [image] = (tmp_path / "feedback" / "images").iterdir()
    assert image.name.startswith("my_holiday-") and image.suffix == ".png"
    opened = client.get("/open/own", follow_redirects=True).text
    assert distances(opened) == distances(shown)
    assert "my_holiday-" in opened


def test_deleting_a_refinement_also_deletes_its_image_unless_another_needs_it(
    client: FlaskClient, tmp_path: Path
) -> None:
    folder = tmp_path / "feedback"
    page = client.get(upload(client, png(), "a.png").location).text
    for name in ("one", "two"):
        save(client, link(page, "relevant-0"), name)

    def delete(name: str) -> int:
        return client.post("/delete", headers=OWN, data={"name": name}).status_code

    assert delete("one") == 303
    assert [path.name for path in folder.glob("*.json")] == ["two.json"]
    assert len(list((folder / "images").iterdir())) == 1
    assert delete("two") == 303
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert delete("two") == 400


@pytest.mark.parametrize("name", ["../secret", "..%2fsecret", "/etc/passwd", "", "secret"])
def test_only_refinements_are_opened_or_deleted(client: FlaskClient, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "feedback").mkdir()
    assert client.post("/delete", headers=OWN, data={"name": name}).status_code == 400
    assert client.get(f"/open/{name}").status_code in (400, 404)
    assert (tmp_path / "secret.json").exists()


def test_an_unusable_refinement_is_listed_with_the_reason(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "bad.json").write_text("{")
    gone = {"query": "sea/99.png", "method": "tiny", "k": 4, "rounds": [{"relevant": [0]}]}
    write_json(tmp_path / "feedback" / "gone.json", gone)
    page = client.get("/").text
    assert "is not valid JSON" in page and "sea/99.png" in page
    for name in ("bad", "gone"):
        response = client.get(f"/open/{name}")
        assert response.status_code == 400 and "That did not work" in response.text


def test_all_flags_of_a_round_can_be_cleared(client: FlaskClient) -> None:
    address = walk(client, SEARCH, "r..i", "r.i")
    page = client.get(link(client.get(address).text, "clear")).text
    assert 'id="clear"' not in page and "Round 1" in page
    assert "1 relevant, 1 irrelevant" in page


def test_only_a_post_from_the_page_changes_files(client: FlaskClient) -> None:
    save(client, walk(client, SEARCH, "r"), "mine")
    for path in ("/delete", "/decide"):
        assert client.get(f"{path}?name=mine").status_code == 405
        assert client.post(path, data={"name": "mine"}).status_code == 403
        foreign = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        assert client.post(path, headers=foreign, data={"name": "mine"}).status_code == 403
