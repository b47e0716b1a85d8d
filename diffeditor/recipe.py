"""An edit as data: stored as a JSON file or inside the result's PNG, and run again from there.

    {"version": 1, "task": "move", "model": "embedded", "seed": 0,
     "vae": "stabilityai/sd-vae-ft-mse", "loras": ["style.safetensors:0.6"],
     "preset": "diffeditor" or {"base": "diffeditor", "steps": 20, ...fields that differ},
     "inputs": {"image": "data:image/png;base64,..." or "photo.png", "shift": [40, 0], ...}}

The VAE and the LoRA files are there where the model was loaded with them. Inputs are the fields of
the task. Pictures and masks are embedded, or lie in the folder of the JSON
file and are named by a path relative to it. Recipes may come from strangers: whatever is malformed
or reaches out of the folder raises InvalidSetting (or another InvalidEdit) with one sentence.
"""

import base64
import json
import os
import types
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import Any, Literal, Protocol, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffeditor.config import PRESETS, Preset, find_preset
from diffeditor.errors import DiffEditorError, InvalidSetting
from diffeditor.tasks import TASKS, Task

VERSION = 1
CHUNK = "diffeditor"
"""Keyword of the PNG chunk (iTXt, uncompressed) that holds a recipe."""
MAX_CHUNK = 32 * 2**20
"""Bytes; Pillow, for one, refuses a PNG whose texts take over 64 MiB."""
MAX_FILE = 2**30
"""Bytes of a recipe or a picture beside it: more than two of the largest pictures need."""
MAX_SEED = 2**63 - 1
PNG_LEVEL = 4
"""zlib's effort: on photographs as small as the default 6, in a third of the time."""

_KEYS = ("version", "task", "model", "vae", "loras", "preset", "seed", "inputs")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_HEAD = CHUNK.encode() + b"\0" * 5
"""Keyword, then uncompressed, without language and translated keyword."""
_DATA_URL = "data:image/png;base64,"

Storage = Callable[[str, Image.Image], str]
"""Stores the picture of the named input; returns what the JSON says in its place."""


