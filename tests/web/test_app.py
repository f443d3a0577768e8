"""The pages and actions of the search page."""

import html
import io
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from cbir.feedback.refinement import locate_query, read
from cbir.feedback.rounds import Gallery, refine
from cbir.feedback.strategies import Weights
from cbir.files.tables import write_json
from cbir.web.app import create_app
from cbir.web.library import Library
from cbir.web.state import image_key
from web.made import HOSTILE, configure, forget_labels, learn, visitor

SEARCH = "/search?method=tiny&query=sea/6.png&k=4"
OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


def distances(page: str) -> list[float]:
    """Return the distances that a page shows, to the last digit."""
    return [float(value) for value in re.findall(r'<data class="distance" value="([^"]+)">', page)]


def pressed(page: str) -> list[str]:
    """Return the flags that are set: relevant-0, irrelevant-3, ..."""
    return re.findall(r'<a role="button" id="([a-z]+-\d+)"[^>]*aria-pressed="true"', page)


def link(page: str, id: str) -> str:
    found = re.search(rf'<a[^>]* id="{id}"[^>]*>', page)
    assert found, f"no link {id}"
    return re.search(r'href="([^"]+)"', found.group(0)).group(1).replace("&amp;", "&")


def walk(client: FlaskClient, address: str, *rounds: str) -> str:
    """Return the page after rounds with these flags; the letters of a round mean relevant, irrelevant and neither."""
    for number, letters in enumerate(rounds):
        if number:
            address = link(client.get(address).text, "next")
        for position, letter in enumerate(letters):
            if letter in "ri":
                address = link(client.get(address).text, f"{'relevant' if letter == 'r' else 'irrelevant'}-{position}")
    return address


def save(client: FlaskClient, address: str, name: str):
    return client.post(address.replace("/search", "/save"), headers=OWN, data={"name": name})


def upload(client: FlaskClient, data: bytes, name: str = "my.png", method: str = "tiny"):
    form = {"image": (io.BytesIO(data), name)}
    return client.post(f"/upload?method={method}", headers=OWN, data=form, content_type="multipart/form-data")


def png(side: int = 30) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (60, 60, 200)).save(stream, "PNG")
    return stream.getvalue()


def redo(library: Library, folder: Path, name: str):
    """Return the workflow's results of a saved refinement whose query is in the collection."""
    refinement = read(folder / f"{name}.json", library.methods, Weights(9, 9, 9))
    query = locate_query(refinement, library.images.keys(), folder)
    method = library.methods[refinement.method]
    return refine(method.gallery, refinement, method.vectors[query], query, library.images[query].category)


def test_weights_and_k_of_the_run_are_used_and_saved(results: Path, tmp_path: Path) -> None:
    configure(results, alpha=0.5, beta=2, gamma=1, k=4)
    library = Library(results)
    client = visitor(create_app(library, tmp_path / "feedback"))
    found = client.get("/?method=tiny&category=sea").text
    address = next(href for href in re.findall(r'href="([^"]+)"', found) if "query=sea/6.png" in href)
    first = client.get(address.replace("&amp;", "&")).text
    assert len(distances(first)) == 4
    saved = client.get(save(client, link(first, "relevant-0"), "x").location).text
    # The query pulled half to the origin and twice to the one relevant image.
    gallery = library.methods["tiny"].gallery.features.astype(np.float64)
    query = library.methods["tiny"].vectors["sea/6.png"].astype(np.float64)
    nearest = gallery[np.argmin(np.linalg.norm(gallery - query, axis=1))]
    expected = np.linalg.norm(gallery - (0.5 * query + 2 * nearest), axis=1)
    np.testing.assert_allclose(distances(saved), np.sort(expected)[:4], rtol=1e-6)
    assert redo(library, tmp_path / "feedback", "x")[1].distances.tolist() == distances(saved)


# Choosing a query.


def test_the_first_page_offers_methods_and_categories(client: FlaskClient) -> None:
    page = client.get("/").text
    assert 'id="method-tiny"' in page and 'id="method-unit"' in page
    assert [part in page for part in ("apple", "leaf", "sea", "8 images")] == [True] * 4


