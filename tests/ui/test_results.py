"""What shows the results, as functions of the session's history."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from diffeditor import Move, Result
from tests.ui.canvas.demo import ball_mask, picture
from tests.ui.fakes import FakeEditor
from ui import results, text
from ui.canvas import Canvas, Patch
from ui.history import Entry, History


def edited(seed: int) -> Result:
    return FakeEditor().edit(Move(image=picture(), mask=ball_mask(), shift=(20, 0)), seed=seed)


def ran(history: History, seed: int, variations: int = 1) -> dict[str, Any]:
    """The updates after the last variation of a run."""
    values = {"results.history": history, "settings.seed": float(seed)}
    updates: dict[str, Any] = {}
    for number in range(seed, seed + variations):
        updates = results.finished(values, picture(), edited(number))
    return updates


@pytest.fixture
def history() -> History:
    """Of a run with two variations, and one with another."""
    kept = History()
    ran(kept, 3, variations=2)
    ran(kept, 5)
    return kept


def thumb(entry: Entry) -> dict[str, Any]:
    """What a gallery says of a clicked thumbnail."""
    return {"image": {"path": entry.thumb, "url": "http://..."}, "caption": entry.title}


def shown(updates: dict[str, Any]) -> Any:
    return updates["results.slider"]["value"]


def test_every_update_has_its_component() -> None:
    with gr.Blocks():
        blocks = results.build()
        results.connect(blocks, Canvas())
    updates = ran(History(), 0)
    assert set(updates) == set(results.OUTPUTS) <= set(blocks)
    assert set(results.INPUTS) <= set(blocks)
    assert all(name.startswith("results.") for name in blocks)


def test_a_finished_seed_is_kept_and_shown() -> None:
    history = History()
    updates = ran(history, 3, variations=2)
    first, last = history.entries
    assert shown(updates) == (last.before, last.after)
    assert updates["results.slider"]["label"] == "Before | 2: move, diffeditor, seed 4"
    assert updates["results.shown"] == last.token
    assert updates["results.numbers"]["seed"] == 4
    assert updates["results.save_picture"] == gr.update(value=last.picture, interactive=True)
    assert updates["results.save_recipe"] == gr.update(value=last.recipe, interactive=True)
    pair = [(entry.thumb, entry.title) for entry in (first, last)]
    assert updates["results.variations"] == gr.update(value=pair, visible=True)
    assert updates["results.strip"] == gr.update(value=pair, visible=True)


def test_a_lone_seed_has_no_variations(history: History) -> None:
    updates = ran(history, 7)
    assert updates["results.variations"]["visible"] == "hidden"
    assert len(updates["results.strip"]["value"]) == 4


def test_a_deleted_result_does_not_come_back_with_the_next_seed() -> None:
    history = History()
    values = {"results.history": history, "settings.seed": 0}  # as they were when the run began
    results.finished(values, picture(), edited(0))
    results.delete(history, history.entries[0].token)
    updates = results.finished(values, picture(), edited(1))
    assert [title for _, title in updates["results.strip"]["value"]] == [
        "2: move, diffeditor, seed 1"
    ]


def test_a_click_shows_a_result_with_its_run(history: History) -> None:
    first, second, _ = history.entries
    updates = results.choose(history, thumb(first))
    assert shown(updates) == (first.before, first.after)
    assert [path for path, _ in updates["results.variations"]["value"]] == [
        first.thumb,
        second.thumb,
    ]
    assert "results.strip" not in updates


@pytest.mark.parametrize("event", [None, "x", {}, {"image": None}, {"image": {"path": None}}])
def test_what_is_no_thumbnail_shows_nothing(history: History, event: Any) -> None:
    assert results.choose(history, event) == {}


def test_two_results_are_compared(history: History) -> None:
    first, _, last = history.entries
    updates = results.compare(history, last.token, first.token)
    assert shown(updates) == (first.after, last.after)
    assert updates["results.slider"]["label"] == f"{first.title} | {last.title}"
    assert shown(results.compare(history, last.token, "")) == (last.before, last.after)
    choices = results.show(history, last)["results.compare"]["choices"]
    assert [token for _, token in choices] == ["", *(e.token for e in history.entries[:2])]


def test_deleting_shows_the_one_before_and_at_last_nothing(history: History) -> None:
    first, second, last = history.entries
    updates = results.delete(history, second.token)
    assert updates["results.shown"] == first.token
    assert results.delete(history, first.token)["results.shown"] == last.token
    updates = results.delete(history, last.token)
    assert shown(updates) is None and updates["results.numbers"] is None
    assert updates["results.strip"] == gr.update(value=[], visible="hidden")
    for name in ("results.save_picture", "results.save_recipe", "results.use", "results.delete"):
        assert updates[name]["interactive"] is False


def test_a_result_becomes_the_source(history: History) -> None:
    last = history.entries[-1]
    patch = results.use(history, last.token)
    assert isinstance(patch, Patch) and set(patch.model_fields_set) == {"source"}
    results.delete(history, last.token)
    source = Path(str(patch.source))
    assert source.is_file() and source != Path(last.picture)


def test_nobody_reaches_the_results_of_another(history: History) -> None:
    mine, theirs = History(), history.entries[0]
    assert results.choose(mine, thumb(theirs)) == {}
    assert results.compare(mine, theirs.token, "") == results.delete(mine, theirs.token) == {}
    assert results.use(mine, theirs.token) == gr.skip()
    own = ran(mine, 0)["results.shown"]
    assert shown(results.compare(mine, own, theirs.token))[0] != theirs.after
    assert history.find(theirs.token) is theirs


def enabled(updates: dict[str, Any]) -> set[bool]:
    return {updates[name]["interactive"] for name in results.ACTS}


def test_a_running_edit_is_shown_beside_its_source() -> None:
    values = {"results.history": History()}
    updates = results.intermediate(values, picture(3000, 2000), picture())
    before, after = updates["results.slider"]["value"]
    assert Path(before).is_file() and Path(after).is_file()
    assert set(updates) <= set(results.OUTPUTS)


def test_no_button_acts_on_a_look_at_a_running_edit(history: History) -> None:
    last = history.entries[-1]
    look = results.intermediate({"results.history": history}, picture(), picture())
    assert enabled(look) == {False}
    assert all("value" not in look[name] for name in results.ACTS)
    again = results.back(history, last.token)
    assert shown(again) == (last.before, last.after) and enabled(again) == {True}
    assert again["results.shown"] == last.token
    assert results.back(history, last.token) == {}  # that is what is shown now


def test_after_a_first_edit_without_a_result_there_is_none_again() -> None:
    history = History()
    results.intermediate({"results.history": history}, picture(), picture())
    again = results.back(history, "")
    assert shown(again) is None and enabled(again) == {False}


def test_what_is_put_in_the_place_of_a_look_is_acted_on(history: History) -> None:
    first, _, last = history.entries
    results.intermediate({"results.history": history}, picture(), picture())
    assert enabled(results.compare(history, last.token, first.token)) == {True}
    assert enabled(results.choose(history, thumb(first))) == {True}
    again = results.back(history, first.token)  # a look may have come to the browser after it
    assert shown(again) == (first.before, first.after)


def test_after_a_result_of_the_edit_nothing_is_put_back(history: History) -> None:
    results.intermediate({"results.history": history}, picture(), picture())
    assert results.back(history, ran(history, 9)["results.shown"]) == {}


def test_a_result_that_was_deleted_for_its_age_is_said_to_be_gone(history: History) -> None:
    last = history.entries[-1]
    Path(last.picture).unlink()
    with pytest.raises(gr.Error, match=text.RESULT_GONE):
        results.use(history, last.token)
