"""States of the search page that the run of test_page.py does not have: on results made by hand, without a network."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.accessibility import faults
from browser.conftest import WINDOW, Visit, served, visited
from browser.test_page import PHONE, choose_method, pick, save, shown
from cbir.retrieval import outside
from conftest import picture
from web.made import detail, doubt, embed, learn, write_results


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run with doubtful labels, near-duplicates, a rejected file, a column to filter by, and a
    refinement that cannot be read."""
    root = tmp_path_factory.mktemp("made")
    results = write_results(root)
    detail(results)
    doubt(results)
    learn(results, "tiny", 0.5)
    (root / "feedback").mkdir()
    (root / "feedback" / "broken.json").write_text("{")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, "open_network", lambda path, fingerprint, batch: embed)
        yield root


@pytest.fixture(scope="module")
def address(made: Path) -> Iterator[str]:
    with served(made / "results") as address:
        yield address


def corrections(made: Path) -> list[str]:
    return (made / "corrections" / "folder.csv").read_text().splitlines()[1:]


def test_doubtful_labels_are_decided_on(visit: Visit, made: Path) -> None:
    page = visit.page
    page.get_by_role("link", name="Doubtful labels").click()
    expect(page.get_by_text("0 of 2 images reviewed")).to_be_visible()
    doubtful = page.locator(".doubt", has_text="sea/0.png")
    expect(doubtful).to_contain_text("8 of its 10 nearest images are apple, none is sea.")
    # The category that its neighbours suggest.
    expect(doubtful.get_by_label("Category to move to")).to_have_value("apple")
    doubtful.get_by_role("button", name="Move to").click()
    expect(page.get_by_text("1 of 2 images reviewed")).to_be_visible()
    expect(page.locator(".last")).to_contain_text("To be moved to apple")
    assert corrections(made) == ["sea/0.png,move,apple"]
    page.locator(".doubt", has_text="leaf/1.png").get_by_role("button", name="Label is right").click()
    expect(page.get_by_text("There is nothing left to review here.")).to_be_visible()
    page.get_by_role("link", name="Show reviewed images, too").click()
    for name in ("sea/0.png", "leaf/1.png"):
        page.locator(".doubt", has_text=name).get_by_role("button", name="Take back").click()
        expect(page.locator(".doubt", has_text=name).get_by_role("button", name="Label is right")).to_be_visible()
    assert corrections(made) == []


def test_copies_and_rejected_files_are_decided_on(visit: Visit, made: Path) -> None:
    page = visit.page
    page.get_by_role("link", name="Near-duplicates").click()
    expect(page.get_by_role("heading", name="Group 1: 2 images, in several categories")).to_be_visible()
    page.get_by_role("button", name="All stay as they are").click()
    expect(page.get_by_text("There is nothing left to review here.")).to_be_visible()
    page.get_by_role("link", name="Rejected files").click()
    page.locator(".doubt", has_text="sea/twice.png").get_by_role("button", name="Leave out").click()
    expect(page.get_by_text("There is nothing left to review here.")).to_be_visible()
    assert corrections(made) == ["apple/1.png,right,", "apple/2.png,right,", "sea/twice.png,exclude,"]
    for kind in ("Rejected files", "Near-duplicates"):
        page.get_by_role("link", name=kind).click()
        page.get_by_role("link", name="Show reviewed images, too").click()
        back = page.locator(".doubt").get_by_role("button", name="Take back")
        expect(back.first).to_be_visible()
        for left in reversed(range(back.count())):
            back.first.click()
            expect(back).to_have_count(left)
    assert corrections(made) == []


