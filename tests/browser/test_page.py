"""The search page in a browser, and the workflow's results of refinements that are saved there."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from browser.accessibility import faults
from browser.conftest import WINDOW, Visit, visited
from workplace import Workplace

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def shown(page: Page) -> list[float]:
    """Return the distances on the page, to the last digit."""
    return page.locator(".distance").evaluate_all("found => found.map((one) => Number(one.value))")


def pick(page: Page, category: str = "sea") -> None:
    page.get_by_role("link", name=category).click()
    expect(page.get_by_role("heading", name=f"in {category}")).to_be_visible()
    page.locator(".tile").first.click()
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()


def choose_method(page: Page, name: str) -> None:
    """Click a method's link and wait for its page; the first method is marked as current before the click too."""
    change(page, f"#method-{name}")
    expect(page).to_have_url(re.compile(rf"[?&]method={name}(&|$)"))
    expect(page.locator(f"#method-{name}")).to_have_attribute("aria-current", "true")


def change(page: Page, control: str) -> None:
    """Click a control; the controls are folded after the first round."""
    if not page.locator(control).is_visible():
        page.locator("#controls > summary").click()
    page.locator(control).click()


def anew(page: Page) -> None:
    page.get_by_role("link", name="Another query").click()
    expect(page.get_by_role("heading", name="Image search")).to_be_visible()


def save(page: Page, name: str) -> None:
    page.get_by_label("Save the flags").fill(name)
    page.get_by_role("button", name="Save").click()


def made(place: Workplace, *names: str) -> list[list[list[float]]]:
    """Run the workflow; return the distances of each refinement's rounds."""
    files = [f"results/feedback/{name}/rounds.json" for name in names]
    done = place.run(*files)
    assert done.status == 0, done.output
    records = [json.loads((place.folder / file).read_text()) for file in files]
    return [[[item["distance"] for item in one["results"]] for one in record["rounds"]] for record in records]


@pytest.mark.parametrize("way", ["button", "enter"])
def test_a_search_by_name_finds_its_images(visit: Visit, way: str) -> None:
    page = visit.page
    choose_method(page, "compact")
    page.get_by_label("Find an image").fill("sea 0")
    if way == "button":
        page.get_by_role("button", name="Find").click()
    else:
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="1 image for")).to_be_visible()
    assert parse_qs(urlsplit(page.url).query) == {"method": ["compact"], "search": ["sea 0"]}
    expect(page.get_by_label("Find an image")).to_have_value("sea 0")
    expect(page.locator("#method-compact")).to_have_attribute("aria-current", "true")
    page.locator(".tile").click()
    expect(page.get_by_role("heading", name="0.png")).to_be_visible()


def test_without_an_encoder_of_texts_there_is_no_box_for_words(visit: Visit) -> None:
    expect(visit.page.get_by_label("Find an image")).to_be_visible()
    expect(visit.page.locator("#text-form, #no-texts")).to_have_count(0)


