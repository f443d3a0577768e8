"""Which results are shown: filters, a largest distance, near-duplicates once, and the category of an unknown image."""

import html
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from cbir.collection.columns import IMAGE_COLUMNS
from cbir.files.tables import read_csv, write_csv
from cbir.web.app import create_app
from cbir.web.library import Library
from web import test_app
from web.made import detail, visitor
from web.test_app import SEARCH, distances, link, save, upload

ALL = SEARCH.replace("k=4", "k=17")


@pytest.fixture
def detailed(results: Path, tmp_path: Path, network: list[Path]) -> FlaskClient:
    """Return a run with what `detail` adds."""
    detail(results)
    return visitor(create_app(Library(results), tmp_path / "feedback"))


def shown_images(page: str) -> list[str]:
    return [html.unescape(name).replace("\\u202e", "\u202e") for name in test_app.shown_images(page)]


def ranked(library: Library, query: str = "sea/6.png") -> list[str]:
    """Return the gallery by distance, computed independently."""
    method = library.methods["tiny"]
    gap = np.linalg.norm(method.gallery.features.astype(float) - method.vectors[query].astype(float), axis=1)
    return [method.gallery.image_ids[row] for row in np.argsort(gap)]


def test_a_category_and_a_column_of_the_list_filter_the_results(detailed: FlaskClient, library: Library) -> None:
    order = [name for name in ranked(library) if name not in ("sea/1.png", "sea/2.png")]
    page = detailed.get(f"{SEARCH}&in-category=apple").text
    assert shown_images(page) == [name for name in order if name.startswith("apple")][:4]
    assert "<option selected>apple</option>" in page
    both = shown_images(detailed.get(f"{ALL}&in-category=apple&in-camera=old").text)
    assert sorted(both) == ["apple/1.png", "apple/3.png", "apple/5.png"]
    # A value that no image has, and a column that cannot be a filter.
    assert "No image matches" in detailed.get(f"{SEARCH}&in-category=moon").text
    assert detailed.get(f"{SEARCH}&in-sha256=1").status_code == 400


def test_each_of_several_categories_counts(results: Path, tmp_path: Path, network: list[Path]) -> None:
    table = read_csv(results / "collection" / "images.csv", IMAGE_COLUMNS)
    table["category"] = [f"{name} / wet" if name == "sea" else name for name in table["category"]]
    write_csv(results / "collection" / "images.csv", table)
    client = visitor(create_app(Library(results), tmp_path / "feedback"))
    page = client.get(f"{ALL}&in-category=wet").text
    assert {name.split("/")[0] for name in shown_images(page)} == {"sea"}
    assert "<option>sea</option>" in page and "<option selected>wet</option>" in page
    answer = client.get(upload(client, png_of((0, 0, 0))).location).text
    votes = re.findall(r"(\d+)(?: of the 10 nearest images are)? <bdi>(\w+)</bdi>", answer)
    counted = {name: int(count) for count, name in votes}
    assert counted["sea"] == counted["wet"] > 0


def test_flags_and_rounds_work_with_a_filter(detailed: FlaskClient) -> None:
    page = detailed.get(f"{SEARCH}&in-category=apple").text
    flagged = shown_images(page)[2]
    after = detailed.get(link(detailed.get(link(page, "relevant-2")).text, "next")).text
    assert {name.split("/")[0] for name in shown_images(after)} == {"apple"}
    assert "1 relevant, 0 irrelevant" in after
    assert flagged in shown_images(after)


def test_results_end_at_the_largest_distance(detailed: FlaskClient) -> None:
    far = distances(detailed.get(ALL).text)
    near = distances(detailed.get(f"{ALL}&within={far[3] + 1e-9:.9f}").text)
    assert near == far[:4]
    assert "No image matches" in detailed.get(f"{ALL}&within=0").text
    assert detailed.get(f"{ALL}&within=x").status_code == 400


