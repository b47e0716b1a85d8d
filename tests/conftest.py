"""What every test shares: a fixed number of threads, repeatable Hypothesis, browser tests."""

import os
import shutil
from collections.abc import Iterable

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(2)
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
