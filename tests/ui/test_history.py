"""The results of a session and their files."""

import copy
import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from diffeditor import Move, Recipe, Result, load_image
from tests.ui.canvas.demo import ball_mask, picture
from tests.ui.fakes import FakeEditor
from ui import history as module
from ui.history import Entry, History, copied


def edited(seed: int = 0, source: Image.Image | None = None) -> Result:
    task = Move(image=source or picture(), mask=ball_mask(), shift=(20, 0))
    return FakeEditor().edit(task, seed=seed)


def added(history: History, seed: int = 0, first: bool = True) -> Entry:
    return history.add(picture(), edited(seed), first=first)


def files(entry: Entry) -> list[Path]:
    names = (entry.before, entry.after, entry.thumb, entry.picture, entry.recipe)
    return [Path(name) for name in names]


def test_an_entry_has_all_that_was_run_and_measured(cache: Path) -> None:
    result = edited(seed=5)
    entry = History().add(picture(), result, first=True)
    assert (entry.tool, entry.preset, entry.seed, entry.model) == ("move", "diffeditor", 5, "fake")
    assert entry.metadata == result.metadata
    assert entry.title == "1: move, diffeditor, seed 5"
    folder = cache / entry.token
    assert sorted(files(entry)) == sorted(folder.iterdir())
    with Image.open(entry.picture) as whole, Image.open(entry.after) as shown:
        assert whole.tobytes() == shown.tobytes() == result.image.tobytes()
    with Image.open(entry.before) as before:
        assert before.tobytes() == picture().tobytes()
    assert Recipe.load(entry.recipe).task().shift == (20, 0)
    assert Path(entry.picture).name == "move-diffeditor-5.png"


def test_a_changed_preset_is_told() -> None:
    result = edited()
    recipe = replace(result.recipe, preset_name="release", changes={"steps": 9})
    entry = History().add(picture(), replace(result, recipe=recipe), first=True)
    assert entry.preset == "release changed"
    assert Path(entry.recipe).name == "move-release-changed-0.json"


def test_large_pictures_are_shown_small_and_downloaded_whole() -> None:
    large = picture(width=3000, height=2000)
    result = Result(image=large, metadata={}, recipe=edited().recipe)
    entry = History().add(large, result, first=True)
    sizes = [load_image(path).size for path in (entry.after, entry.thumb, entry.picture)]
    assert [max(size) for size in sizes] == [module.SHOWN_SIDE, module.THUMB_SIDE, 3000]
    assert entry.after.endswith(".jpeg") and entry.picture.endswith(".png")


def test_variations_are_one_run() -> None:
    history = History()
    entries = [added(history, seed, first) for seed, first in ((0, True), (1, False), (0, True))]
    assert [entry.number for entry in entries] == [1, 2, 3]
    assert history.run(entries[0]) == history.run(entries[1]) == entries[:2]
    assert history.run(entries[2]) == entries[2:]


def test_deleting_removes_the_files_and_no_others() -> None:
    history = History()
    gone, kept = added(history), added(history)
    history.remove(gone.token)
    history.remove("nothing")
    assert history.entries == [kept] and history.find(gone.token) is None
    assert not Path(gone.picture).parent.exists()
    assert all(file.is_file() for file in files(kept))
    assert added(history).number == 3


def test_a_copy_outlives_its_entry() -> None:
    history = History()
    entry = added(history)
    copy_of_it = Path(copied(entry.picture))
    history.remove(entry.token)
    assert history.entries == [] and not Path(entry.picture).exists()
    assert copy_of_it.is_file() and copy_of_it.name == Path(entry.picture).name


def test_the_files_of_a_history_are_kept_young() -> None:
    history = History()
    entries = added(history), added(history)
    every = [file for entry in entries for file in files(entry)]
    for file in every:
        os.utime(file, (0, 0))
    every[0].unlink()  # deleted for its age
    history.renew()
    assert all(file.stat().st_mtime > 0 for file in every[1:]) and not every[0].exists()


def test_the_oldest_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    history = History()
    first, second, third = (added(history) for _ in range(3))
    assert history.entries == [second, third]
    assert not Path(first.picture).exists()


def test_equal_results_of_two_sessions_share_nothing() -> None:
    begin = History()
    mine, yours = copy.deepcopy(begin), copy.deepcopy(begin)  # as Gradio does for each session
    entry, other = added(mine), added(yours)
    assert yours.find(entry.token) is None and len(yours.entries) == len(mine.entries) == 1
    assert not set(files(entry)) & set(files(other))
    assert len(entry.token) == 32
    mine.remove(entry.token)
    assert all(file.is_file() for file in files(other))