def test_a_network_that_is_missing_is_no_missing_text_search(results: Path, tmp_path: Path) -> None:
    for path in (results / "encoders").glob("*.json"):
        path.unlink()
    page = visitor(create_app(Library(results), tmp_path / "feedback")).get("/").text
    assert 'id="no-texts"' not in page and "text search" not in page


def test_a_category_shows_its_images_as_queries(client: FlaskClient) -> None:
    page = client.get("/?method=unit&category=sea").text
    assert page.count('class="tile"') == 7
    assert "/search?method=unit&amp;query=sea/6.png&amp;k=10&amp;strategy=rocchio" in page


@pytest.mark.parametrize(
    ("words", "count"), [("sea", 7), ("SEA 6", 1), ("6.png", 3), ("6 sea apple", 0), ("%", 0), ("<b>", 1)]
)
def test_a_search_finds_images_by_all_its_words(client: FlaskClient, words: str, count: int) -> None:
    page = client.get("/", query_string={"search": words}).text
    assert page.count('class="tile"') == count


def test_many_images_are_shown_in_pages(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.web.app._PAGE", 3)
    shown = [client.get(f"/?category=sea&page={page}").text.count('class="tile"') for page in (1, 2, 3, 99)]
    assert shown == [3, 3, 1, 1]
    assert "Previous" not in client.get("/?category=sea").text
    assert "More" not in client.get("/?category=sea&page=3").text


def test_a_hostile_file_name_is_shown_as_text(client: FlaskClient) -> None:
    address = client.get("/?category=leaf").text
    for page in (address, client.get("/search", query_string={"method": "tiny", "query": HOSTILE, "k": 17}).text):
        assert "<b>" not in page
        assert "\u202e" not in page
        assert "&lt;b&gt;&amp;&#34;\\u202eleaf.png" in page


# Rounds.


def test_results_have_the_exact_distances_of_the_library(client: FlaskClient, library: Library) -> None:
    method = library.methods["tiny"]
    # Independently: plain Euclidean distances, sorted.
    expected = np.sort(np.linalg.norm(method.gallery.features - method.vectors["sea/6.png"], axis=1))[:4]
    np.testing.assert_allclose(distances(client.get(SEARCH).text), expected, rtol=1e-6)


def test_a_page_shows_probabilities_and_novelty(results: Path, tmp_path: Path) -> None:
    def shown(threshold: float | None, address: str = SEARCH) -> tuple[list[str], str]:
        if threshold is not None:
            learn(results, "tiny", threshold)
        page = visitor(create_app(Library(results), tmp_path)).get(address).text
        return re.findall(r'<span class="probability"[^>]*>([^<]*)</span>', page), page

    assert shown(None)[0] == [] and "Nothing like it" not in shown(None)[1]
    probabilities, page = shown(1000)
    # The probability falls from 0.9 at distance 1 to 0.1 at 9, by 0.1 for each step of 1.
    assert probabilities == [f"{100 * min(max(1 - d / 10, 0.1), 0.9):.0f} %" for d in distances(page)]
    assert "Nothing like it" not in page
    mean = sum(distances(page)[:3]) / 3
    assert "Nothing like it is here." in shown(mean * 0.999)[1]
    assert "Nothing like it" not in shown(mean * 1.001)[1]
    # An image of the gallery is not compared with itself.
    inside = SEARCH.replace("6.png", "0.png")
    mean = sum(distances(shown(1000, inside)[1])[:3]) / 3
    assert "Nothing like it is here." in shown(mean * 0.999, inside)[1]
    assert "Nothing like it" not in shown(mean * 1.001, inside)[1]
    # A later round searches with another vector.
    first = visitor(create_app(Library(results), tmp_path))
    later = walk(first, SEARCH, "r", "")
    assert "probability" not in first.get(later).text


def test_a_query_of_the_gallery_is_not_its_own_result(client: FlaskClient) -> None:
    page = client.get("/search?method=tiny&query=sea/0.png&k=17").text
    assert "Search with sea/0.png" not in page
    assert page.count('class="result ') == 17


def test_flags_of_several_rounds(client: FlaskClient) -> None:
    first = client.get(SEARCH).text
    assert pressed(first) == []
    assert 'id="next"' not in first
    one = client.get(link(first, "relevant-1")).text
    two = client.get(link(one, "irrelevant-3")).text
    assert pressed(two) == ["relevant-1", "irrelevant-3"]
    assert distances(two) == distances(first)
    assert pressed(client.get(link(two, "irrelevant-3")).text) == ["relevant-1"]
    second = client.get(link(two, "next")).text
    assert "Round 1" in second
    assert distances(second) != distances(first)
    back = client.get(link(second, "back")).text
    assert (distances(back), pressed(back)) == (distances(first), pressed(two))
    assert client.get(link(back, "forward")).text == second


def test_earlier_flags_are_shown_and_kept_in_later_rounds(client: FlaskClient) -> None:
    page = client.get(walk(client, SEARCH, "rrrr", "")).text
    assert page.count("flagged earlier") == 4
    flagged = pressed(page)
    assert flagged and all(flag.startswith("relevant") for flag in flagged)
    # Another click on it changes nothing; the opposite replaces it.
    again = client.get(link(page, flagged[0])).text
    assert pressed(again) == flagged
    assert 'id="next"' not in again
    opposite = flagged[0].replace("relevant", "irrelevant")
    assert opposite in pressed(client.get(link(page, opposite)).text)


def test_strategies_rank_differently_with_the_same_flags(client: FlaskClient) -> None:
    page = client.get(walk(client, SEARCH, "r.ii", "")).text
    found = {}
    for strategy in ("rocchio", "nearest", "linear"):
        address = link(page, f"strategy-{strategy}")
        assert pressed(client.get(link(client.get(address).text, "back")).text) == [
            "relevant-0",
            "irrelevant-2",
            "irrelevant-3",
        ]
        found[strategy] = distances(client.get(address).text)
    assert found["rocchio"] == distances(page)
    assert found["nearest"] != found["rocchio"] != found["linear"]


def images_flagged(client: FlaskClient, address: str) -> dict[str, str]:
    """Return the verdict of each image_id that is flagged in all rounds so far, from a page with all results."""
    page = client.get(address).text
    names = re.findall(r'title="Search with ([^"]+)"', page)
    return {names[int(at)]: verdict for verdict, at in (flag.split("-") for flag in pressed(page))}


@pytest.mark.parametrize("change", ["k-5", "k-10", "method-unit", "strategy-nearest", "strategy-linear"])
def test_another_ranking_keeps_every_flag_of_every_round(client: FlaskClient, change: str) -> None:
    start = SEARCH.replace("k=4", "k=18")
    for rounds in (("r..i.......i...r",), ("r..i.......i...r", ""), ("r..i.......i...r", "........rriirr", "")):
        address = walk(client, start, *rounds)
        flagged = images_flagged(client, address)
        assert len(flagged) >= 4
        changed = link(client.get(address).text, change)
        page = client.get(changed).text
        title = f"Round {len(rounds) - 1}" if len(rounds) > 1 else "Nearest images"
        assert f">{title}</h2>" in page
        # All flags are counted, also those of images that are not shown with fewer results; later they are shown again.
        tally = [list(flagged.values()).count(verdict) for verdict in ("relevant", "irrelevant")]
        assert f"{tally[0]} relevant, {tally[1]} irrelevant" in page
        hidden = len(flagged.keys() - set(re.findall(r'title="Search with ([^"]+)"', page)))
        assert (f"{hidden} of them not among these results" in page) == (hidden > 0)
        again = re.sub("&k=[0-9]+", "&k=18", changed)
        assert images_flagged(client, again) == flagged


def test_flags_kept_through_changes_are_saved_as_the_page_showed_them(
    client: FlaskClient, library: Library, tmp_path: Path
) -> None:
    address = walk(client, SEARCH.replace("k=4", "k=17"), "r..i.......i...r", "")
    for change in ("method-unit", "k-5"):
        address = link(client.get(address).text, change)
    shown = client.get(address).text
    assert save(client, address, "x").status_code == 303
    redone = redo(library, tmp_path / "feedback", "x")
    assert redone[1].distances.tolist() == distances(shown)
    assert (redone[1].relevant.size, redone[1].irrelevant.size) == (2, 2)


def test_judged_images_are_ranked_first_or_removed_and_saved_so(results: Path, tmp_path: Path) -> None:
    configure(results, judged_first=True)
    library = Library(results)
    client = visitor(create_app(library, tmp_path / "feedback"))
    address = walk(client, SEARCH, ".i.r", "")
    first, second = (shown_images(client.get(page).text) for page in (SEARCH, address))
    assert second[0] == first[3]
    assert first[1] not in second
    assert len(second) == 4
    save(client, address, "x")
    assert json.loads((tmp_path / "feedback/x.json").read_text())["judged_first"] is True
    assert redo(library, tmp_path / "feedback", "x")[1].image_ids == second


def shown_images(page: str) -> list[str]:
    """Return the image_ids of the results, in their order."""
    return re.findall(r'title="Search with ([^"]+)"', page)


def test_as_many_results_as_the_configuration_allows_can_be_shown(results: Path, tmp_path: Path) -> None:
    configure(results, k=200)
    random = np.random.default_rng(2)
    library = Library(results)
    # The gallery is larger than that, with images of the collection.
    rows = [f"{number}" for number in range(1100)]
    method = library.methods["tiny"]
    object.__setattr__(
        method, "gallery", Gallery(random.normal(size=(1100, 5)).astype(np.float32), rows, np.array(["sea"] * 1100))
    )
    sea = library.images["sea/0.png"]
    library.images.update({row: replace(sea, image_id=row) for row in rows})
    client = visitor(create_app(library, tmp_path / "feedback"))
    found = client.get("/?method=tiny&category=sea").text
    address = next(href for href in re.findall(r'href="([^"]+)"', found) if "query=sea/6.png" in href)
    assert len(distances(client.get(address.replace("&amp;", "&")).text)) == 200
    assert len(distances(client.get("/search?method=tiny&query=sea/6.png&k=1000").text)) == 1000


def test_the_last_round_can_be_flagged_and_saved(client: FlaskClient, library: Library, tmp_path: Path) -> None:
    flag = f"r{image_key(library.images['sea/0.png'].sha256)}"
    last = f"{SEARCH}&rounds={'_'.join([flag] * 20)}_&at=20"
    assert 'id="next"' not in client.get(last).text
    flagged = walk(client, last, "..i")
    page = client.get(flagged).text
    assert "irrelevant-2" in pressed(page) and 'id="next"' not in page
    assert "x.json" in client.get(save(client, flagged, "x").location).text
    assert len(json.loads((tmp_path / "feedback" / "x.json").read_text())["rounds"]) == 21


def test_a_page_shows_how_many_results_are_of_the_querys_category(client: FlaskClient, library: Library) -> None:
    page = client.get(SEARCH).text
    shown = re.findall(r'title="Search with (\w+)/', page)
    assert f"{shown.count('sea')} of 4 are of the category" in page


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/search", "names the unknown method"),
        ("/search?method=tiny&query=sea/7.png", "no features of the image &#39;sea/7.png&#39;"),
        ("/search?method=tiny&query=../../etc/passwd", "no features of the image"),
        ("/search?method=tiny&query=sea/6.png&k=50", "the gallery has 18 images"),
        (f"/search?method=tiny&upload={'0' * 64}", "drop it again"),
        ("/search?method=tiny&query=sea/6.png&rounds=x", "flags that are not valid"),
    ],
)
def test_a_bad_address_is_reported_in_one_sentence(client: FlaskClient, address: str, message: str) -> None:
    response = client.get(address)
    assert response.status_code == 400
    assert message in response.text


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/save", 405), ("/upload", 405)])
def test_unknown_addresses_get_a_page_with_an_error(client: FlaskClient, path: str, status: int) -> None:
    response = client.get(path)
    assert response.status_code == status
    assert "That did not work" in response.text


