"""One model in memory, changed only between edits."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from diffeditor import Editor, models_here
from diffeditor.backbones import StableDiffusion
from diffeditor.errors import InvalidSetting, ModelUnavailable
from tests.ui.fakes import FakeEditor
from ui.models import Models


class Loader:
    """Loads fakes; keeps what it loaded and in which order editors were loaded and closed."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.fails = False

    def __call__(self, name: str, *, device: str) -> Any:
        if self.fails:
            raise ModelUnavailable("It is damaged.")
        self.log.append(f"load {name} on {device}")
        editor = FakeEditor(model_name=name)
        editor.close = lambda: self.log.append(f"close {name}")  # type: ignore[attr-defined]
        return editor


@pytest.fixture
def load() -> Loader:
    return Loader()


def test_the_given_names_come_first_and_none_twice(load: Loader) -> None:
    models = Models(["a", "embedded", "a"], "cpu", load)
    assert models.names[:2] == ("a", "embedded") and models.current == "a"
    assert set(models.names) == {"a", *models_here()}
    assert load.log == []


def test_a_model_is_loaded_once_and_leaves_for_the_next(load: Loader) -> None:
    models = Models(["a", "b"], "cpu", load)
    first = models.editor("a")
    assert models.editor("a") is first
    assert models.editor("b").model_name == models.current == "b"
    assert load.log == ["load a on cpu", "close a", "load b on cpu"]


def test_what_is_not_offered_is_never_loaded(load: Loader) -> None:
    models = Models(["a"], "cpu", load)
    with pytest.raises(InvalidSetting, match=r"no model '/etc/passwd' here; choose one of a, emb"):
        models.editor("/etc/passwd")
    assert load.log == []


def test_after_a_failure_any_model_can_be_asked_for(load: Loader) -> None:
    models = Models(["a", "b"], "cpu", load)
    models.editor("a")
    load.fails = True
    with pytest.raises(ModelUnavailable, match="damaged"):
        models.editor("b")
    load.fails = False
    assert models.current == "a" and models.editor().model_name == "a"
    assert models.editor("b").model_name == "b"
    assert models.editor("a").model_name == "a"


def test_the_one_in_memory_is_the_default(load: Loader) -> None:
    models = Models(["a", "b"], "cpu", load)
    assert models.editor() is models.editor("a")
    assert models.editor("b") is models.editor()
    assert load.log == ["load a on cpu", "close a", "load b on cpu"]


def test_what_a_model_was_loaded_with_is_known(load: Loader) -> None:
    def with_vae(name: str, *, device: str) -> Any:
        editor = load(name, device=device)
        editor.vae, editor.loras = ("mine", ("x", "y")) if name == "a" else (None, ())
        return editor

    models = Models(["a", "b"], "cpu", with_vae)
    models.editor("a")
    assert models.parts("b") == (None, ())
    models.editor("b")
    assert (models.parts("a"), models.parts("b")) == (("mine", ("x", "y")), (None, ()))


def test_many_who_ask_at_once_get_one_editor(load: Loader) -> None:
    models = Models(["a"], "cpu", load)
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(models.editor("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8 and len({id(editor) for editor in got}) == 1 == len(load.log)


def test_a_running_edit_ends_before_its_model_leaves(
    tiny_model: StableDiffusion, load: Loader
) -> None:
    editor, changed = Editor(tiny_model), threading.Event()
    begin: list[Callable[..., Any]] = [lambda *_, **__: editor, load]
    models = Models(["a", "b"], "cpu", lambda *args, **options: begin.pop(0)(*args, **options))
    assert models.editor("a") is editor
    with editor._lock:  # held by an edit as long as it runs
        thread = threading.Thread(target=lambda: (models.editor("b"), changed.set()))
        thread.start()
        assert not changed.wait(0.2)
    thread.join(10)
    assert changed.is_set()
    with pytest.raises(ModelUnavailable, match="closed"):
        _ = editor.native_size


def test_a_loaded_editor_is_offered_alone() -> None:
    editor: Any = FakeEditor(model_name="mine")
    models = Models.of(editor)
    assert (models.names, models.current) == (("mine",), "mine")
    assert models.editor("mine") is models.editor() is editor
    assert models.parts("mine") == (None, ())
    with pytest.raises(InvalidSetting, match="no model 'embedded'"):
        models.editor("embedded")
