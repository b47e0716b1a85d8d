"""An edit as data: stored as a JSON file or inside the result's PNG, and run again from there.

    {"version": 1, "task": "move", "model": "embedded", "seed": 0,
     "vae": "stabilityai/sd-vae-ft-mse", "loras": ["style.safetensors:0.6"],
     "preset": "diffeditor" or {"base": "diffeditor", "steps": 20, ...fields that differ},
     "inputs": {"image": "data:image/png;base64,..." or "photo.png", "shift": [40, 0], ...}}

The VAE and the LoRA files are there where the model was loaded with them. Inputs are the fields of
the task; pictures and masks are embedded, or lie in the folder of the JSON file and are named by a
path relative to it. What is malformed raises InvalidSetting (or another InvalidEdit).
"""

import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol, cast

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffeditor.config import PRESETS, Preset, find_preset
from diffeditor.errors import DiffEditorError, InvalidSetting
from diffeditor.recipe_json import (
    CHUNK,
    PNG_LEVEL,
    Storage,
    check_keys,
    embedded,
    mapping,
    parsed_json,
    picture_bytes,
    picture_fields,
    plain,
    recipe_text,
    stored_input,
    typed_fields,
)
from diffeditor.tasks import TASKS, Task

VERSION = 1
MAX_CHUNK = 32 * 2**20
"""Bytes; Pillow, for one, refuses a PNG whose texts take over 64 MiB."""
MAX_SEED = 2**63 - 1

_KEYS = ("version", "task", "model", "vae", "loras", "preset", "seed", "inputs")


