"""A run's settings are kept with its checkpoint."""

from pathlib import Path

import pytest

from diffeditor.errors import InvalidSetting
from diffeditor.training.claim import claim


def test_a_run_that_has_begun_keeps_its_settings(tmp_path: Path) -> None:
    settings = {"batch": 4, "data": (Path("a.tar"), Path("b.tar")), "rate": float("inf")}
    claim(tmp_path / "runs", "run", settings)
    (tmp_path / "runs" / "run").mkdir()
    claim(tmp_path / "runs", "run", settings)
    with pytest.raises(InvalidSetting, match="another batch, data; give another folder"):
        claim(tmp_path / "runs", "run", settings | {"batch": 5, "data": ()})
    claim(tmp_path / "runs", "other", {"batch": 5})


def test_a_run_that_never_began_may_change_its_mind(tmp_path: Path) -> None:
    claim(tmp_path, "run", {"batch": 4})
    claim(tmp_path, "run", {"batch": 5})
    (tmp_path / "run").mkdir()
    with pytest.raises(InvalidSetting, match="another batch"):
        claim(tmp_path, "run", {"batch": 4})
