"""The command line against an editor with the real interface that copies instead of editing."""

import json
import pickle
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor.cli import TASK_OPTIONS, main
from diffeditor.config import PRESETS, Preset
from diffeditor.errors import ModelUnavailable
from diffeditor.recipe import Recipe
from diffeditor.result import Result, Step
from diffeditor.tasks import TASKS, Task
from diffeditor.tasks.face import GROUPS

HEIGHT, WIDTH = 40, 48
PHASES = ("prepare", "invert", "sample", "decode")


@dataclass
class CopyingEditor:
    """Remembers what it is asked for; the result is the source picture."""

    asked: list[tuple[Task, Preset, int]] = field(default_factory=list)
    loaded: list[tuple[str, str]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    raised: BaseException | None = None
    closed: bool = False

    def load(self, model: str = "embedded", device: str = "auto", **parts: Any) -> "CopyingEditor":
        self.loaded.append((model, device))
        self.parts.append(parts)
        return self

    def stream(self, task: Task, preset: Preset, seed: int) -> Iterator[Step]:
        self.asked.append((task, preset, seed))
        result = Result(
            image=task.source,
            metadata={"warnings": list(self.warnings)},
            recipe=Recipe.from_task(
                task,
                preset,
                seed,
                self.loaded[-1][0],
                vae=self.parts[-1].get("vae"),
                loras=self.parts[-1].get("loras", ()),
            ),
        )
        try:
            for index, phase in enumerate(PHASES):
                if index == 2 and self.raised is not None:
                    raise self.raised
                last = result if phase == PHASES[-1] else None
                yield Step(
                    index=index + 1, total=len(PHASES), phase=phase, message="Busy", result=last
                )
        finally:
            self.closed = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def editor(monkeypatch) -> CopyingEditor:
    fake = CopyingEditor()
    monkeypatch.setattr("diffeditor.editor.load_editor", fake.load)
    return fake


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A current folder with two pictures, a mask and landmarks."""
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(levels[0]).save("photo.png")
    Image.fromarray(levels[1]).save("other.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:25, 12:30] = 255
    Image.fromarray(mask).save("mask.png")
    landmarks = np.random.default_rng(2).uniform(5, 35, (68, 2))
    np.save("landmarks.npy", landmarks)
    Path("landmarks.json").write_text(json.dumps((landmarks + 1).tolist()))
    return tmp_path


MOVE = "move --image photo.png --mask mask.png --shift 4 0"
DRAG = "drag --image photo.png --mask mask.png --point 14 12 20 12"
PASTE = "paste --image photo.png --reference other.png --reference-mask mask.png --shift -3 1"
FACE = "face --image photo.png --target-landmarks landmarks.npy"
APPEARANCE = (
    "appearance --image photo.png --mask mask.png --reference other.png --reference-mask mask.png"
)


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def failing(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence that a command refuses its input with."""
    assert main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    line = re.fullmatch(r"diffeditor: error: (.+\.)\n", printed.err)
    assert line, printed.err
    return line[1]


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
    assert main(f"{FACE} --landmarks faces.dat --lora a.safetensors:0.5".split()) == 0
    assert editor.parts == [{"landmarks": "faces.dat", "loras": ["a.safetensors:0.5"]}]


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


# What goes wrong


def test_an_interrupt_stops_the_edit(editor, capsys):
    editor.raised = KeyboardInterrupt()
    assert main(f"{MOVE} -o out.png".split()) == 130
    assert editor.closed
    assert not Path("out.png").exists()
    assert capsys.readouterr().err.endswith("diffeditor: interrupted\n")


def test_an_error_of_the_engine_is_one_sentence(editor, capsys):
    editor.raised = ModelUnavailable("The model is damaged; download it again.")
    assert main(MOVE.split()) == 2
    assert capsys.readouterr().err.endswith(
        "diffeditor: error: The model is damaged; download it again.\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "fly",
        "train",
        "move",
        "move --shift 1 0",
        f"{MOVE} --scale wide",
        f"{MOVE} --seed x",
        f"{MOVE} --unknown",
        f"{DRAG} --point 1 2 3",
        "run",
        "worlds",
    ],
)
def test_wrong_usage_is_explained(editor, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.split())
    assert stopped.value.code == 2
    assert re.search(r"^diffeditor[ \w]*: error: .+\n\Z", capsys.readouterr().err, re.MULTILINE)
    assert not editor.loaded


def blank(name: str, value: int, height: int = HEIGHT, width: int = WIDTH) -> None:
    Image.new("L", (width, height), value).save(name)