def test_an_error_of_the_program_shows_no_internal_details(
    app: Flask, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    library.methods.clear()
    response = visitor(app).get("/")
    assert response.status_code == 500
    assert "fault of the program" in response.text
    assert "Traceback" not in response.text and "StopIteration" not in response.text
    assert "StopIteration" in caplog.text


# Pictures.


def test_a_thumbnail_is_the_image_at_a_smaller_size(client: FlaskClient, library: Library) -> None:
    response = client.get(f"/thumbnails/{library.images['sea/3.png'].sha256}.webp")
    assert response.mimetype == "image/webp"
    with Image.open(io.BytesIO(response.data)) as image:
        assert image.size == (24, 24)
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path",
    [
        "/thumbnails/" + "0" * 64 + ".webp",
        "/thumbnails/..%2f..%2f..%2fetc%2fpasswd.webp",
        "/thumbnails/../../collection/sea/3.png",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/collection/sea/3.png",
        "/results/collection/images.csv",
    ],
)
def test_no_other_file_is_served(client: FlaskClient, path: str) -> None:
    assert client.get(path, follow_redirects=True).status_code == 404


def test_a_picture_that_is_not_the_recorded_one_is_not_shown(client: FlaskClient, library: Library) -> None:
    # A table of images from somebody else may name any picture on this machine.
    image = library.images["sea/6.png"]
    image.path.write_bytes(png())
    assert client.get(f"/thumbnails/{image.sha256}.webp").status_code == 404
    image.path.unlink()
    image.path.symlink_to(library.images["sea/3.png"].path)
    assert client.get(f"/thumbnails/{image.sha256}.webp").status_code == 404


