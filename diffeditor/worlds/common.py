"""What scenes and faces share: the finished picture and the way a spec becomes JSON and back."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

import numpy as np


class Spec(Protocol):
    """A frozen dataclass of floats, ints, strings, tuples of these and frozen dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    kind: ClassVar[str]


SpecT = TypeVar("SpecT")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Render:
    """One finished picture with its ground truth.

    image: uint8 (H, W, 3) RGB.
    masks: one bool (H, W) per object, its visible pixels; for a face one mask, face and hair.
    parts: named bool (H, W) masks of a face (eyes, mouth, hair ...); empty for a scene.
    landmarks: float64 (68, 2), (x, y) in continuous pixel coordinates (the centre of pixel
        (row r, column c) lies at (c + 0.5, r + 0.5)); None for a scene.
    """

    image: np.ndarray
    masks: list[np.ndarray]
    parts: dict[str, np.ndarray]
    caption: str
    landmarks: np.ndarray | None = None


def to_dict(spec: Spec) -> dict[str, Any]:
    """`spec` as plain JSON values, with its class named under "kind"."""
    return {"kind": spec.kind, **dataclasses.asdict(spec)}


def from_dict(cls: type[SpecT], data: Mapping[str, Any]) -> SpecT:
    """The inverse of `to_dict` for a known class; also takes what `json.loads` returns.

    Raises TypeError when a field is unknown or a required one is missing.
    """
    hints = get_type_hints(cls)
    given = {name: value for name, value in data.items() if name != "kind"}
    unknown = given.keys() - {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown:
        raise TypeError(f"{cls.__name__} has no field {', '.join(sorted(unknown))}")
    return cls(**{name: _restore(hints[name], value) for name, value in given.items()})


def _restore(hint: Any, value: Any) -> Any:
    """`value` with lists turned back into tuples and mappings into dataclasses, as `hint` says."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value)
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        if inner[-1] is Ellipsis:
            inner = (inner[0],) * len(value)
        return tuple(_restore(one, item) for one, item in zip(inner, value, strict=True))
    if isinstance(hint, types.UnionType):
        chosen = next(one for one in get_args(hint) if (one is type(None)) == (value is None))
        return _restore(chosen, value)
    return float(value) if hint is float else value
