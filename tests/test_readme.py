"""What the README tells people to type works."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import diffeditor

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SIZE = 128


def draw_inputs(folder: Path, example: str) -> None:
    """Write each picture that an example names: a disc for a mask, else a ramp of grey."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    disc = (rows - SIZE / 2) ** 2 + (columns - SIZE / 2) ** 2 < (SIZE / 4) ** 2
    for name in re.findall(r'="([\w-]+\.png)"', example):
        grey = disc * 255 if "mask" in name else rows
        Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(folder / name)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run_up_to_the_diffusion(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_inputs(tmp_path, example)
    monkeypatch.chdir(tmp_path)
    tasks = []

    def edit(task: object, **_: object) -> SimpleNamespace:
        tasks.append(task)
        return SimpleNamespace(image=Image.new("RGB", (SIZE, SIZE)))

    monkeypatch.setattr(diffeditor, "load_editor", lambda *_, **__: SimpleNamespace(edit=edit))
    exec(compile(example, "README.md", "exec"), {})
    assert len(tasks) == example.count(".edit(")


def test_every_task_has_an_example() -> None:
    assert {name for name in diffeditor.TASKS if f"{name.title()}(" in "".join(EXAMPLES)} == set(
        diffeditor.TASKS
    )


def test_every_preset_is_explained() -> None:
    assert re.findall(r"^\| `([\w-]+)` \|", README, flags=re.MULTILINE) == list(diffeditor.PRESETS)


def test_links_lead_somewhere() -> None:
    for text in (README, *(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))):
        targets = re.findall(r"\]\((?!http)([\w./-]+)\)", text)
        missing = [t for t in targets if not ((ROOT / t).exists() or (ROOT / "docs" / t).exists())]
        assert missing == []
