"""The command line: interrupts, errors, wrong usage and bad input, each in one sentence."""

import pickle
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffeditor.cli import main
from diffeditor.errors import ModelUnavailable
from tests.cli.fakes import DRAG, FACE, HEIGHT, MOVE, PASTE, WIDTH, failing


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
