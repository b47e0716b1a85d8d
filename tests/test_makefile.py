"""`make setup`, with programs in the place of Python that note what they are asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WHOLE = '#!/bin/sh\necho "$0 $*" >> log\n'
"""A Python with pip."""
WITHOUT_PIP = "#!/bin/sh\nexit 1\n"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def set_up(folder: Path) -> list[str]:
    """What was called, by the end of `make setup`."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    makes_venv = f"{WHOLE}mkdir -p .venv/bin && cp whole .venv/bin/python\n"
    program(folder / "whole", WHOLE)
    program(folder / "system-python", makes_venv)
    subprocess.run(["make", "-s", "setup", "PYTHON=./system-python"], cwd=folder, check=True)
    assert (folder / ".venv" / ".ready").is_file()
    return (folder / "log").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("left", [None, WITHOUT_PIP])
def test_an_environment_is_made_where_there_is_none_with_pip(
    left: str | None, tmp_path: Path
) -> None:
    if left:
        program(tmp_path / ".venv" / "bin" / "python", left)
    made, installed = set_up(tmp_path)
    assert made == "./system-python -m venv --clear .venv"
    assert installed.startswith(".venv/bin/python -m pip install")


def test_a_whole_environment_is_kept(tmp_path: Path) -> None:
    program(tmp_path / ".venv" / "bin" / "python", WHOLE)
    asked, installed = set_up(tmp_path)
    assert asked == ".venv/bin/python -m pip --version"
    assert "pip install" in installed