def test_results_are_narrowed(visit: Visit) -> None:
    page = visit.page
    pick(page)
    # With its name, and the probability that was learned.
    expect(page.locator("#card-0")).to_contain_text(re.compile(r"distance \d\.\d{3} · \d+ %"))
    with_copies = page.get_by_role("link", name=re.compile(r"Show \d near-duplicates?, too"))
    expect(page.locator(".copies").filter(visible=True)).to_have_text("+2 copies")
    with_copies.click()
    expect(page.get_by_role("link", name="Show near-duplicates once")).to_be_visible()
    expect(page.locator("#card-0 .copies")).to_have_count(0)
    page.get_by_label("Only camera").select_option("old")
    if not visit.scripts:
        page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("link", name="Show all")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query)["in-camera"] == ["old"]
    distances = shown(page)
    page.get_by_label("Distance at most").fill(f"{distances[1] + 1e-6:.7f}")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Only 2 match the filters.")).to_be_visible()
    assert shown(page) == distances[:2]
    page.get_by_label("Distance at most").fill("0")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No image matches the filters.")).to_be_visible()
    page.get_by_role("link", name="Show all").first.click()
    expect(page.locator("#card-9")).to_be_visible()


def test_several_images_are_searched_with_at_once(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    choose_method(page, "tiny")
    for number in range(2):
        picture(number, 5).save(tmp_path / f"own {number}.png")
    page.set_input_files("#image", [tmp_path / "own 0.png", tmp_path / "own 1.png"])
    page.get_by_role("button", name="Search with it").click()
    expect(page.get_by_role("heading", name="own 0.png")).to_be_visible()
    further = page.get_by_role("list", name="Further images of the query").get_by_role("listitem")
    expect(further).to_have_text([re.compile("own 1.png.*like this")])
    # A result that they are to be unlike.
    page.locator("#look-0").click()
    page.get_by_role("link", name="unlike this").click()
    expect(further).to_have_count(2)
    expect(further.nth(1)).to_contain_text("unlike this")
    further.nth(0).get_by_role("link", name="Leave own 1.png out").click()
    expect(further).to_have_count(1)
    expect(page.get_by_role("heading", name="own 0.png")).to_be_visible()


def test_a_path_of_this_machine_is_searched_with(visit: Visit, made: Path) -> None:
    page = visit.page

    def ask(path: str) -> None:
        if not page.get_by_label("Path or file://").is_visible():
            page.get_by_text("Or a path on the machine").click()
        page.get_by_label("Path or file://").fill(path)
        page.get_by_role("button", name="Search with this file").click()

    ask("/etc/hostname")
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("put the image there, or drop it here")
    visit.expect_refusal()
    ask((made / "collection" / "sea" / "6.png").as_uri())
    expect(page.get_by_role("heading", name="6.png")).to_be_visible()
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()


def test_methods_are_seen_side_by_side(visit: Visit) -> None:
    page = visit.page
    pick(page)
    page.get_by_role("link", name="All methods side by side").click()
    expect(page.get_by_role("heading", name="Methods side by side")).to_be_visible()
    lanes = page.get_by_role("heading", level=2)
    expect(lanes).to_have_text(["tiny", "unit"])
    lanes.get_by_role("link", name="unit").click()
    expect(page.locator("#method-unit")).to_have_attribute("aria-current", "true")


def test_colours_of_judgements_are_not_those_of_right_and_wrong(visit: Visit) -> None:
    page = visit.page
    pick(page)
    results = page.url
    page.locator("#relevant-0").click()
    page.locator("#irrelevant-1").click()
    expect(page.locator("#irrelevant-1")).to_have_attribute("aria-pressed", "true")
    parts = ".result.relevant, .result.irrelevant, .flag[aria-pressed=true]"
    judged = page.locator(parts).evaluate_all(BORDER)
    assert len(judged) == 4
    page.goto(results.replace("/search?", "/methods?"))
    known = page.locator(".strip a.right, .strip a.other").evaluate_all(BORDER)
    assert len(set(known)) == 2
    assert not set(judged) & set(known)


# Names that are cut off at the edge of their tile, and that no tooltip shows whole.
CUT = """[...document.querySelectorAll(".line")].filter(
    (line) => line.checkVisibility() && line.scrollWidth > line.clientWidth
        && !line.querySelector("[title]") && !line.closest("[title]"),
).map((line) => line.textContent)"""
BORDER = "found => found.map((one) => getComputedStyle(one).borderTopColor)"


def states(visit: Visit) -> Iterator[Page]:
    """Lead through pages in states that tests elsewhere do not look at; the page is looked at after each step."""
    page, home = visit.page, visit.page.url
    save_one(page)
    page.goto(home)
    yield page
    for words in ("sea", "nothing of the kind"):
        page.goto(f"{home}?search={words}")
        yield page
    page.set_input_files("#image", {"name": "notes.png", "mimeType": "image/png", "buffer": b"hello"})
    page.get_by_role("button", name="Search with it").click()
    expect(page.locator("#upload-error")).to_be_visible()
    visit.expect_refusal()
    yield page
    page.goto(home)
    pick(page)
    results = page.url
    for end in ("&in-camera=old&within=9", "&within=0"):
        page.goto(results + end)
        yield page
    # Distances with the scores of a strategy.
    page.goto(results.replace("=rocchio", "=linear"))
    page.locator("#relevant-0").click()
    page.locator("#irrelevant-9").click()
    expect(page.locator("#irrelevant-9")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Next round").click()
    # The first linear round loads scikit-learn.
    expect(page.locator(".score").first).to_be_visible(timeout=120_000)
    yield page
    for kind in ("labels", "copies", "rejected"):
        page.goto(f"{home}review/{kind}")
        yield page
    page.goto(f"{home}review/labels")
    page.locator(".doubt").first.get_by_role("button", name="Label is right").click()
    expect(page.locator(".last")).to_be_visible()
    yield page
    page.get_by_role("link", name="Show reviewed images, too").click()
    expect(page.get_by_role("button", name="Take back")).to_be_visible()
    yield page
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("button", name="Take back")).to_have_count(0)
    page.goto(f"{home}search?method=tiny&query=none")
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    visit.expect_refusal()
    yield page
    # Last, because the dialog stays open: with a box drawn on the picture.
    page.goto(results)
    page.locator("#look-0").click()
    expect(page.locator("#whole")).not_to_have_js_property("naturalWidth", 0)
    around = page.locator("#whole").bounding_box()
    page.mouse.move(around["x"] + around["width"] / 2, around["y"] + around["height"] / 2)
    page.mouse.down()
    page.mouse.move(around["x"] + 0.6 * around["width"], around["y"] + 0.6 * around["height"])
    page.mouse.up()
    expect(page.locator(".box")).to_be_visible()
    yield page


def save_one(page: Page) -> None:
    """Save a refinement, unless an earlier visit has."""
    if page.get_by_role("link", name="Open one", exact=True).count():
        return
    pick(page)
    page.locator("#relevant-0").click()
    save(page, "one")
    expect(page.locator("#saved")).to_be_visible()


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_has_a_serious_fault_of_accessibility(chromium: Browser, address: str, scheme: str) -> None:
    # axe is put into the page, whose policy admits no script but its own.
    with visited(chromium, address, WINDOW | {"bypass_csp": True, "color_scheme": scheme}) as visit:
        for page in states(visit):
            unfold(page)
            assert faults(page) == [], page.url


def test_no_state_scrolls_sideways_on_a_phone(chromium: Browser, address: str) -> None:
    with visited(chromium, address, PHONE | {"has_touch": False, "is_mobile": False}) as visit:
        for page in states(visit):
            unfold(page)
            assert page.evaluate("document.documentElement.scrollWidth") == 390, page.url
            # The dialog scrolls by itself.
            assert page.evaluate("large.scrollWidth <= large.clientWidth"), page.url
            assert page.evaluate(CUT) == [], page.url
        # The last state is the dialog, whose button covers no part of the room of the picture.
        button, frame = (page.locator(f"#large {part}").bounding_box() for part in (".close", ".frame"))
        assert button["y"] + button["height"] <= frame["y"]
