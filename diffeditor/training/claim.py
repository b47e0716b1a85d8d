"""A folder of checkpoints belongs to one run: what its weights depend on stays the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from diffeditor.errors import InvalidSetting

SETTINGS_FILE = "settings.json"


def claim(folder: Path, settings: Mapping[str, object]) -> None:
    """Note a run's settings in its folder, or make sure that they are those noted before.

    settings: by name; what JSON does not know counts as its text.

    Raises:
        InvalidSetting: the folder holds a run with other settings.
    """
    own = json.loads(json.dumps(settings, default=str))
    file = folder / SETTINGS_FILE
    if file.is_file():
        noted = json.loads(file.read_text())
        changed = [name for name, value in own.items() if noted.get(name) != value]
        if changed:
            raise InvalidSetting(
                f"{folder} holds a run with another {', '.join(changed)}; give another folder for "
                "this run, or remove that one to begin again."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{os.getpid()}-{file.name}")
    unfinished.write_text(json.dumps(own, indent=2) + "\n")
    os.replace(unfinished, file)
