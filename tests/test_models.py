"""`diffeditor models` on the command line, and the options of an edit that name models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from diffeditor.cli import main
from diffeditor.errors import ModelUnavailable
from diffeditor.hub import DEFAULT_MODEL, KNOWN
from tests.fake_hub import FakeHub, running_hub

REPO = "someone/tiny"


@pytest.fixture(autouse=True)
def online(tmp_path: Path, tiny_folder: Path) -> Iterator[FakeHub]:
    """A hub that serves the tiny model, and an empty cache."""
    with running_hub(tmp_path / "cache") as served:
        served.repos[REPO] = tiny_folder
        yield served


def failing(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments.split()) == 2
    return capsys.readouterr().err


def test_the_list_tells_what_is_here(
    capsys: pytest.CaptureFixture[str], online: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, REPO, KNOWN[DEFAULT_MODEL])  # type: ignore[arg-type]
    monkeypatch.setattr("diffeditor.models.list.cached", lambda address: address.repo == REPO)
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    here = {line.split()[0]: " yes " in line for line in lines[1:] if not line.startswith(" ")}
    assert here == {"embedded": True, **{repo: repo == REPO for repo in KNOWN}}
    assert "CreativeML OpenRAIL-M" in next(line for line in lines if DEFAULT_MODEL in line)
    assert online.asked == []


def test_a_fetched_model_verifies(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["models", "fetch", REPO]) == 0
    printed = capsys.readouterr()
    folder = Path(printed.out.strip())
    assert (folder / "unet" / "config.json").is_file() and folder.is_relative_to(tmp_path)
    assert f"{REPO}@main: " in printed.err and " bytes to download to " in printed.err
    assert main(["models", "verify", REPO]) == 0
    *files, summary = capsys.readouterr().out.splitlines()
    assert all(" hash right " in line for line in files)
    assert summary.startswith(f"{REPO}: {len(files)} files, ") and summary.endswith("it loads")


def test_fetching_the_half_variant_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fetch(address: Any, **options: Any) -> Path:
        asked.append((str(address.repo), options))
        return Path("there")

    monkeypatch.setattr("diffeditor.models.fetch.fetch", fetch)
    assert main(["models", "fetch", "--fp16", "--allow-pickle"]) == 0
    assert asked == [(DEFAULT_MODEL, {"half": True, "allow_pickle": True})]


def test_failures_are_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "is no hub id; give owner/name" in failing("models fetch nowhere", capsys)
    assert "fetch it first" in failing(f"models verify {REPO}", capsys)
    assert "The hub has no 'some/other'" in failing("models fetch some/other", capsys)
    assert "is not a diffusers folder" in failing(f"models verify {tmp_path}", capsys)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids" in failing(f"models fetch {REPO}", capsys)


def test_sums_beside_a_model_are_compared(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["models", "verify", "embedded"]) == 0
    out = capsys.readouterr().out
    assert " hash right " in next(line for line in out.splitlines() if "unet/diffusion" in line)
    wrong = tmp_path / "wrong"
    (wrong / "unet").mkdir(parents=True)
    (wrong / "notes.txt").write_text("other", "utf-8")
    (wrong / "SHA256SUMS").write_text(f"{'0' * 64}  notes.txt\n", "utf-8")
    assert "differs from its published hash" in failing(f"models verify {wrong}", capsys)
    (wrong / "notes.txt").unlink()
    assert "notes.txt is missing; get the whole model" in failing(f"models verify {wrong}", capsys)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ("", {}),
        ("--dtype bfloat16 --memory low", {"dtype": "bfloat16", "memory": "low"}),
        ("--vae v --allow-pickle", {"vae": "v", "allow_pickle": True}),
        ("--lora a.safetensors --lora b:0.5", {"loras": ["a.safetensors", "b:0.5"]}),
        ("--image-prompt p --image-encoder e", {"image_prompt": "p", "image_encoder": "e"}),
    ],
)
def test_an_edit_takes_parts_of_its_model(
    options: str,
    parts: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loaded: list[Any] = []

    def load(model: str, **given: Any) -> Any:
        loaded.append((model, given))
        raise ModelUnavailable("Enough was seen.")

    monkeypatch.setattr("diffeditor.editor.load_editor", load)
    command = f"app --model some/model {options}"
    assert "Enough was seen." in failing(command, capsys)
    assert loaded == [("some/model", {"device": "auto", **parts})]
