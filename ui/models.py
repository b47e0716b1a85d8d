"""The models that the page offers, of which one is in memory."""

import threading
from collections.abc import Callable, Iterable
from typing import Self

from diffeditor import Editor, load_editor, models_here
from diffeditor.errors import InvalidSetting

Load = Callable[..., Editor]
"""(name, device=...) -> Editor; `load_editor` but for tests."""


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
        self._editor: Editor | None = None

    @classmethod
    def of(cls, editor: Editor) -> Self:
        """Offers an editor that is loaded already, and no other."""
        models = cls.__new__(cls)
        models._names = (editor.model_name,)
        models._lock = threading.Lock()
        models._current, models._editor = editor.model_name, editor
        return models

    @property
    def names(self) -> tuple[str, ...]:
        """What may be asked for."""
        return self._names

    @property
    def current(self) -> str:
        """The name that was asked for last; at first that of the model to begin with."""
        return self._current

    def editor(self, name: str) -> Editor:
        """The editor of a model, loaded now unless it was the last one too.

        The editor before is closed first, which waits until its running edit has ended.

        Raises:
            InvalidSetting: the name is not offered. Names come from browsers: no other is loaded.
            ModelUnavailable: the model cannot be loaded; the next call tries again.
        """
        if name not in self._names:
            raise InvalidSetting(
                f"There is no model {name!r} here; choose one of {', '.join(self._names)}."
            )
        with self._lock:
            if self._editor is None or name != self._current:
                self._replace(name)
            assert self._editor is not None
            return self._editor

    def _replace(self, name: str) -> None:
        if self._editor is not None:
            self._editor.close()
        self._editor, self._current = None, name
        self._editor = self._load(name, device=self._device)