def test_refinements_by_mouse_and_by_keyboard_equal_those_of_the_workflow(visit: Visit, place: Workplace) -> None:
    page, kind = visit.page, "scripts" if visit.scripts else "plain"
    pick(page)
    rounds = [shown(page)]
    # By mouse.
    page.locator("#relevant-0").click()
    page.locator("#irrelevant-2").click()
    expect(page.locator("#irrelevant-2")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Next round").click()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    rounds.append(shown(page))
    if visit.scripts:
        # By keyboard.
        expect(page.get_by_role("heading", name="Round 1")).to_be_focused()
        page.locator("#relevant-0").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#relevant-1")).to_be_focused()
        page.keyboard.press("i")
        expect(page.locator("#card-1")).to_have_class("result irrelevant")
        page.keyboard.press("n")
    else:
        page.locator("#irrelevant-1").click()
        page.get_by_role("link", name="Next round").click()
    expect(page.get_by_role("heading", name="Round 2")).to_be_visible()
    rounds.append(shown(page))
    # Back and forward show the earlier pages.
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    assert shown(page) == rounds[1]
    expect(page.locator("#irrelevant-1")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name="Forward").click()
    expect(page.get_by_role("heading", name="Round 2")).to_be_visible()
    save(page, f"by-hand-{kind}")
    expect(page.locator("#saved")).to_contain_text(f"feedback/folder/by-hand-{kind}.json")
    # Also with the derived method and the other strategies.
    names = [f"by-hand-{kind}"]
    expected = [rounds]
    for method, strategy in (("compact", "nearest"), ("siamese", "linear classifier")):
        anew(page)
        choose_method(page, method)
        pick(page)
        page.get_by_role("link", name=strategy).click()
        expect(page.get_by_role("link", name=strategy)).to_have_attribute("aria-current", "true")
        rounds = [shown(page)]
        page.locator("#relevant-1").click()
        page.locator("#irrelevant-0").click()
        page.get_by_role("link", name="Next round").click()
        expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
        rounds.append(shown(page))
        names.append(f"by-{method}-{kind}")
        save(page, names[-1])
        expect(page.locator("#saved")).to_contain_text(names[-1])
        expected.append(rounds)
    assert made(place, *names) == expected


@pytest.mark.parametrize("rounds", [0, 1])
@pytest.mark.parametrize("control", ["#method-siamese", "#strategy-nearest", "#k-5"])
def test_another_ranking_keeps_the_flags(visit: Visit, control: str, rounds: int) -> None:
    page = visit.page
    pick(page)
    for flag in ("#relevant-0", "#relevant-1", "#irrelevant-6"):
        page.locator(flag).click()
        expect(page.locator(flag)).to_have_attribute("aria-pressed", "true")
    flagged = page.locator(".result.relevant, .result.irrelevant").locator(".line a")
    names = sorted(flagged.evaluate_all("found => found.map((one) => one.title)"))
    if rounds:
        page.get_by_role("link", name="Next round").click()
        expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    change(page, control)
    expect(page.locator(control)).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("heading", name=("Nearest images", "Round 1")[rounds])).to_be_visible()
    expect(page.locator(".tally")).to_contain_text("✓ 2 ✗ 1")
    if control == "#k-5":
        change(page, "#k-10")
        expect(page.locator("#k-10")).to_have_attribute("aria-current", "true")
    kept = sorted(flagged.evaluate_all("found => found.map((one) => one.title)"))
    if kept != names:
        # A judged image may now rank below the results; the page states the number of such images.
        assert set(kept) < set(names)
        expect(page.locator(".tally")).to_contain_text(f"{len(names) - len(kept)} of them not among these results")


