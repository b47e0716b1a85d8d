"""Edits of the memory benchmark: one ends, one is cancelled, one finds no memory; all go on."""

from benchmarks.memory import CANCELS, FAILS, ROUND, run, task_of
from diffeditor.backbones import StableDiffusion
from diffeditor.editor import Editor
from diffeditor.tasks import TASKS
from tests.tiny import quick


def test_mixed_edits_end_as_they_should_and_the_next_one_works(tiny_model: StableDiffusion) -> None:
    editor, preset = Editor(tiny_model), quick(steps=4)
    numbers = (CANCELS - 1, FAILS - 1, FAILS, 2 * FAILS - 1, 2 * CANCELS)
    endings = [run(editor, tiny_model.unet, number, preset) for number in numbers]
    assert endings == ["cancelled", "done more frugally", "done", "out of memory", "done"]


def test_a_full_device_makes_room_for_the_next_edit(tiny_model: StableDiffusion) -> None:
    editor, preset = Editor(tiny_model), quick(steps=4)
    assert editor.edit(task_of(0), preset).metadata["inversion_cached"] is False
    assert run(editor, tiny_model.unet, FAILS - 1, preset) == "done more frugally"
    assert editor.edit(task_of(0), preset).metadata["inversion_cached"] is False


def test_a_round_has_all_tasks() -> None:
    assert {task_of(number).name for number in range(len(TASKS))} == set(TASKS)
    assert ROUND % len(TASKS) == 0
