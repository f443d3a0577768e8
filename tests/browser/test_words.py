"""The search for words in a real browser, with a tiny random CLIP preset."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from browser.conftest import WINDOW, Visit, served, visited
from browser.test_page import choose_method, shown
from encoders.test_texts import Families, write_results_with_texts


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("words")
    return write_results_with_texts(root, Families(root / "presets")["CLIP"])


@pytest.fixture(scope="module")
def address(results: Path) -> Iterator[str]:
    with served(results) as address:
        yield address


@pytest.mark.parametrize("way", ["button", "enter"])
def test_words_find_images(visit: Visit, way: str) -> None:
    page = visit.page
    # A method without texts: the box says which method it uses.
    choose_method(page, "tiny")
    expect(page.locator("#text-form")).to_contain_text("searched with angle")
    choose_method(page, "clip")
    words = page.get_by_label("say in words")
    words.fill("a red bird")
    if way == "button":
        page.get_by_role("button", name="Look for it").click()
    else:
        words.press("Enter")
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("a red bird")
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["method"], asked["text"]) == (["clip"], ["a red bird"])
    distances = shown(page)
    assert len(distances) == 10 and distances == sorted(distances)
    # Other words beside the results.
    words = page.get_by_label("Look for other words")
    expect(words).to_have_value("a red bird")
    words.fill("the sea")
    words.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("the sea")
    assert shown(page) != distances
    # A round of feedback, which cannot be saved.
    page.locator("#relevant-0").click()
    page.get_by_role("link", name="Next round").click()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    expect(page.get_by_text("a search for words is not saved")).to_be_visible()
    expect(page.get_by_label("Save the flags")).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_of_a_preset_that_is_gone_one_sentence_is_shown(chromium: Browser, results: Path, scripts: bool) -> None:
    preset = results.parent / "presets" / "CLIP"
    options = WINDOW | {"java_script_enabled": scripts}
    with served(results) as address, visited(chromium, address, options) as visit:
        expect(visit.page.get_by_label("say in words")).to_be_visible()
        preset.rename(preset.with_name("away"))
        try:
            visit.page.get_by_label("say in words").fill("a red bird")
            visit.page.keyboard.press("Enter")
            said = visit.page.get_by_role("alert").filter(visible=True)
            expect(said).to_contain_text(f"The folder {preset} holds no preset of keras-hub", timeout=120_000)
            assert said.inner_text().count(". ") == 0
            visit.expect_refusal()
            # A server that starts now has no box, and says why.
            with served(results) as later, visited(chromium, later, options) as anew:
                expect(anew.page.locator("#no-texts")).to_contain_text(f"put the folder {preset} back, and start again")
                expect(anew.page.locator("#text-form")).to_have_count(0)
        finally:
            preset.with_name("away").rename(preset)