def test_uploading_an_image_by_choosing_and_by_dropping(visit: Visit, place: Workplace, photograph: Path) -> None:
    page = visit.page
    choose_method(page, "siamese")
    choose(page, photograph)
    expect(page.locator("#results")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", name="from elsewhere.png")).to_be_visible()
    chosen = shown(page)
    anew(page)
    choose_method(page, "compact")
    if visit.scripts:
        drop(page, photograph)
    else:
        choose(page, photograph)
    expect(page.locator("#results")).to_be_visible(timeout=120_000)
    second = [shown(page)]
    page.locator("#relevant-0").click()
    page.locator("#irrelevant-3").click()
    page.get_by_role("link", name="Next round").click()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    second.append(shown(page))
    name = "dropped" if visit.scripts else "chosen"
    save(page, name)
    expect(page.locator("#saved")).to_be_visible()
    choose_method(page, "siamese")
    page.locator("#step-0").click()
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()
    assert shown(page) == chosen
    # Features of one image made in another batch may differ in the last bits of float32.
    np.testing.assert_allclose(made(place, name)[0], second, rtol=1e-5)


def choose(page: Page, path: Path) -> None:
    page.set_input_files("#image", path)
    page.get_by_role("button", name="Search with it").click()


def drop(page: Page, path: Path) -> None:
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            return transfer;
        }""",
        [path.name, list(path.read_bytes())],
    )
    page.dispatch_event("main", "dragover", {"dataTransfer": transfer})
    expect(page.locator("body")).to_have_class("dropping")
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("notes.png", b"hello", "not an image in a supported format"),
        ("empty.png", b"", "empty"),
        ("<img src=x onerror=alert(1)>.png", b"\x89PNG\r\n\x1a\n", "cannot be used"),
    ],
)
def test_the_error_of_a_bad_upload_is_shown_beside_the_field(
    visit: Visit, name: str, data: bytes, message: str
) -> None:
    page = visit.page
    page.set_input_files("#image", {"name": name, "mimeType": "image/png", "buffer": data})
    page.get_by_role("button", name="Search with it").click()
    expect(page.get_by_role("alert")).to_contain_text(message)
    if visit.scripts:
        expect(page.locator("#image")).to_be_focused()
    expect(page.locator("#image")).to_have_attribute("aria-invalid", "true")
    visit.expect_refusal()


def test_a_file_that_is_too_large_is_not_sent(scripted: Visit, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(20_000_001))
    page = scripted.page
    page.set_input_files("#image", tmp_path / "large.png")
    page.get_by_role("button", name="Search with it").click()
    expect(page.get_by_role("alert")).to_contain_text("larger than 20 MB")


def test_flags_are_set_without_loading_a_page_and_are_announced(scripted: Visit) -> None:
    page = scripted.page
    pick(page)
    page.evaluate("window.picture = document.querySelector('.result img')")
    flag = page.get_by_role("button", name=re.compile("^Relevant: result 2,"))
    flag.focus()
    page.keyboard.press("Space")
    expect(flag).to_have_attribute("aria-pressed", "true")
    expect(flag).to_be_focused()
    expect(page.get_by_role("status").first).to_contain_text("Result 2:")
    expect(page.get_by_role("status").first).to_contain_text("relevant. 1 relevant, 0 irrelevant.")
    page.keyboard.press("Enter")
    expect(flag).to_have_attribute("aria-pressed", "false")
    # Neither the page nor its pictures were loaded again.
    assert page.evaluate("window.picture.isConnected")


def test_no_flag_is_lost_with_keys_pressed_quickly(scripted: Visit) -> None:
    page = scripted.page
    pick(page)
    page.locator("#relevant-0").focus()
    for key in ("r", "ArrowRight", "i", "ArrowRight", "r", "ArrowRight", "i", "n"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    page.keyboard.press("b")
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()
    pressed = page.locator('[aria-pressed="true"]').evaluate_all("found => found.map((one) => one.id)")
    assert pressed == ["relevant-0", "irrelevant-1", "relevant-2", "irrelevant-3"]


def test_letters_are_shortcuts_only_on_a_result(scripted: Visit) -> None:
    page = scripted.page
    pick(page)
    page.get_by_label("Save the flags").press_sequentially("rinbf")
    expect(page.get_by_label("Save the flags")).to_have_value("rinbf")
    expect(page.locator('[aria-pressed="true"]')).to_have_count(0)


def test_the_focus_is_visible(visit: Visit) -> None:
    page = visit.page
    pick(page)
    page.keyboard.press("Tab")
    outline = page.evaluate(
        """() => {
            const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
            return [outlineStyle, outlineWidth];
        }"""
    )
    assert outline == ["solid", "2px"]


def test_back_forward_and_reload_keep_everything(visit: Visit) -> None:
    page = visit.page
    pick(page)
    first = shown(page)
    page.locator("#relevant-1").click()
    page.get_by_role("link", name="Next round").click()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    second = shown(page)
    page.reload()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    assert shown(page) == second
    page.go_back()
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()
    assert shown(page) == first
    expect(page.locator("#relevant-1")).to_have_attribute("aria-pressed", "true")
    page.go_forward()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()


def test_two_tabs_do_not_disturb_each_other(visit: Visit) -> None:
    page = visit.page
    pick(page)
    other = page.context.new_page()
    other.goto(page.url)
    page.locator("#relevant-0").click()
    expect(page.locator("#relevant-0")).to_have_attribute("aria-pressed", "true")
    other.locator("#irrelevant-1").click()
    expect(other.locator("#irrelevant-1")).to_have_attribute("aria-pressed", "true")
    expect(other.locator("#relevant-0")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#irrelevant-1")).to_have_attribute("aria-pressed", "false")


def test_a_taken_or_invalid_name_is_reported_and_the_flags_stay(visit: Visit, place: Workplace) -> None:
    page = visit.page
    pick(page)
    page.locator("#relevant-0").click()
    save(page, "../up")
    expect(page.get_by_role("alert")).to_contain_text("letters without accents")
    if visit.scripts:
        expect(page.get_by_label("Save the flags")).to_be_focused()
    visit.expect_refusal()
    (place.folder / "feedback" / "folder").mkdir(parents=True, exist_ok=True)
    (place.folder / "feedback" / "folder" / "taken.json").write_text("{}")
    save(page, "taken")
    expect(page.get_by_role("alert")).to_contain_text("already a refinement")
    expect(page.locator("#relevant-0")).to_have_attribute("aria-pressed", "true")
    visit.expect_refusal()
    (place.folder / "feedback" / "folder" / "taken.json").unlink()


@pytest.mark.window(**PHONE)
def test_a_narrow_screen_needs_no_horizontal_scrolling(visit: Visit) -> None:
    page = visit.page

    def fits() -> bool:
        return page.evaluate("document.documentElement.scrollWidth <= innerWidth && innerWidth === 390")

    assert fits()
    pick(page)
    assert fits()
    for number in range(3):
        page.locator(f"#relevant-{number}").tap()
    expect(page.locator("#relevant-2")).to_have_attribute("aria-pressed", "true")
    # Large enough for touch.
    assert page.locator("#relevant-2").bounding_box()["height"] >= 44
    page.get_by_role("link", name="Next round").tap()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    assert fits()


@pytest.mark.parametrize(
    "scheme", [pytest.param(scheme, marks=pytest.mark.window(color_scheme=scheme)) for scheme in ("light", "dark")]
)
def test_text_has_enough_contrast(visit: Visit, scheme: str) -> None:
    page = visit.page
    pick(page)
    page.locator("#relevant-0").click()
    page.locator("#irrelevant-1").click()
    expect(page.locator("#irrelevant-1")).to_have_attribute("aria-pressed", "true")
    # WCAG 2.2, success criterion 1.4.3: at least 4.5 to 1.
    weak = page.evaluate(
        """() => {
            const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
            const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
            const ground = (element) => {
                for (let at = element; at; at = at.parentElement) {
                    const colour = parse(getComputedStyle(at).backgroundColor);
                    if ((colour[3] ?? 1) === 1) return colour;
                }
            };
            const found = [];
            for (const element of document.querySelectorAll("main *")) {
                const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
                if (!text || !element.checkVisibility() || element.closest(".unseen, .off, .picture")) continue;
                const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
                const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
                if (ratio < 4.5) found.push([element.outerHTML.slice(0, 80), ratio]);
            }
            return found;
        }"""
    )
    assert weak == []


def test_a_server_that_does_not_answer_is_reported(scripted: Visit) -> None:
    page = scripted.page
    pick(page)
    page.route(re.compile("/search"), lambda route: route.abort())
    page.locator("#relevant-0").click()
    expect(page.get_by_text("The server does not answer")).to_be_visible()
    scripted.errors.clear()


def test_a_picture_opens_large_with_links_to_others(visit: Visit) -> None:
    page = visit.page
    pick(page)
    first = page.locator("#card-0 .line a").inner_text()
    page.locator("#look-0").click()
    expect(page.get_by_role("heading", name=first)).to_be_visible()
    expect(page.get_by_role("link", name="Open original")).to_be_visible()
    if visit.scripts:
        # By keys in the dialog: the next result, a flag, and back to the result.
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(
            page.locator("#card-1 .line a").inner_text()
        )
        page.keyboard.press("r")
        expect(page.locator("#card-1")).to_have_class("result relevant")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#look-1")).to_be_focused()
        page.locator("#look-0").click()
    page.get_by_role("link", name="Similar to this").click()
    expect(page.get_by_role("heading", name=first)).to_be_visible()
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()


def test_a_search_with_a_part_of_a_picture(visit: Visit) -> None:
    page = visit.page
    pick(page)
    page.locator("#look-query").click()
    expect(page.locator("#whole")).to_be_visible()
    if visit.scripts:
        expect(page.locator("#whole")).not_to_have_js_property("naturalWidth", 0)
        around = page.locator("#whole").bounding_box()
        # The picture is a square in the middle of its element.
        side = min(around["width"], around["height"])
        left, top = (around[name] + (around[length] - side) / 2 for name, length in (("x", "width"), ("y", "height")))
        page.mouse.move(left + side / 4, top + side / 2)
        page.mouse.down()
        page.mouse.move(left + side / 2, top + side)
        page.mouse.up()
        numbers = [float(page.locator(f"#{name}").input_value()) for name in ("left", "top", "width", "height")]
        np.testing.assert_allclose(numbers, [25, 50, 25, 50], atol=1)
    else:
        page.get_by_label("Width").fill("25")
    page.get_by_role("button", name="Search with the part").click()
    expect(page.locator("#answer")).to_contain_text("nearest images are", timeout=120_000)
    expect(page.get_by_role("heading", name="part of")).to_be_visible()


def test_a_picture_can_be_pasted(scripted: Visit, photograph: Path) -> None:
    page = scripted.page
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
            dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
        }""",
        list(photograph.read_bytes()),
    )
    expect(page.locator("#results")).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", name="pasted.png")).to_be_visible()


