"""The fields of a preset as single values, one for each control, and back.

What controls there are follows from the dataclass. A window of steps has one for each of its
parts; a field that takes any number of windows has `WINDOWS` rows of them. A window whose `start`
and `stop` are both None is none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from diffeditor import PRESETS, Preset, changed_preset
from diffeditor.errors import InvalidSetting
from ui.state import Values

WINDOWS = 3
"""Rows of a field that takes any number of windows."""
EMPTY = ""
"""What a box without a number holds: Gradio shows None as 0 in a box that appears with it."""
_NEVER = {"stop": 0.0}
_HINTS = get_type_hints(Preset)


@dataclass(frozen=True, kw_only=True)
class Control:
    """One value of a preset.

    Attributes:
        path: the field; for windows the number of the row, from 1, and the part.
        hint: the type of the value.
        limits: the least and the largest number, or None.
    """

    path: tuple[str | int, ...]
    hint: Any
    limits: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """ "settings.<field>", "settings.<field>.<part>" or "settings.<field>.<row>.<part>"."""
        return ".".join(map(str, ("settings", *self.path)))

    @property
    def optional(self) -> bool:
        """Whether None is a value: the model's own."""
        return type(None) in get_args(self.hint)

    @property
    def whole(self) -> bool:
        """Whether the value is a whole number."""
        return int in (self.hint, *get_args(self.hint))

    def of(self, preset: Preset) -> Any:
        """The value that a preset has here; in a row without a window None, or False."""
        value: Any = preset
        for step in self.path:
            if isinstance(step, int):
                value = dict(enumerate(value, 1)).get(step)
            else:
                value = getattr(value, step, None)
        return False if value is None and self.hint is bool else value


def _controls() -> Iterator[Control]:
    for item in fields(Preset):
        hint = _HINTS[item.name]
        if get_origin(hint) is tuple:
            for row in range(1, WINDOWS + 1):
                yield from _parts((item.name, row), get_args(hint)[0])
        elif is_dataclass(hint):
            yield from _parts((item.name,), hint)
        elif item.name != "description":
            yield Control(path=(item.name,), hint=hint, limits=item.metadata.get("range"))


def _parts(path: tuple[str | int, ...], window: Any) -> Iterator[Control]:
    for part, hint in get_type_hints(window).items():
        yield Control(path=(*path, part), hint=hint)


CONTROLS = tuple(_controls())
"""In the order of the fields."""


def values_of(preset: Preset) -> dict[str, Any]:
    """The value of every control for a preset, by the control's name.

    Raises:
        InvalidSetting: it has more windows than there are rows.
    """
    for name, hint in _HINTS.items():
        if get_origin(hint) is tuple and len(getattr(preset, name)) > WINDOWS:
            raise InvalidSetting(
                f"The page has room for {WINDOWS} windows of {name}, not for "
                f"{len(getattr(preset, name))}; run this preset from the command line."
            )
    values = {control.name: control.of(preset) for control in CONTROLS}
    return {name: EMPTY if value is None else value for name, value in values.items()}


def preset_from(base: str, values: Values) -> Preset:
    """The preset of this name with the values of all controls.

    Raises:
        InvalidSetting: there is no such preset, or a value is not one that it takes.
    """
    if base not in PRESETS:
        raise InvalidSetting(f"There is no preset {base!r}; choose one of {', '.join(PRESETS)}.")
    changes = {name: _entered(name, values) for name in _HINTS if name != "description"}
    return changed_preset(PRESETS[base], changes)


def _entered(name: str, values: Values) -> Any:
    """What the controls of a field hold, as JSON."""
    hint = _HINTS[name]
    if get_origin(hint) is tuple:
        rows = (_window((name, row), values) for row in range(1, WINDOWS + 1))
        return [window for window in rows if window is not None]
    if is_dataclass(hint):
        return _window((name,), values) or _NEVER
    [control] = (control for control in CONTROLS if control.path == (name,))
    return _number(control, values)


def _window(path: tuple[str | int, ...], values: Values) -> dict[str, Any] | None:
    parts = {
        str(control.path[-1]): _number(control, values)
        for control in CONTROLS
        if control.path[:-1] == path
    }
    given = {part: value for part, value in parts.items() if value is not None}
    return given if "start" in given or "stop" in given else None


def _number(control: Control, values: Values) -> Any:
    """The value of a control, with a whole number as one also where the browser sends a float."""
    value: Any = values[control.name]
    if value == EMPTY:
        return None
    whole = control.whole and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value