def test_a_page_with_a_missing_picture_is_shown(client: FlaskClient, library: Library) -> None:
    image = library.images["sea/6.png"]
    image.path.unlink()
    assert client.get(f"/thumbnails/{image.sha256}.webp").status_code == 404
    assert client.get(SEARCH).status_code == 200


# Saving.


@pytest.mark.parametrize("strategy", ["rocchio", "nearest", "linear"])
def test_the_workflow_reproduces_a_saved_refinement(
    client: FlaskClient, library: Library, tmp_path: Path, strategy: str
) -> None:
    start = f"/search?method=unit&query=sea/0.png&k=5&strategy={strategy}"
    address = walk(client, start, "r.i", ".r.ii", "i.i")
    shown = [distances(client.get(re.sub("&at=2", f"&at={at}", address)).text) for at in range(3)]
    response = save(client, address, "my-first_1")
    assert response.status_code == 303
    # The last flags have not been used for a ranking yet: they are saved, and the page shows the next round.
    after = client.get(response.location)
    assert "Round 3" in after.text and "my-first_1.json" in after.text
    shown.append(distances(after.text))
    redone = redo(library, tmp_path / "feedback", "my-first_1")
    assert [result.distances.tolist() for result in redone] == shown
    # The weights are written out, so that another configuration changes nothing.
    content = json.loads((tmp_path / "feedback" / "my-first_1.json").read_text())
    assert (content["alpha"], content["beta"], content["gamma"]) == (1, 0.75, 0.15)


