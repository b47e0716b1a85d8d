import gc
import socket
from pathlib import Path
from typing import Any

import pytest

import app
from diffeditor import ModelUnavailable
from diffeditor.errors import InvalidSetting
from tests.ui.fakes import FakeEditor
from ui.launch import launch
from ui.models import Models


def test_the_page_is_on_this_machine_only_unless_told_otherwise() -> None:
    flags = app.parse([])
    assert (flags.model, flags.device) == ("embedded", "auto")
    assert (flags.host, flags.port) == ("127.0.0.1", 7860)


def test_flags_reach_the_models_and_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("ui.models.Models", lambda *arguments: arguments)
    monkeypatch.setattr("ui.launch.launch", lambda *arguments: seen.append(arguments))
    engine = "--model folder --device cpu --dtype float32 --memory low --compile"
    app.main(f"{engine} --host 0.0.0.0 --port 80".split())
    (((names, device, load), *address),) = seen
    assert (names, device, address) == (["folder"], "cpu", ["0.0.0.0", 80])
    assert load.keywords == {"dtype": "float32", "memory": "low", "compile": True}


def test_an_error_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise ModelUnavailable("There is no model; download one.")

    monkeypatch.setattr("ui.models.Models.editor", unavailable)
    with pytest.raises(SystemExit, match="There is no model; download one."):
        app.main([])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, models = taken.getsockname()[1], Models.of(FakeEditor())  # type: ignore[arg-type]
        with pytest.raises(InvalidSetting, match=f"port {port}; choose another"):
            launch(models, port=port, prevent_thread_lock=True, quiet=True)
    gc.collect()  # of the socket that Gradio leaves open


def test_the_program_stays_small() -> None:
    assert len(Path(app.__file__).read_text(encoding="utf-8").splitlines()) < 50