def test_with_a_filter_an_approximate_index_is_searched_for_more_results(
    library: Library, tmp_path: Path, monkeypatch
) -> None:
    whole = visitor(create_app(library, tmp_path))
    addresses = [SEARCH, f"{SEARCH}&in-category=apple", f"{ALL}&within=3", f"{ALL}&in-category=leaf"]
    expected = [distances(whole.get(address).text) for address in addresses]
    method = library.methods["tiny"]
    requested = []

    class Index:
        rows = len(method.gallery.image_ids)

        def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
            requested.append(k)
            gaps = np.linalg.norm(method.gallery.features.astype(float) - queries[0], axis=1)
            order = np.argsort(gaps, kind="stable")[:k]
            return gaps[order][None], order[None]

    monkeypatch.setattr("cbir.web.searches._MORE", (9, 12))
    object.__setattr__(method.gallery, "index", Index())
    short = visitor(create_app(library, tmp_path))
    assert [distances(short.get(address).text) for address in addresses] == expected
    assert len(expected[1]) == 4 and len(expected[3]) == 6
    # A search without a filter requests once one result more than it shows.
    requested.clear()
    short.get(SEARCH.replace("sea/6", "leaf/6"))
    assert requested == [5]


def test_near_duplicates_are_one_result_with_a_count(detailed: FlaskClient, library: Library) -> None:
    order = ranked(library)
    copies = {"sea/0.png", "sea/1.png", "sea/2.png"}
    first = next(name for name in order if name in copies)
    expected = [name for name in order if name not in copies - {first}]
    page = detailed.get(SEARCH).text
    assert shown_images(page) == expected[:4]
    assert shown_images(detailed.get(ALL).text) == expected
    assert "+2 copies" in detailed.get(ALL).text and "Show 2 near-duplicates, too" in detailed.get(ALL).text
    everything = detailed.get(link(detailed.get(ALL).text, "copies")).text
    assert shown_images(everything) == order[:17]
    assert "copies</span>" not in everything
    # The query itself is not counted as a copy.
    assert "+1 copy" in detailed.get(ALL.replace("sea/6.png", "sea/1.png")).text


def test_the_most_likely_category_of_an_unknown_image_is_shown_first(client: FlaskClient, library: Library) -> None:
    page = client.get(upload(client, png_of((200, 30, 90))).location).text
    answer = re.search('<p class="answer"[^>]*>(.*?)</p>', page, re.DOTALL).group(1)
    # embed gives mean red, green and blue, red minus green, and 1.
    vector = np.array([200, 30, 90, 170, 1], float)
    method = library.methods["tiny"]
    gap = np.sort(np.linalg.norm(method.gallery.features - vector, axis=1))
    order = np.argsort(np.linalg.norm(method.gallery.features - vector, axis=1))[:10]
    votes = Counter(method.gallery.categories[order].tolist()).most_common()
    assert f"{votes[0][1]} of the 10 nearest images are <bdi>{votes[0][0]}</bdi>" in answer
    # The gallery is within a few units of the origin, so this is further away than any known image.
    assert "far from everything" in answer and f"distance {gap[0]:.3f}" in answer
    assert "further than for 100 %" in answer
    assert 'id="answer"' not in client.get(SEARCH).text


def png_of(colour: tuple[int, int, int]) -> bytes:
    from web.test_outside import png

    return png(colour)


def test_usual_distances_are_those_of_images_outside_the_gallery(library: Library) -> None:
    method = library.methods["tiny"]
    outside = [name for name in method.vectors if name.endswith("/6.png")]
    gaps = [np.linalg.norm(method.gallery.features - method.vectors[name], axis=1).min() for name in outside]
    np.testing.assert_allclose(method.usual, np.sort(gaps), rtol=1e-6)