def test_a_saved_refinement_names_the_command_of_its_run(library: Library, tmp_path: Path) -> None:
    client = visitor(create_app(library, tmp_path / "feedback", "make run ARGS=\"--directory '../two words'\""))
    page = html.unescape(client.get(save(client, walk(client, SEARCH, "r"), "mine").location).text)
    assert "<code>make run ARGS=\"--directory '../two words'\"</code> writes" in page
    assert f"<code>{library.files.folder}/feedback/mine</code>" in page


def test_flags_already_used_are_saved_without_an_additional_round(client: FlaskClient, tmp_path: Path) -> None:
    response = save(client, walk(client, SEARCH, "r", ""), "x")
    assert "Round 1" in client.get(response.location).text
    content = json.loads((tmp_path / "feedback" / "x.json").read_text())
    assert len(content["rounds"]) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "empty"),
        ("a b", "letters without accents"),
        ("../x", "letters without accents"),
        ("x/y", "letters without accents"),
        (".x", "letters without accents"),
        ("-x", "letters without accents"),
        ("x.json", "letters without accents"),
        ("ü", "letters without accents"),
        ("x" * 65, "letters without accents"),
        ("x\x00", "letters without accents"),
        ("simulated", "simulated user"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(
    client: FlaskClient, tmp_path: Path, name: str, message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    response = save(client, walk(client, SEARCH, "r"), name)
    assert response.status_code == 400
    assert message in response.text
    # The search is still there, with its flags.
    assert pressed(response.text) == ["relevant-0"]
    assert sorted(tmp_path.rglob("*")) == before


def test_without_judgements_nothing_can_be_saved(client: FlaskClient) -> None:
    for rounds in ("", "_", "__"):
        response = save(client, f"{SEARCH}&rounds={rounds}", "x")
        assert response.status_code == 400
        assert "flag at least one image" in response.text


def test_an_existing_refinement_is_never_overwritten(client: FlaskClient, tmp_path: Path) -> None:
    write_json(tmp_path / "feedback" / "x.json", {"mine": 1})
    response = save(client, walk(client, SEARCH, "r"), "x")
    assert response.status_code == 400
    assert "already a refinement &#39;x&#39;" in response.text
    assert json.loads((tmp_path / "feedback" / "x.json").read_text()) == {"mine": 1}


def test_only_one_of_concurrent_saves_under_one_name_succeeds(app: Flask, tmp_path: Path) -> None:
    addresses = [walk(visitor(app), SEARCH, flags) for flags in ("r", "i", "rr", "ri", "ir", "ii", "rrr", "iii")]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda address: save(visitor(app), address, "x").status_code, addresses))
    assert sorted(found) == [303] + [400] * 7
    assert [path.name for path in (tmp_path / "feedback").iterdir()] == ["x.json"]