def test_flags_can_be_undone_one_by_one_or_cleared_together(scripted: Visit) -> None:
    page = scripted.page
    pick(page)
    expect(page.locator("#undo")).to_be_hidden()
    page.locator("#relevant-0").focus()
    for key in ("r", "ArrowRight", "i"):
        page.keyboard.press(key)
    expect(page.locator("#card-1")).to_have_class("result irrelevant")
    page.keyboard.press("u")
    expect(page.locator("#card-1")).to_have_class("result ")
    expect(page.locator("#card-0")).to_have_class("result relevant")
    page.locator("#undo").click()
    expect(page.locator("#card-0")).to_have_class("result ")
    page.locator("#relevant-2").click()
    page.get_by_role("link", name="Clear flags").click()
    expect(page.locator('[aria-pressed="true"]')).to_have_count(0)


def test_a_saved_refinement_is_opened_continued_replaced_and_deleted(visit: Visit, place: Workplace) -> None:
    page, name = visit.page, "again" if visit.scripts else "again-plain"
    pick(page)
    page.locator("#relevant-0").click()
    save(page, name)
    expect(page.locator("#saved")).to_be_visible()
    anew(page)
    page.get_by_role("link", name=f"Open {name}", exact=True).click()
    expect(page.get_by_role("heading", name="Round 1")).to_be_visible()
    page.locator("#irrelevant-3").click()
    expect(page.locator("#irrelevant-3")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Save the flags")).to_have_value(name)
    page.get_by_label("Replace the saved").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#saved")).to_be_visible()
    file = place.folder / "feedback" / "folder" / f"{name}.json"
    assert len(json.loads(file.read_text())["rounds"]) == 2
    anew(page)
    entry = page.get_by_role("listitem").filter(has_text=f"Open {name}").filter(has_not_text=f"{name}-")
    entry.get_by_text("Delete …").click()
    entry.get_by_role("button", name="for good").click()
    expect(page.get_by_role("link", name=f"Open {name}", exact=True)).to_have_count(0)
    assert not file.exists()


def test_a_correction_of_a_label_is_saved_and_removed(visit: Visit, place: Workplace) -> None:
    page, file = visit.page, place.folder / "corrections" / "folder.csv"
    pick(page)
    page.locator("#look-2").click()
    page.get_by_text("Is the label wrong?").click()
    page.get_by_label("Category to move to").select_option("apple")
    page.get_by_role("button", name="Move to").click()
    expect(page.get_by_text("To be moved to apple")).to_be_visible()
    assert file.read_text().splitlines()[1].endswith(",move,apple")
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_text("To be moved to apple")).to_have_count(0)
    assert len(file.read_text().splitlines()) == 1