class Edited(Protocol):
    """What `save_result` needs of a result."""

    @property
    def image(self) -> Image.Image: ...
    @property
    def recipe(self) -> "Recipe": ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """Everything that decides the outcome of an edit, but the device.

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
        _check_keys(self.inputs, known, f"a {self.task_name} recipe's inputs")
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
        return cls._parsed(_parsed_json(_text(path)), path.parent)

    @classmethod
    def _parsed(cls, data: object, folder: Path | None) -> "Recipe":
        entries = _mapping(data, "a recipe")
        _check_keys(entries, _KEYS, "a recipe")
        if entries.get("version") != VERSION:
            raise InvalidSetting(
                f"The recipe has version {entries.get('version')!r}, not {VERSION}; "
                "it is from another release or not a recipe."
            )
        inputs = _mapping(entries.get("inputs"), "a recipe's inputs")
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
        pictures = _picture_fields(TASKS[recipe.task_name])
        read = {
            name: _picture_bytes(value, name, folder) if name in pictures else value
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
        """The preset with its changes."""
        return replace(find_preset(self.preset_name), **self.changes)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON objects, with its pictures embedded."""
        return self._stored(_embedded)

    def to_json(self) -> str:
        """The recipe as JSON text, with its pictures embedded."""
        return json.dumps(self.to_dict())

    def save(self, path: str | os.PathLike[str], *, embed: bool = True) -> None:
        """Writes the JSON file; with `embed` off the pictures become PNG files beside it.

        Raises InvalidSetting if it cannot be written.
        """
        path = Path(path)

        def beside(name: str, picture: Image.Image) -> str:
            file = path.with_name(f"{path.stem}-{name}.png")
            picture.save(file, compress_level=PNG_LEVEL)
            return file.name

        with _writing(path):
            stored = self._stored(_embedded if embed else beside)
            path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")

    def _stored(self, store: Storage) -> dict[str, Any]:
        task = self.task()
        inputs = {item.name: getattr(task, item.name) for item in fields(task)}
        preset = {"base": self.preset_name, **{k: _plain(v) for k, v in self.changes.items()}}
        parts = {"vae": self.vae, "loras": list(self.loras)}
        return {
            "version": VERSION,
            "task": self.task_name,
            "model": self.model,
            **{name: part for name, part in parts.items() if part},
            "preset": preset if self.changes else self.preset_name,
            "seed": self.seed,
            "inputs": {
                name: _stored_input(name, value, store)
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
    return replace(base, **_typed_fields(Preset, changes, "a preset"))


# Reading


def _text(path: Path) -> bytes:
    """The JSON in the file: all of it, or that of a result's PNG."""
    data = _file_bytes(path, "recipe")
    return _chunk(data) if data.startswith(_PNG_SIGNATURE) else data


def _file_bytes(path: Path, name: str) -> bytes:
    try:
        if path.is_file() and path.stat().st_size <= MAX_FILE:
            return path.read_bytes()
        fault = "is too large" if path.is_file() else "is not there"
    except (OSError, ValueError):
        fault = "cannot be read"
    raise InvalidSetting(f"The {name} {str(path)!r} {fault}; check the path.")


def _chunk(png: bytes) -> bytes:
    position = len(_PNG_SIGNATURE)
    while position < len(png):
        length = int.from_bytes(png[position : position + 4])
        kind, start = png[position + 4 : position + 8], position + 8
        if kind == b"iTXt" and png.startswith(_CHUNK_HEAD, start):
            return png[start + len(_CHUNK_HEAD) : start + length]
        position = start + length + 4
    raise InvalidSetting("The PNG holds no recipe; take a result as it was saved, or a JSON file.")


def _parsed_json(text: bytes) -> object:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting("The recipe is not valid JSON; save it again.") from error


def _parsed_preset(value: object) -> tuple[str, dict[str, Any]]:
    """(name, changes) of a preset's name or of an object with "base" and changed fields."""
    if isinstance(value, str):
        find_preset(value)
        return value, {}
    changes = dict(_mapping(value, "a recipe's preset"))
    base = changes.pop("base", "diffeditor")
    if not isinstance(base, str):
        raise InvalidSetting(f"A recipe's preset has the name of one as base, not {base!r}.")
    preset = changed_preset(find_preset(base), changes)
    return base, {name: getattr(preset, name) for name in changes}


def _picture_bytes(value: object, name: str, folder: Path | None) -> bytes:
    """The file of a picture that is embedded, or that lies in the recipe's folder."""
    if not isinstance(value, str):
        raise InvalidSetting(f"The recipe's {name} must be a data URL or a path.")
    if value.startswith("data:"):
        return _data_url_bytes(value, name)
    if folder is None:
        raise InvalidSetting(f"The recipe's {name} is a path, but the recipe is not a file.")
    if not _stays_inside(value, folder):
        raise InvalidSetting(f"The recipe's {name} must lie in the recipe's own folder.")
    return _file_bytes(folder / value, f"recipe's {name}")


def _stays_inside(path: str, folder: Path) -> bool:
    """Whether the path is relative, climbs nowhere and follows no link out of the folder."""
    written = PureWindowsPath(path)  # takes both kinds of separators, and drives
    if written.anchor or ".." in written.parts:
        return False
    try:
        return (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def _data_url_bytes(url: str, name: str) -> bytes:
    try:
        if url.startswith(_DATA_URL):
            return base64.b64decode(url.removeprefix(_DATA_URL), validate=True)
    except ValueError:
        pass
    raise InvalidSetting(f"The recipe's {name} must be embedded as {_DATA_URL}...")


def _picture_fields(task: type[Task]) -> set[str]:
    """The inputs that are pictures or masks: those whose type admits a PIL picture."""
    return {name for name, hint in get_type_hints(task).items() if Image.Image in get_args(hint)}


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidSetting(f"The JSON of {what} must be an object.")
    return cast(Mapping[str, Any], value)


def _check_keys(found: Collection[str], known: Collection[str], what: str) -> None:
    for key in found:
        if key not in known:
            raise InvalidSetting(
                f"{what[0].upper()}{what[1:]} cannot have {key!r}; it has {', '.join(known)}."
            )


def _typed_fields(owner: type, values: Mapping[str, Any], what: str) -> dict[str, Any]:
    hints = get_type_hints(owner)
    _check_keys(values, hints, what)
    return {name: _typed(value, hints[name], name) for name, value in values.items()}


def _typed(value: Any, hint: Any, name: str) -> Any:
    """A JSON value as the type that the hint asks for."""
    kind, choices = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):
        wanted = [choice for choice in choices if choice is not type(None)]
        return None if value is None else _typed(value, wanted[0], name)
    if kind is Literal and value in choices:
        return value
    if kind is tuple and isinstance(value, list | tuple):
        return tuple(_typed(item, choices[0], name) for item in value)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return cast(Any, hint)(**_typed_fields(cast(type, hint), value, name))
    if type(value) is hint or (hint is float and type(value) is int):
        return value
    raise InvalidSetting(f"{name} must be {_expected(hint)}, not {value!r}.")


def _expected(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, "an object" if is_dataclass(hint) else "a list")


# Writing


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


def _plain(value: Any) -> Any:
    """Windows as objects and tuples as lists."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    return value


def _stored_input(name: str, value: Any, store: Storage) -> Any:
    """A validated input of a task as JSON."""
    if isinstance(value, Image.Image):
        return store(name, value)
    if isinstance(value, np.ndarray):
        return store(name, Image.fromarray(value)) if value.dtype == bool else value.tolist()
    return _plain(value)


def _embedded(name: str, picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, "PNG", compress_level=PNG_LEVEL)
    return _DATA_URL + base64.b64encode(file.getvalue()).decode()
