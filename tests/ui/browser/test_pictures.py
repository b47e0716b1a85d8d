"""Pictures of every shape, and words and names that a stranger chose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from diffeditor.errors import InvalidEdit
from tests.ui.browser.page import OpenPage
from tests.ui.canvas.demo import picture
from ui import results, text

pytestmark = [
    pytest.mark.browser,
    # Gradio keeps statistics with what pandas has given up.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio.queueing"),
]

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><b id=taken>bold</b>"


@pytest.mark.parametrize(
    ("size", "name"), [((4000, 3000), "landscape.jpg"), ((480, 1280), "portrait.png")]
)
def test_a_picture_is_edited_at_its_own_size(
    size: tuple[int, int], name: str, page: OpenPage, tmp_path: Path
) -> None:
    width, height = size
    Image.radial_gradient("L").convert("RGB").resize(size).save(tmp_path / name, quality=90)
    page.open(tmp_path / name, size)
    page.mode("box")
    page.drag((0.2 * width, 0.2 * height), (0.8 * width, 0.7 * height))
    page.mode("place")
    page.drag((0.3 * width, 0.3 * height), (0.5 * width, 0.6 * height))
    page.edit()
    task, *_ = page.served.editor.runs[-1]
    assert task.source.size == size and task.mask.shape == (height, width)
    [(start, end)] = task.points
    assert (*start, *end) == pytest.approx(
        (0.3 * width, 0.3 * height, 0.5 * width, 0.6 * height), abs=max(size) / 150
    )
    assert task.mask.mean() == pytest.approx(0.3, abs=0.01)
    assert page.result().size == size
    shown = page.page.locator("#result img").last
    expect(shown).to_be_visible()
    ratio = shown.evaluate("image => image.naturalWidth / image.naturalHeight")
    assert ratio == pytest.approx(width / height, rel=0.01)


def test_a_photograph_is_turned_upright(page: OpenPage, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    picture().save(tmp_path / "turned.jpg", exif=exif)
    page.open(tmp_path / "turned.jpg", (160, 240))
    page.mode("box")
    page.drag((20, 20), (140, 220))
    page.mode("place")
    page.drag((40, 40), (60, 90))
    page.edit()
    assert page.result().size == (160, 240)


def nothing_is_taken(page: OpenPage) -> None:
    assert page.page.title() == text.TITLE
    assert page.page.locator("#taken, img[src=x]").count() == 0


def test_words_and_names_are_never_markup(page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=document.title=1><b id=taken>.png"
    picture().save(path)
    page.open(path, (240, 160))
    page.mode("box")
    page.drag((20, 20), (200, 140))
    page.mode("place")
    page.drag((40, 40), (60, 90))
    page.page.get_by_label(text.PROMPT, exact=True).fill(HOSTILE)
    page.edit()
    task, *_ = page.served.editor.runs[-1]
    assert task.prompt == HOSTILE
    page.page.get_by_role("button", name=results.NUMBERS).click()
    nothing_is_taken(page)


def test_errors_are_never_markup(page: OpenPage, tmp_path: Path) -> None:
    page.load(tmp_path)
    page.mode("box")
    page.drag((20, 20), (200, 140))
    page.mode("place")
    page.drag((40, 40), (60, 90))
    page.served.fake().error = InvalidEdit(HOSTILE)
    page.press(text.EDIT)
    page.says(HOSTILE)
    nothing_is_taken(page)


@pytest.mark.parametrize(
    "recipe", [{"format": HOSTILE}, {"task": {"name": HOSTILE}}, HOSTILE], ids=str
)
def test_a_hostile_recipe_is_told_and_never_markup(
    recipe: Any, page: OpenPage, tmp_path: Path
) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    before = page.line().input_value()
    with page.page.expect_file_chooser() as chooser:
        page.press(text.OPEN_RECIPE)
    chooser.value.set_files(tmp_path / "recipe.json")
    expect(page.line()).not_to_have_value(before)
    nothing_is_taken(page)


def test_what_is_no_picture_is_refused_in_words(page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text(HOSTILE)
    with page.page.expect_file_chooser() as chooser:
        page.stage().locator("[data-open]:visible").click()
    chooser.value.set_files(tmp_path / "note.png")
    expect(page.status()).to_contain_text("The image")
    nothing_is_taken(page)
    assert np.array(page.load(tmp_path)).shape == (160, 240, 3)  # and the next one is taken