def test_a_failed_write_is_reported_and_leaves_no_file(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "feedback").write_text("a file in the place of the folder")
    response = save(client, walk(client, SEARCH, "r"), "x")
    assert response.status_code == 400
    assert "cannot be written" in response.text


def test_replaced_results_are_not_mixed_with_shown_ones(client: FlaskClient, results: Path, tmp_path: Path) -> None:
    address = walk(client, SEARCH, "r")
    (results / "features" / "tiny" / "train.h5").touch()
    response = save(client, address, "x")
    assert response.status_code == 400
    assert "replaced the results since this page was loaded" in response.text
    assert not (tmp_path / "feedback").exists()
    # The page has read the new results, and judgements of them can be saved.
    assert save(client, address, "x").status_code == 303


def test_replaced_results_are_read_again_and_announced(client: FlaskClient, results: Path) -> None:
    before = client.get(SEARCH).text
    assert 'class="notice"' not in before
    configure(results, k=3)
    after = client.get("/?category=sea").text
    assert "A run replaced the results a short time ago" in after
    assert "k=3&amp;" in after
    assert re.search('data-version="([^"]+)"', before).group(1) not in after
    # While a run changes the results, the page shows the old ones.
    (results / "features" / "tiny" / "train.h5").unlink()
    (results / "features" / "unit" / "train.h5").unlink()
    page = client.get(SEARCH)
    assert page.status_code == 200 and "A run is changing these results" in page.text
    response = save(client, walk(client, SEARCH, "r"), "x")
    assert response.status_code == 400 and "save when it has ended" in response.text


def test_concurrent_requests_do_not_disturb_each_other(app: Flask) -> None:
    addresses = [
        walk(visitor(app), f"/search?method={method}&query=sea/{number}.png&k=4&strategy={strategy}", "r.i", "iiii", "")
        for method in ("tiny", "unit")
        for strategy in ("rocchio", "nearest", "linear")
        for number in range(6)
    ]
    alone = [distances(visitor(app).get(address).text) for address in addresses]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda address: distances(visitor(app).get(address).text), addresses * 3))
    assert together == alone * 3


# Images from outside.


