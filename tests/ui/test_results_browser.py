"""The results of a session in a real browser."""

import json
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import Browser, Download, Page, expect

from diffeditor import Recipe
from tests.ui.results_demo import build
from tests.ui.watch import watched
from ui import results, settings

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

PATIENCE = 60_000
"""Milliseconds; a busy machine is slow to paint."""


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """The address of the running demo page."""
    page = build().queue()
    page.launch(
        server_name="127.0.0.1",
        server_port=None,
        ssr_mode=False,
        quiet=True,
        prevent_thread_lock=True,
        theme=gr.themes.Default(font=["sans-serif"], font_mono=["monospace"]),
        css=results.CSS,
    )
    yield page.local_url
    page.close()


@pytest.fixture
def page(browser: Browser, demo: str) -> Iterator[Page]:
    """The open demo page, watched: console errors and requests to elsewhere fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1100})
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    wrong = watched(context)
    opened.goto(demo)
    expect(opened.locator("#board .canvas")).to_have_attribute("data-ready", "true")
    yield opened
    context.close()
    assert wrong == []


def run(page: Page, seed: int, variations: int, results_then: int) -> None:
    page.get_by_label(settings.SEED, exact=True).fill(str(seed))
    page.get_by_label(f"number input for {settings.VARIATIONS}").fill(str(variations))
    page.locator("#run").click()
    expect(page.locator("#history img")).to_have_count(results_then)


def choose(page: Page, label: str, option: str) -> None:
    """Chooses the option whose name begins so in a list."""
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option").filter(has_text=option).first.click()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def shows(page: Page, words: str) -> None:
    """Waits until the slider is labelled so."""
    expect(page.locator("#result").get_by_test_id("block-label")).to_contain_text(words)


def downloaded(page: Page, name: str) -> Download:
    with page.expect_download() as download:
        press(page, name)
    return download.value


def test_results_are_kept_shown_compared_and_deleted(page: Page) -> None:
    run(page, seed=3, variations=2, results_then=2)
    shows(page, "Before | 2: move, diffeditor, seed 4")
    expect(page.locator("#variations img")).to_have_count(2)
    choose(page, settings.PRESET, "dragondiffusion")
    run(page, seed=5, variations=1, results_then=3)
    shows(page, "Before | 3: move, dragondiffusion, seed 5")
    expect(page.locator("#variations")).not_to_be_visible()

    choose(page, results.COMPARE, "1: move")
    shows(page, "1: move, diffeditor, seed 3 | 3: move, dragondiffusion, seed 5")
    page.locator("#history button.thumbnail-item").first.click()
    shows(page, "Before | 1: move, diffeditor, seed 3")
    page.locator("#variations button.thumbnail-item").nth(1).click()
    shows(page, "Before | 2: move, diffeditor, seed 4")

    gone = page.locator("#result img").last.get_attribute("src") or ""
    assert page.request.get(gone).ok
    press(page, results.DELETE)
    shows(page, "Before | 1: move, diffeditor, seed 3")
    expect(page.locator("#history img")).to_have_count(2)
    assert not page.request.get(gone).ok
    for left in (1, 0):
        press(page, results.DELETE)
        expect(page.locator("#history img")).to_have_count(left)
    shows(page, results.BEFORE_AND_AFTER)
    expect(page.get_by_role("button", name=results.DELETE, exact=True)).to_be_disabled()


def test_both_pictures_lie_on_one_another(page: Page) -> None:
    page.set_viewport_size({"width": 1900, "height": 1100})
    run(page, seed=0, variations=1, results_then=1)
    shows(page, "1: move, diffeditor, seed 0")
    before, after = (picture.bounding_box() for picture in page.locator("#result img").all())
    assert before == after is not None and after["height"] == results.SLIDER_HEIGHT


def test_downloads_are_the_picture_and_the_recipe_that_made_it(page: Page, tmp_path: Path) -> None:
    run(page, seed=7, variations=1, results_then=1)
    picture, recipe = (downloaded(page, n) for n in (results.SAVE_PICTURE, results.SAVE_RECIPE))
    assert picture.suggested_filename == "move-diffeditor-7.png"
    assert recipe.suggested_filename == "move-diffeditor-7.json"
    with Image.open(picture.path()) as image:
        assert (image.format, image.size) == ("PNG", (240, 160))
    recipe.save_as(tmp_path / "recipe.json")
    loaded = Recipe.load(tmp_path / "recipe.json")
    assert (loaded.task_name, loaded.seed) == ("move", 7)
    page.get_by_role("button", name=results.NUMBERS).click()
    expect(page.get_by_text("reached")).to_be_visible()


def test_a_result_becomes_the_source_and_outlives_its_entry(page: Page) -> None:
    run(page, seed=0, variations=1, results_then=1)
    press(page, results.USE)
    canvas = page.locator("#board .canvas")
    expect(canvas).not_to_have_attribute("data-rev", "0")
    press(page, results.DELETE)
    expect(page.locator("#history img")).to_have_count(0)
    press(page, "read")
    told = page.locator("#told textarea")
    expect(told).not_to_have_value("")
    assert json.loads(told.input_value()) == {"size": [240, 160], "sky": [30, 200, 90]}


def test_a_chosen_preset_and_the_reset_fill_every_box_at_once(page: Page) -> None:
    page.get_by_role("button", name=settings.SETTINGS).click()
    energy = page.get_by_label(settings.LABELS["energy_scale"], exact=True)
    regional = page.get_by_label(settings.LABELS["regional_guidance"])
    expect(energy).to_have_value("")
    energy.fill("7.5")
    regional.uncheck()
    press(page, settings.RESET)
    expect(energy).to_have_value("")
    expect(regional).to_be_checked()
    choose(page, settings.PRESET, "dragondiffusion")
    expect(regional).not_to_be_checked()
    expect(page.get_by_text("regional_guidance, default off")).to_be_visible()
    run(page, seed=0, variations=1, results_then=1)
    shows(page, "1: move, dragondiffusion, seed 0")
    energy.fill("7.5")
    run(page, seed=0, variations=1, results_then=2)
    shows(page, "2: move, dragondiffusion changed, seed 0")


def test_sessions_have_results_of_their_own(browser: Browser, page: Page, demo: str) -> None:
    run(page, seed=1, variations=1, results_then=1)
    stranger = browser.new_context()
    other = stranger.new_page()
    other.goto(demo)
    expect(other.locator("#board .canvas")).to_have_attribute("data-ready", "true")
    expect(other.locator("#history img")).to_have_count(0)
    run(other, seed=2, variations=1, results_then=1)
    shows(other, "1: move, diffeditor, seed 2")
    shows(page, "1: move, diffeditor, seed 1")
    stranger.close()
