"""The command line: what commands take, write and print."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from diffeditor.cli import main
from diffeditor.cli.task_options import TASK_OPTIONS
from diffeditor.config import PRESETS
from diffeditor.recipe import Recipe
from diffeditor.tasks import TASKS
from diffeditor.tasks.face import GROUPS
from tests.cli.fakes import APPEARANCE, DRAG, FACE, MOVE, PASTE, PHASES, failing, pixels

# Edits


def test_move_takes_every_field(editor):
    status = main([*MOVE.split(), "--scale", "1.5", "--fill-mask", "mask.png", "--prompt", "a b"])
    assert status == 0
    task = editor.asked[0][0]
    assert task.name == "move"
    assert (task.shift, task.scale, task.prompt) == ((4.0, 0.0), 1.5, "a b")
    assert np.array_equal(task.mask, pixels("mask.png") > 0)
    assert np.array_equal(task.fill_mask, task.mask)
    assert np.array_equal(np.asarray(task.source), pixels("photo.png"))


def test_drag_takes_many_points(editor):
    assert main(f"{DRAG} --point 16.5 20 9 -0".split()) == 0
    assert editor.asked[0][0].points == (((14, 12), (20, 12)), ((16.5, 20), (9, 0)))


def test_face_takes_landmarks_and_groups(editor):
    source = "--source-landmarks landmarks.json"
    assert main(f"{FACE} {source} --groups eyes mouth --strength 0.5".split()) == 0
    task = editor.asked[0][0]
    assert np.array_equal(task.target_landmarks, np.load("landmarks.npy"))
    assert np.array_equal(task.source_landmarks, np.load("landmarks.npy") + 1)
    assert (task.groups, task.strength) == (("eyes", "mouth"), 0.5)


def test_parts_of_the_model_are_passed_on(editor):
    assert main(f"{FACE} --landmarks faces.dat --lora a.safetensors:0.5 --compile".split()) == 0
    assert editor.parts == [
        {"landmarks": "faces.dat", "loras": ["a.safetensors:0.5"], "compile": True}
    ]


@pytest.mark.parametrize("groups", ["", "--groups all"])
def test_face_takes_a_reference_and_all_groups(editor, groups):
    assert main(f"face --image photo.png --reference other.png {groups}".split()) == 0
    task = editor.asked[0][0]
    assert np.array_equal(np.asarray(task.reference), pixels("other.png"))
    assert task.groups == tuple(GROUPS)


@pytest.mark.parametrize("command", [PASTE, APPEARANCE])
def test_paste_and_appearance_take_a_reference(editor, command):
    assert main(f"{command} --prompt table --reference-prompt garden".split()) == 0
    task = editor.asked[0][0]
    assert task.name == command.split()[0]
    assert (task.prompt, task.reference_prompt) == ("table", "garden")
    assert task.reference_mask.any()


def test_every_field_of_every_task_is_an_option():
    assert {item.name for task in TASKS.values() for item in fields(task)} == TASK_OPTIONS.keys()


def test_the_preset_can_be_chosen_and_changed(editor):
    values = '--set energy_scale=1.5 --set travel_by=noise --set sde={"start":0.25}'
    assert main(f"{MOVE} --preset release --steps 20 --seed 9 {values}".split()) == 0
    _, preset, seed = editor.asked[0]
    assert (preset.steps, preset.energy_scale, preset.travel_by) == (20, 1.5, "noise")
    assert (preset.sde.start, preset.sde.stop) == (0.25, 1.0)
    assert preset.image_prompt_inversion == PRESETS["release"].image_prompt_inversion
    assert seed == 9


def test_the_model_and_device_are_passed_on(editor):
    assert main(f"{MOVE} --model some/model --device cpu".split()) == 0
    assert editor.loaded == [("some/model", "cpu")]


# What is written and printed


def test_the_result_lands_where_it_is_told_and_can_be_run_again(editor, capsys):
    assert main(f"{MOVE} -o out.png --seed 3 --steps 8".split()) == 0
    assert re.fullmatch(r"out\.png  \d+\.\d s\n", capsys.readouterr().out)
    assert main("run out.png".split()) == 0
    assert re.match(r"out-again\.png ", capsys.readouterr().out)
    (first, *settings), (second, *again) = editor.asked
    assert settings == again
    assert np.array_equal(np.asarray(first.source), np.asarray(second.source))
    assert Path("out.png").read_bytes() == Path("out-again.png").read_bytes()


def test_the_result_is_named_after_its_source_and_task(editor):
    assert main(DRAG.split()) == 0
    assert Path("photo-drag.png").is_file()


def test_a_recipe_file_is_written_on_demand_and_runs_with_another_model(editor):
    assert main(f"{PASTE} --model first --recipe edit.json --no-recipe".split()) == 0
    assert Recipe.load("edit.json").model == "first"
    assert failing_load("photo-paste.png")
    assert main("run edit.json -o a.png".split()) == 0
    assert main("run edit.json --model second --device cpu -o b.png".split()) == 0
    assert editor.loaded == [("first", "auto"), ("first", "auto"), ("second", "cpu")]


@pytest.mark.parametrize(
    ("given", "vae", "loras"),
    [
        ("", "v", ["a:0.5", "b"]),
        ("--vae w", "w", ["a:0.5", "b"]),
        ("--lora c", "v", ["c"]),
        ("--model second", None, []),
        ("--model second --vae w --lora c", "w", ["c"]),
    ],
)
def test_a_recipe_is_run_with_its_vae_and_loras_unless_others_are_given(
    editor, given: str, vae: str | None, loras: list[str]
) -> None:
    assert main(f"{MOVE} --vae v --lora a:0.5 --lora b --recipe edit.json".split()) == 0
    assert main(f"run edit.json -o again.png --recipe again.json {given}".split()) == 0
    again = Recipe.load("again.json")
    assert (again.vae, list(again.loras)) == (vae, loras)


def test_a_recipe_whose_lora_is_missing_is_refused_in_a_sentence(capsys) -> None:
    assert main(f"{MOVE} --lora gone.safetensors".split()) == 2
    Recipe(
        task_name="move",
        inputs={"image": "photo.png", "mask": "mask.png", "shift": (4, 0)},
        loras=("gone.safetensors:0.6",),
    ).save("edit.json")
    capsys.readouterr()
    assert main("run edit.json".split()) == 2
    assert "There is no LoRA file 'gone.safetensors'; check the path." in capsys.readouterr().err


def failing_load(path: str) -> bool:
    with pytest.raises(ValueError, match="holds no recipe"):
        Recipe.load(path)
    return True


def test_a_recipe_too_large_for_the_picture_is_mentioned(editor, capsys, monkeypatch):
    monkeypatch.setattr("diffeditor.recipe.MAX_CHUNK", 10)
    assert main(MOVE.split()) == 0
    assert "note: the recipe is too large" in capsys.readouterr().err


def test_progress_goes_to_stderr_phase_by_phase(editor, capsys):
    assert main(MOVE.split()) == 0
    assert capsys.readouterr().err.splitlines() == list(PHASES)


def test_a_terminal_shows_progress_in_one_line(editor, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(MOVE.split()) == 0
    printed = capsys.readouterr().err
    assert "\n" not in printed
    assert "\r\x1b[KBusy" in printed
    assert printed.endswith("\r\x1b[K")


def test_warnings_are_shown(editor, capsys):
    editor.warnings = ("The prompt was cut after 'dog'.",)
    assert main(MOVE.split()) == 0
    assert "diffeditor: note: The prompt was cut after 'dog'.\n" in capsys.readouterr().err


# The other commands


def test_worlds_are_drawn(folder):
    assert main("worlds --out drawn -n 2 --size 16 --seed 5".split()) == 0
    assert {path.name for path in (folder / "drawn").iterdir()} >= {"000.png", "001.png"}
    assert pixels("drawn/000.png").shape == (16, 16, 3)


def test_training_is_reached(monkeypatch):
    runs = []
    monkeypatch.setattr("diffeditor.training.command.run", runs.append)
    assert main("train embedded --minutes 2.5 --stage vae".split()) == 0
    assert (runs[0].minutes, runs[0].stage) == (2.5, "vae")


def test_the_page_is_opened(editor, monkeypatch):
    opened = []
    page = ModuleType("ui.launch")
    page.launch = lambda *arguments: opened.append(arguments)
    monkeypatch.setitem(sys.modules, "ui.launch", page)
    monkeypatch.setattr("ui.models.models_here", lambda: ("another",))
    assert main("app --model some/model --port 7000 --lora small.safetensors".split()) == 0
    [(models, *where)] = opened
    assert (models.names, where) == (("some/model", "another"), ["127.0.0.1", 7000])
    assert models.editor("some/model") is editor and models.editor("another") is editor
    assert editor.loaded == [("some/model", "auto"), ("another", "auto")]
    assert editor.parts == [{"loras": ["small.safetensors"]}, {}]


def test_a_page_that_is_not_installed_is_explained(editor, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ui.launch", None)
    assert "install diffeditor[ui]" in failing("app", capsys)


@pytest.mark.parametrize("command", ["", *TASKS, "run", "app", "worlds", "train", "train embedded"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: diffeditor {command}".rstrip())


def test_help_tells_what_the_engine_can_be_told(capsys):
    for command, words in (("", "--dtype and --memory"), ("move", "auto,fast,balanced,low")):
        with pytest.raises(SystemExit):
            main([*command.split(), "--help"])
        assert words in " ".join(capsys.readouterr().out.split())


def test_help_needs_no_engine():
    code = "import diffeditor.cli, sys; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