def test_an_uploaded_image_is_the_query_and_is_saved_with_its_bytes(
    client: FlaskClient, library: Library, tmp_path: Path
) -> None:
    data = png()
    response = upload(client, data, "../../my <b>.png")
    assert response.status_code == 303
    page = client.get(response.location).text
    assert "../../my &lt;b&gt;.png" in page
    # embed of (60, 60, 200): 60, 60, 200, 0, 1.
    expected = np.linalg.norm(library.methods["tiny"].gallery.features - np.array([60, 60, 200, 0, 1]), axis=1)
    np.testing.assert_allclose(distances(page), np.sort(expected)[:10], rtol=1e-6)
    assert client.get(re.search(r"/thumbnails/\w+\.webp", page).group(0)).mimetype == "image/webp"
    saved = client.get(save(client, link(page, "relevant-0"), "x").location).text
    folder = tmp_path / "feedback"
    refinement = read(folder / "x.json", library.methods, Weights(1, 0.75, 0.15))
    image = locate_query(refinement, library.images.keys(), folder)
    assert Path(image).read_bytes() == data
    assert Path(image).parent == folder / "images"
    vector = np.array([60, 60, 200, 0, 1], np.float32)
    redone = refine(library.methods["tiny"].gallery, refinement, vector, None, None)
    assert redone[1].distances.tolist() == distances(saved)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "empty"), (b"hello", "not an image in a supported format"), (png()[:60], "damaged or truncated")],
)
def test_a_bad_upload_is_reported_where_it_was_chosen(client: FlaskClient, data: bytes, message: str) -> None:
    response = upload(client, data, "<script>alert(1)</script>")
    assert response.status_code == 400
    assert message in response.text
    assert "<script>alert" not in response.text
    assert 'id="upload"' in response.text


def test_an_upload_that_is_too_large_is_refused_unread(client: FlaskClient) -> None:
    response = upload(client, bytes(20_100_000))
    assert response.status_code == 413
    assert "larger than 20 MB" in response.text


def test_an_upload_without_a_file(client: FlaskClient) -> None:
    response = client.post("/upload", headers=OWN, data={})
    assert response.status_code == 400
    assert "No file was chosen" in response.text


def test_the_page_shows_that_the_network_is_loading(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cbir.web.outside.OutsideImages.vector", lambda *arguments: None)
    response = upload(client, png())
    page = client.get(response.location).text
    assert "data-wait" in page
    # Without scripts the browser reloads the page by itself.
    assert '<noscript><meta http-equiv="refresh" content="1"></noscript>' in page


def test_loading_tensorflow_does_not_delay_pages(results: Path) -> None:
    code = """
import sys
from pathlib import Path
from cbir.web.app import create_app
from cbir.web.library import Library
from web.made import visitor
client = visitor(create_app(Library(sys.argv[1]), Path("feedback")))
for address in ("/", "/search?method=unit&query=sea/6.png&k=4"):
    assert client.get(address).status_code == 200
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(results)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# Accessibility.


@pytest.mark.parametrize("address", ["/", "/?category=sea", SEARCH, "/nowhere"])
def test_every_page_is_usable_without_pictures_and_scripts(client: FlaskClient, address: str) -> None:
    address = walk(client, address, "r.i", "") if address == SEARCH else address
    page = client.get(address).text
    assert '<html lang="en">' in page
    assert 'class="skip" href="#main"' in page
    assert re.search(r"<h1[ >]", page)
    assert len(re.findall(r"<title>[^<]+</title>", page)) == 1
    # Each picture has a text, each field a label, and each id is unique.
    assert all("alt=" in image for image in re.findall(r"<img[^>]*>", page))
    for field in re.findall(r'<input(?![^>]*type="hidden")[^>]*>', page):
        assert f'<label for="{re.search(r"id=.([a-z]+)", field).group(1)}"' in page
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert not re.search(r"\son\w+=|style=|javascript:", page)
    # Nothing is loaded from elsewhere.
    assert not re.search(r'(?:href|src|action)="(?:https?:)?//', page)


def test_without_categories_the_images_themselves_are_offered(results: Path, tmp_path: Path) -> None:
    forget_labels(results)
    client = visitor(create_app(Library(results), tmp_path / "feedback"))
    page = client.get("/").text
    assert '<h2 id="found" tabindex="-1">21 images</h2>' in page and page.count('<a class="tile"') == 21
    assert "ategor" not in page and "Test images" not in page
    assert '<span class="line soft"><bdi>sea</bdi>' in page
    assert "3 images for" in re.sub(r"<[^>]*>", "", client.get("/?search=6.png").text)
    page = client.get(SEARCH).text
    assert len(distances(page)) == 4
    assert "ategor" not in page and "An image of your own" not in page and "None" not in page
    # A judged image is neither right nor wrong, and the next round is shown.
    page = client.get(link(client.get(walk(client, SEARCH, "ri")).text, "next")).text
    assert 'id="round" tabindex="-1">Round 1' in page and "ategor" not in page