def test_a_search_with_a_part_of_an_image_saves_that_part(
    client: FlaskClient, library: Library, tmp_path: Path
) -> None:
    sea = library.images["sea/6.png"]
    part = f"/part/{sea.sha256}?method=tiny&k=4&left=25&top=0&width=50&height=100"
    response = client.get(part)
    assert response.status_code == 303 and "box=250,0,500,1000" in response.location
    page = client.get(response.location).text
    assert "part of 6.png" in page
    from PIL import Image

    from web.made import embed

    with Image.open(sea.path) as image:
        pixels = np.asarray(image.convert("RGB").crop((6, 0, 18, 24)).resize((224, 224), Image.Resampling.BILINEAR))
    vector = embed(pixels[None])[0]
    expected = np.sort(np.linalg.norm(library.methods["tiny"].gallery.features - vector, axis=1))[:4]
    np.testing.assert_allclose(distances(page), expected, rtol=1e-5)
    save(client, link(page, "relevant-0"), "part")
    [image] = (tmp_path / "feedback" / "images").iterdir()
    assert image.name.startswith("part_of_6-")
    with Image.open(image) as saved:
        assert saved.size == (12, 24)


@pytest.mark.parametrize("numbers", ["left=90&top=0&width=0&height=9", "left=x", "left=0&top=0&width=nan&height=1", ""])
def test_an_invalid_part_of_an_image_is_refused(client: FlaskClient, library: Library, numbers: str) -> None:
    response = client.get(f"/part/{library.images['sea/6.png'].sha256}?method=tiny&{numbers}")
    assert response.status_code == 400 and "draw the part again" in response.text


def test_a_search_with_several_images(client: FlaskClient, library: Library) -> None:
    method = library.methods["tiny"]
    keys = {name: library.images[name].sha256[:12] for name in ("sea/0.png", "apple/0.png")}
    page = client.get(f"{SEARCH}&also=r{keys['sea/0.png']}_i{keys['apple/0.png']}").text
    like = np.mean([method.vectors["sea/6.png"], method.vectors["sea/0.png"]], axis=0, dtype=float)
    vector = like - 0.15 * method.vectors["apple/0.png"]
    expected = np.sort(np.linalg.norm(method.gallery.features - vector, axis=1))[:4]
    np.testing.assert_allclose(distances(page), expected, rtol=1e-6)
    # One can be removed again; a saved search has a single query image.
    assert client.get(re.search('href="([^"]+)"[^>]*aria-label="Leave 0.png out"', page).group(1).replace("&amp;", "&"))
    refused = save(client, link(page, "relevant-0"), "x")
    assert refused.status_code == 400 and "one query image" in refused.text


def test_methods_are_shown_side_by_side(client: FlaskClient, library: Library) -> None:
    page = client.get(link(client.get(SEARCH).text, "side-by-side")).text
    lanes = page.split('class="lane"')[1:]
    assert [re.search("<bdi>(.*?)</bdi>", lane).group(1) for lane in lanes] == ["tiny", "unit"]
    for name, lane in zip(("tiny", "unit"), lanes, strict=True):
        method = library.methods[name]
        gap = np.linalg.norm(method.gallery.features - method.vectors["sea/6.png"], axis=1)
        expected = [method.gallery.image_ids[row] for row in np.argsort(gap)[:10]]
        assert [name.replace("&amp;", "&") for name in re.findall('title="([^"]+)"', lane)][:3] == expected[:3]


def test_the_best_method_is_the_first(results: Path, tmp_path: Path) -> None:
    from cbir.files.tables import write_json

    for name, anmrr in (("tiny", 0.4), ("unit", 0.2)):
        write_json(results / "evaluation" / name / "summary.json", {"method": name, "anmrr": anmrr, "accuracy": 0.5})
    library = Library(results)
    assert list(library.methods) == ["unit", "tiny"] and library.best == "unit"
    page = visitor(create_app(library, tmp_path / "feedback")).get("/").text
    assert re.search('id="method-unit"[^>]*aria-current="true"', page)
    assert "ranks best on this run" in page
