"""The shape of the page's code."""

from pathlib import Path

import pytest

UI = Path(__file__).resolve().parents[2] / "ui"
LONGEST = 300
FILES = sorted(path for kind in ("py", "js", "css", "html") for path in UI.rglob(f"*.{kind}"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(UI)))
def test_no_file_of_the_page_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
