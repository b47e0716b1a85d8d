"""A checkpoint belongs to the settings that its run began with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from diffeditor.errors import InvalidSetting


def claim(folder: Path, name: str, settings: Mapping[str, object]) -> None:
    """Note a run's settings beside its checkpoint, or make sure that they are those noted before.

    folder, name: as of the run, whose checkpoint is `folder / name`. settings: what its weights
    depend on, by name; what JSON does not know counts as its text.

    Raises:
        InvalidSetting: there is a checkpoint of a run with other settings.
    """
    own = json.loads(json.dumps(settings, default=str))
    file = folder / f"{name}-settings.json"
    if (folder / name).exists() and file.is_file():
        noted = json.loads(file.read_text())
        changed = [key for key, value in own.items() if noted.get(key) != value]
        if changed:
            raise InvalidSetting(
                f"{folder / name} holds a run with another {', '.join(changed)}; give another "
                "folder for this run, or remove that one to begin again."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{os.getpid()}-{file.name}")
    unfinished.write_text(json.dumps(own, indent=2) + "\n")
    os.replace(unfinished, file)