def huge_png() -> None:
    blank("bad.png", 0)
    data = bytearray(Path("bad.png").read_bytes())
    data[16:24] = (20_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    Path("bad.png").write_bytes(data)


def animated_gif() -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    frames[0].save("bad.png", "GIF", save_all=True, append_images=frames[1:])


def cut_short() -> None:
    Path("bad.png").write_bytes(Path("photo.png").read_bytes()[:2000])


def face_of(landmarks: str) -> str:
    return FACE.replace("landmarks.npy", landmarks)


def nothing() -> None:
    pass


BAD_PICTURE = MOVE.replace("photo.png", "bad.png")
BAD_MASK = MOVE.replace("mask.png", "bad.png")
BAD_INPUT: list[tuple[str, Callable[[], Any], str, str]] = [
    ("empty mask", lambda: blank("bad.png", 0), BAD_MASK, "mask is empty"),
    ("full mask", lambda: blank("bad.png", 255), BAD_MASK, "covers the whole picture"),
    ("other mask size", lambda: blank("bad.png", 255, 9, 7), BAD_MASK, "7 x 9.*48 x 40"),
    ("NaN points", nothing, DRAG.replace("14", "nan"), "finite"),
    ("point outside", nothing, DRAG.replace("20", "48"), "outside the picture"),
    ("start outside the mask", nothing, DRAG.replace("14", "1"), "outside the mask"),
    ("101 points", nothing, DRAG + " --point 14 12 20 12" * 100, "at most 100"),
    ("equal ends", nothing, DRAG.replace("20", "14"), "same place"),
    ("shift off the canvas", nothing, MOVE.replace("4 0", "400 0"), "leaves the picture"),
    ("NaN shift", nothing, MOVE.replace("4 0", "nan 0"), "finite"),
    ("no shift", nothing, MOVE.replace("4 0", "0 0"), "stays where it is"),
    ("scale 0", nothing, f"{MOVE} --scale 0", "scale must be from"),
    ("scale NaN", nothing, f"{MOVE} --scale nan", "scale must be from"),
    ("scale < 0", nothing, f"{PASTE} --scale=-1", "scale must be from"),
    ("too few steps", nothing, f"{MOVE} --steps 1", "steps must be from"),
    ("too many steps", nothing, f"{MOVE} --steps 1001", "steps must be from"),
    ("unknown preset", nothing, f"{MOVE} --preset best", "no preset 'best'"),
    ("unknown field", nothing, f"{MOVE} --set step=20", "cannot have 'step'"),
    ("no value", nothing, f"{MOVE} --set steps", "FIELD=VALUE"),
    ("text for a number", nothing, f"{MOVE} --set w_edit=much", "w_edit must be a number"),
    ("out of range", nothing, f"{MOVE} --set eta_in=2", "eta_in must be a number from 0"),
    ("seed < 0", nothing, f"{MOVE} --seed -1", "seed must be"),
    ("text", lambda: Path("bad.png").write_text("no"), BAD_PICTURE, "not a picture"),
    ("cut short", cut_short, BAD_PICTURE, "cut short"),
    ("1 x 1", lambda: blank("bad.png", 9, 1, 1), BAD_PICTURE, "1 x 1 pixels"),
    ("20000 x 20000", huge_png, BAD_PICTURE, "more than 100 megapixels"),
    ("animated", animated_gif, BAD_PICTURE, "more than one frame"),
    ("missing", nothing, BAD_PICTURE, "does not exist"),
    ("missing mask", nothing, BAD_MASK, "does not exist"),
    ("folder", lambda: Path("bad.png").mkdir(), BAD_PICTURE, "is a folder"),
    ("no target", nothing, "face --image photo.png", "either a reference portrait"),
    ("two targets", nothing, f"{FACE} --reference other.png", "either a reference portrait"),
    ("unknown group", nothing, f"{FACE} --groups ears", "groups must be"),
    ("too strong", nothing, f"{FACE} --strength 2", "from 0 to 1.5, not 2"),
    ("no landmarks", nothing, face_of("no.npy"), "cannot be read"),
    ("few landmarks", lambda: Path("l.json").write_text("[[1, 2]]"), face_of("l.json"), "68"),
    ("no numbers", lambda: Path("l.json").write_text('{"a": 1}'), face_of("l.json"), "68"),
    ("broken JSON", lambda: Path("l.json").write_text("["), face_of("l.json"), "cannot be read"),
    ("pickle", lambda: np.save("l.npy", np.array([{}])), face_of("l.npy"), "cannot be read"),
    ("missing recipe", nothing, "run no.json", "is not there"),
    ("no recipe", nothing, "run photo.png", "holds no recipe"),
    ("broken recipe", lambda: Path("r.json").write_text("{"), "run r.json", "not valid JSON"),
    ("no PNG", nothing, f"{MOVE} -o out.jpg", r"end in \.png"),
    ("no folder", nothing, f"{MOVE} -o no/out.png", "cannot be written"),
    ("no recipe folder", nothing, f"{MOVE} --recipe no/r.json", "no folder"),
    ("no worlds", nothing, "worlds --out w -n 0", "-n from 1"),
    ("tiny worlds", nothing, "worlds --out w --size 1", "--size from 16"),
    ("no world folder", nothing, "worlds --out photo.png -n 1 --size 16", "cannot be written"),
]


@pytest.mark.parametrize(
    ("prepare", "arguments", "message"),
    [case[1:] for case in BAD_INPUT],
    ids=[case[0] for case in BAD_INPUT],
)
def test_bad_input_is_refused_before_a_model_is_loaded(
    editor, capsys, folder, prepare, arguments, message
):
    prepare()
    before = set(folder.iterdir())
    assert re.search(message, failing(arguments, capsys))
    assert not editor.loaded
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize("model", ["nowhere", "./nowhere", "weights.ckpt", "empty", ""])
def test_an_unusable_model_is_refused(folder, capsys, model):
    (folder / "weights.ckpt").write_bytes(pickle.dumps({}))
    (folder / "empty" / "unet").mkdir(parents=True)
    assert failing(f"{MOVE} --model={model}", capsys)


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
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