class Edited(Protocol):
    """What `save_result` needs of a result."""

    @property
    def image(self) -> Image.Image: ...
    @property
    def recipe(self) -> "Recipe": ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """What decides the outcome of an edit: task, preset, seed, model.

    Not in it is how `load_editor` was told to run the model: device, dtype and memory plan, an
    image prompt or a landmark finder other than the model's own. Give these again.

    Attributes:
        task_name: which of TASKS.
        inputs: the task's fields by name, in any form that the task takes.
        preset_name, changes: one of PRESETS and the fields in which the edit's preset differs.
        seed: from 0.
        model, vae, loras: what `load_editor` takes; LoRA files with their scales, in order.
    """

    task_name: str
    inputs: Mapping[str, Any]
    preset_name: str = "diffeditor"
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    model: str = "embedded"
    vae: str | None = None
    loras: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.task_name, str) or self.task_name not in TASKS:
            raise InvalidSetting(
                f"There is no task {self.task_name!r}; choose one of {', '.join(TASKS)}."
            )
        known = {item.name: item.default is MISSING for item in fields(TASKS[self.task_name])}
        check_keys(self.inputs, known, f"a {self.task_name} recipe's inputs")
        for name, required in known.items():
            if required and name not in self.inputs:
                raise InvalidSetting(f"The recipe's inputs lack {name!r}; add it.")
        if type(self.seed) is not int or not 0 <= self.seed <= MAX_SEED:
            raise InvalidSetting(f"seed must be a whole number from 0, not {self.seed!r}.")
        if not isinstance(self.model, str) or not self.model:
            raise InvalidSetting(f"model must be the name of a model, not {self.model!r}.")
        if self.vae is not None and (not isinstance(self.vae, str) or not self.vae):
            raise InvalidSetting(f"vae must be the name of a VAE, not {self.vae!r}.")
        if not isinstance(self.loras, list | tuple) or not all(
            isinstance(lora, str) and lora for lora in self.loras
        ):
            raise InvalidSetting(f"loras must be a list of LoRA files, not {self.loras!r}.")

    @classmethod
    def from_task(
        cls,
        task: Task,
        preset: str | Preset = "diffeditor",
        seed: int = 0,
        model: str = "embedded",
        vae: str | None = None,
        loras: Sequence[str] = (),
    ) -> "Recipe":
        """The recipe of this edit. Nothing is encoded before it is stored."""
        preset_name, changes = _nearest_preset(find_preset(preset))
        inputs = {item.name: getattr(task, item.name) for item in fields(task)}
        return cls(
            task_name=task.name,
            inputs={name: value for name, value in inputs.items() if value is not None},
            preset_name=preset_name,
            changes=changes,
            seed=seed,
            model=model,
            vae=vae,
            loras=tuple(loras),
        )

    @classmethod
    def load(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> "Recipe":
        """The recipe in a JSON file, in a result's PNG or in parsed JSON.

        Raises InvalidSetting. Pictures are read but not decoded: `task()` does that.
        """
        if isinstance(source, Mapping):
            return cls._parsed(source, None)
        path = Path(source)
        return cls._parsed(parsed_json(recipe_text(path)), path.parent)

    @classmethod
    def _parsed(cls, data: object, folder: Path | None) -> "Recipe":
        entries = mapping(data, "a recipe")
        check_keys(entries, _KEYS, "a recipe")
        if entries.get("version") != VERSION:
            raise InvalidSetting(
                f"The recipe has version {entries.get('version')!r}, not {VERSION}; "
                "it is from another release or not a recipe."
            )
        inputs = mapping(entries.get("inputs"), "a recipe's inputs")
        preset_name, changes = _parsed_preset(entries.get("preset", "diffeditor"))
        recipe = cls(
            task_name=cast(str, entries.get("task")),
            inputs=inputs,
            preset_name=preset_name,
            changes=changes,
            seed=entries.get("seed", 0),
            model=entries.get("model", "embedded"),
            vae=entries.get("vae"),
            loras=entries.get("loras", ()),
        )
        pictures = picture_fields(TASKS[recipe.task_name])
        read = {
            name: picture_bytes(value, name, folder) if name in pictures else value
            for name, value in inputs.items()
            if value is not None
        }
        return replace(recipe, inputs=read)

    def task(self) -> Task:
        """The task, its pictures decoded and everything checked.

        Raises InvalidEdit as the task does.
        """
        try:
            return TASKS[self.task_name](**self.inputs)
        except DiffEditorError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidSetting(
                f"The recipe's inputs do not describe a {self.task_name} task; check their types."
            ) from error

    def preset(self) -> Preset:
        return replace(find_preset(self.preset_name), **self.changes)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON objects, with its pictures embedded."""
        return self._stored(embedded)

    def to_json(self) -> str:
        """The recipe as JSON text, with its pictures embedded."""
        return json.dumps(self.to_dict())

    def save(self, path: str | os.PathLike[str], *, embed: bool = True) -> None:
        """Writes the JSON file; with `embed` off the pictures become PNG files beside it.

        No other picture is overwritten: a name that is taken gets a number.

        Raises InvalidSetting if it cannot be written.
        """
        path = Path(path)

        def beside(name: str, picture: Image.Image) -> str:
            file = _room_for(picture, path.with_name(f"{path.stem}-{name}.png"))
            picture.save(file, compress_level=PNG_LEVEL)
            return file.name

        with _writing(path):
            stored = self._stored(embedded if embed else beside)
            path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")

    def _stored(self, store: Storage) -> dict[str, Any]:
        task = self.task()
        inputs = {item.name: getattr(task, item.name) for item in fields(task)}
        preset = {"base": self.preset_name, **{k: plain(v) for k, v in self.changes.items()}}
        parts = {"vae": self.vae, "loras": list(self.loras)}
        return {
            "version": VERSION,
            "task": self.task_name,
            "model": self.model,
            **{name: part for name, part in parts.items() if part},
            "preset": preset if self.changes else self.preset_name,
            "seed": self.seed,
            "inputs": {
                name: stored_input(name, value, store)
                for name, value in inputs.items()
                if value is not None
            },
        }


def save_result(result: Edited, path: str | os.PathLike[str], *, recipe: bool = True) -> bool:
    """Writes the picture as PNG, by default with its recipe inside; True if the recipe is in it.

    The recipe holds the source, the references and the masks, so that `Recipe.load` can repeat the
    edit from the PNG alone, and so that whoever gets the PNG gets the source too. A recipe of more
    than MAX_CHUNK bytes (a photograph from about 20 megapixels) is left out.
    Raises InvalidSetting if the path is not one of a PNG file or cannot be written.
    """
    path = checked_result_path(path)
    info = PngInfo()
    text = result.recipe.to_json() if recipe else ""
    included = 0 < len(text) <= MAX_CHUNK
    if included:
        info.add_itxt(CHUNK, text)
    with _writing(path):
        result.image.save(path, "PNG", pnginfo=info, compress_level=PNG_LEVEL)
    return included


def checked_result_path(path: str | os.PathLike[str]) -> Path:
    """The path of a PNG file in a folder that exists; raises InvalidSetting."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InvalidSetting(f"Results are PNG files; let {path.name!r} end in .png.")
    with _writing(path):
        if not path.parent.is_dir() or path.is_dir():
            raise OSError("no folder to write to, or a folder in the way")
    return path


def changed_preset(base: Preset, changes: Mapping[str, Any]) -> Preset:
    """The preset with changes given as JSON values: windows as objects, tuples as lists.

    Raises InvalidSetting for an unknown field, a wrong type or a value out of range.
    """
    return replace(base, **typed_fields(Preset, changes, "a preset"))


def _parsed_preset(value: object) -> tuple[str, dict[str, Any]]:
    """(name, changes) of a preset's name or of an object with "base" and changed fields."""
    if isinstance(value, str):
        find_preset(value)
        return value, {}
    changes = dict(mapping(value, "a recipe's preset"))
    base = changes.pop("base", "diffeditor")
    if not isinstance(base, str):
        raise InvalidSetting(f"A recipe's preset has the name of one as base, not {base!r}.")
    preset = changed_preset(find_preset(base), changes)
    return base, {name: getattr(preset, name) for name in changes}


def _room_for(picture: Image.Image, file: Path) -> Path:
    """This file, or one with a number, that is not there yet or holds the same picture."""
    others = (file.with_name(f"{file.stem}-{number}{file.suffix}") for number in count(2))
    return next(one for one in chain([file], others) if not one.exists() or _holds(one, picture))


def _holds(file: Path, picture: Image.Image) -> bool:
    try:
        with Image.open(file) as held:
            same = (held.mode, held.size) == (picture.mode, picture.size)
            return same and held.tobytes() == picture.tobytes()
    except OSError:
        return False


@contextmanager
def _writing(path: Path) -> Generator[None]:
    try:
        yield
    except DiffEditorError:
        raise
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{str(path)!r} cannot be written; choose another path.") from error


def _nearest_preset(preset: Preset) -> tuple[str, dict[str, Any]]:
    """The named preset that differs least, and the differences."""
    differences = {
        name: {
            item.name: getattr(preset, item.name)
            for item in fields(Preset)
            if getattr(preset, item.name) != getattr(known, item.name)
        }
        for name, known in PRESETS.items()
    }
    nearest = min(differences, key=lambda name: len(differences[name]))
    return nearest, differences[nearest]
