"""The models that the page offers, of which one is in memory."""

import threading
from collections.abc import Callable, Iterable
from typing import Self, TypeAlias

from diffeditor import Editor, load_editor, models_here
from diffeditor.errors import InvalidSetting

Load = Callable[..., Editor]
"""(name, device=...) -> Editor; `load_editor` but for tests."""
Parts: TypeAlias = tuple[str | None, tuple[str, ...]]
"""The names of a VAE in place of a model's own, or None, and of LoRA files."""


class Models:
    """Editors by the names of their models, one at a time. Thread-safe."""

    def __init__(
        self, names: Iterable[str], device: str = "auto", load: Load = load_editor
    ) -> None:
        """Offers these names, the first as the one to begin with, then those on this machine.

        Nothing is loaded before `editor` is asked for it.
        """
        self._names = tuple(dict.fromkeys([*names, *models_here()]))
        self._device = device
        self._load = load
        self._lock = threading.Lock()
        self._current = self._names[0]
        self._parts: dict[str, Parts] = {}
        self._editor: Editor | None = None

    @classmethod
    def of(cls, editor: Editor) -> Self:
        """Offers an editor that is loaded already, and no other."""
        models = cls.__new__(cls)
        models._names = (editor.model_name,)
        models._lock = threading.Lock()
        models._current, models._editor = editor.model_name, editor
        models._parts = {editor.model_name: _parts(editor)}
        return models

    @property
    def names(self) -> tuple[str, ...]:
        """What may be asked for."""
        return self._names

    @property
    def current(self) -> str:
        """The name of the model that was loaded last; at first of the one to begin with."""
        return self._current

    def parts(self, name: str) -> Parts:
        """What a model was last loaded with; one that was not yet is taken to bring its own."""
        return self._parts.get(name, (None, ()))

    def editor(self, name: str | None = None) -> Editor:
        """The editor of a model, by default of `current`; loaded now unless it is in memory.

        The editor before is closed first, which waits until its running edit has ended.

        Raises:
            InvalidSetting: the name is not offered. Names come from browsers: no other is loaded.
            ModelUnavailable: the model cannot be loaded; the next call tries again.
        """
        if name is not None and name not in self._names:
            raise InvalidSetting(
                f"There is no model {name!r} here; choose one of {', '.join(self._names)}."
            )
        with self._lock:
            wanted = self._current if name is None else name
            if self._editor is None or wanted != self._current:
                self._replace(wanted)
            assert self._editor is not None
            return self._editor

    def _replace(self, name: str) -> None:
        if self._editor is not None:
            self._editor.close()
        self._editor = None
        self._editor = self._load(name, device=self._device)
        self._current, self._parts[name] = name, _parts(self._editor)


def _parts(editor: Editor) -> Parts:
    return editor.vae, editor.loras