def visible_height(page: Page, part: str) -> float:
    """Return the share of an element's height that is visible above the bar at the bottom."""
    box, bar = (page.locator(one).bounding_box() for one in (part, "#bar"))
    return min(box["y"] + box["height"], bar["y"]) - max(box["y"], 0)


@pytest.mark.window(viewport={"width": 640, "height": 400}, device_scale_factor=2)
def test_at_twice_the_size_results_are_visible_without_scrolling(visit: Visit) -> None:
    page = visit.page
    pick(page)
    assert page.evaluate("scrollY") == 0
    assert visible_height(page, "#card-0 .picture") >= 80


@pytest.mark.window(viewport={"width": 2560, "height": 1300})
def test_a_wide_screen_shows_more_results_in_a_row(visit: Visit) -> None:
    page = visit.page
    pick(page)
    boxes = [page.locator(f"#card-{number}").bounding_box() for number in range(10)]
    columns = sum(box["y"] == boxes[0]["y"] for box in boxes)
    assert columns >= 6
    assert boxes[columns - 1]["x"] + boxes[columns - 1]["width"] > 0.95 * 2560


def test_replaced_results_are_shown_and_announced(visit: Visit, place: Workplace) -> None:
    page = visit.page
    pick(page)
    (place.folder / "results" / "features" / "siamese" / "train.h5").touch()
    page.locator("#relevant-0").click()
    if visit.scripts:
        expect(page.get_by_role("status").first).to_contain_text("A run replaced the results")
    else:
        expect(page.get_by_role("note")).to_contain_text("A run replaced the results")
    expect(page.locator("#relevant-0")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_violation_of_accessibility(
    chromium: Browser, address: str, photograph: Path, scheme: str
) -> None:
    # axe is injected into the page, whose content security policy admits only its own scripts.
    with visited(chromium, address, WINDOW | {"bypass_csp": True, "color_scheme": scheme}) as visit:
        page = visit.page

        def look() -> None:
            page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
            assert faults(page) == [], page.url

        look()
        pick(page)
        page.locator("#relevant-0").click()
        expect(page.locator("#relevant-0")).to_have_attribute("aria-pressed", "true")
        look()
        results = page.url
        page.locator("#look-0").click()
        expect(page.locator("#whole")).to_be_visible()
        look()
        page.goto(results)
        change(page, "#side-by-side")
        expect(page.get_by_role("heading", name="Methods side by side")).to_be_visible()
        look()
        page.goto(address)
        choose(page, photograph)
        expect(page.get_by_role("heading", name="Nearest images")).to_be_visible(timeout=120_000)
        look()
