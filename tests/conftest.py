"""What every test shares: threads, repeatable Hypothesis, browser tests, a tiny model.

The model's libraries are imported by the tests that use it only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from diffeditor.backbones import StableDiffusion
    from diffeditor.editor import Editor

torch.set_num_threads(1)  # the models are tiny: threads would only wait for each other
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, max_examples=50
)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Skip browser tests where there is no Chromium and DIFFEDITOR_REQUIRE_BROWSER is not set."""
    if shutil.which("chromium") or os.environ.get("DIFFEDITOR_REQUIRE_BROWSER"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="needs Chromium: no `chromium` on the path"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of a tiny model with random weights; not to be written to."""
    from tests.tiny import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path) -> StableDiffusion:
    """The model in `tiny_folder`."""
    from tests.tiny import load_tiny_model

    return load_tiny_model(tiny_folder)


@pytest.fixture
def tiny_editor(tiny_model: StableDiffusion) -> Editor:
    """An editor with the tiny model and nothing in its cache."""
    from diffeditor.editor import Editor

    return Editor(tiny_model)
