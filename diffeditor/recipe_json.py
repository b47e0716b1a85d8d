"""Recipes as JSON: read with suspicion, typed as our classes want it, and written.

Recipes may come from strangers. Everything here that reads raises InvalidSetting with one sentence
for what is malformed or reaches out of the recipe's folder.
"""

import base64
import json
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, is_dataclass
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from PIL import Image

from diffeditor.errors import InvalidSetting
from diffeditor.tasks import Task

CHUNK = "diffeditor"
"""Keyword of the PNG chunk (iTXt, uncompressed) that holds a recipe."""
MAX_FILE = 2**30
"""Bytes of a recipe or a picture beside it: more than two of the largest pictures need."""
PNG_LEVEL = 4
"""zlib's effort: on photographs as small as the default 6, in a third of the time."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_HEAD = CHUNK.encode() + b"\0" * 5
"""Keyword, then uncompressed, without language and translated keyword."""
_DATA_URL = "data:image/png;base64,"

Storage = Callable[[str, Image.Image], str]
"""Stores the picture of the named input; returns what the JSON says in its place."""


def recipe_text(path: Path) -> bytes:
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
    raise InvalidSetting(
        "The PNG holds no recipe, as no picture downloaded from the page does; take the JSON file."
    )


def parsed_json(text: bytes) -> object:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting("The recipe is not valid JSON; save it again.") from error


def picture_bytes(value: object, name: str, folder: Path | None) -> bytes:
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


def picture_fields(task: type[Task]) -> set[str]:
    """The inputs that are pictures or masks: those whose type admits a PIL picture."""
    return {name for name, hint in get_type_hints(task).items() if Image.Image in get_args(hint)}


def mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidSetting(f"The JSON of {what} must be an object.")
    return cast(Mapping[str, Any], value)


def check_keys(found: Collection[str], known: Collection[str], what: str) -> None:
    for key in found:
        if key not in known:
            raise InvalidSetting(
                f"{what[0].upper()}{what[1:]} cannot have {key!r}; it has {', '.join(known)}."
            )


def typed_fields(owner: type, values: Mapping[str, Any], what: str) -> dict[str, Any]:
    hints = get_type_hints(owner)
    check_keys(values, hints, what)
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
        return cast(Any, hint)(**typed_fields(cast(type, hint), value, name))
    if type(value) is hint or (hint is float and type(value) is int):
        return value
    raise InvalidSetting(f"{name} must be {_expected(hint)}, not {value!r}.")


def _expected(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return names.get(hint, "an object" if is_dataclass(hint) else "a list")


def plain(value: Any) -> Any:
    """Windows as objects and tuples as lists."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    return value


def stored_input(name: str, value: Any, store: Storage) -> Any:
    """A validated input of a task as JSON."""
    if isinstance(value, Image.Image):
        return store(name, value)
    if isinstance(value, np.ndarray):
        return store(name, Image.fromarray(value)) if value.dtype == bool else value.tolist()
    return plain(value)


def embedded(name: str, picture: Image.Image) -> str:
    file = BytesIO()
    picture.save(file, "PNG", compress_level=PNG_LEVEL)
    return _DATA_URL + base64.b64encode(file.getvalue()).decode()
