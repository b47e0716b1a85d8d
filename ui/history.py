"""The results of one browser session, and their files.

Each result has a folder of its own with a random name in the folder that Gradio serves, so that it
cannot be found by who does not know it, and so that deleting it deletes what nobody else shows.
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from PIL import Image

from diffeditor import Result
from ui.files import renew

SHOWN_SIDE = 1600
"""Pixels of the longer side of a result as it is shown; the download has all of them."""
THUMB_SIDE = 160
LOSSLESS_PIXELS = 1_000_000
"""Up to this size a shown picture is PNG; larger ones would take long to encode and to send."""
MOST = 200
"""Results that a session keeps: after these the oldest goes."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One result.

    Attributes:
        number: counts the results of the session from 1.
        run: the number of the first result of the same run.
        token: names it in the browser and names its folder.
        tool, preset, seed, model: what was run; preset with "changed" where values were changed.
        metadata: what was measured.
        before, after, thumb, picture, recipe: paths of its files: the source and the result as
            they are shown, the result small, the whole result, the recipe.
    """

    number: int
    run: int
    token: str
    tool: str
    preset: str
    seed: int
    model: str
    metadata: Mapping[str, Any]
    before: str
    after: str
    thumb: str
    picture: str
    recipe: str

    @property
    def title(self) -> str:
        return f"{self.number}: {self.tool}, {self.preset}, seed {self.seed}"


@dataclass(kw_only=True)
class History:
    """The entries of one session, oldest first.

    It is changed in place: events that end in another order than they began in never bring back
    what was deleted, nor lose what was added.

    Attributes:
        count: of all that were ever added.
        looking: whether the page was given a look at a running edit in the place of a result, and
            none since then by that edit.
    """

    entries: list[Entry] = field(default_factory=list[Entry])
    count: int = 0
    looking: bool = False

    def add(self, source: Image.Image, result: Result, *, first: bool) -> Entry:
        """Writes the files of a result. first: whether it is the first one of its run."""
        self.count += 1
        run = self.count if first or not self.entries else self.entries[-1].run
        entry = _written(source, result, number=self.count, run=run)
        self.entries.append(entry)
        for old in self.entries[:-MOST]:
            self.remove(old.token)
        return entry

    def find(self, token: str | None) -> Entry | None:
        """The entry of this session with this token."""
        return next((entry for entry in self.entries if entry.token == token), None)

    def run(self, entry: Entry) -> list[Entry]:
        """The entries of the same run."""
        return [other for other in self.entries if other.run == entry.run]

    def remove(self, token: str) -> None:
        """Forgets an entry and deletes its files."""
        entry = self.find(token)
        if entry is not None:
            self.entries.remove(entry)
            shutil.rmtree(Path(entry.picture).parent, ignore_errors=True)

    def renew(self) -> None:
        """Keeps all files for as long as new ones."""
        for entry in self.entries:
            for file in (entry.before, entry.after, entry.thumb, entry.picture, entry.recipe):
                renew(file)


def copied(path: str) -> str:
    """A copy of a picture that stays when the entry is deleted; it takes no room until then."""
    folder = _new_folder()
    copy = folder / Path(path).name
    os.link(path, copy)
    return str(copy)


def _new_folder() -> Path:
    folder = Path(get_upload_folder()).resolve() / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def _written(source: Image.Image, result: Result, *, number: int, run: int) -> Entry:
    folder, recipe = _new_folder(), result.recipe
    preset = f"{recipe.preset_name} changed" if recipe.changes else recipe.preset_name
    name = f"{recipe.task_name}-{preset.replace(' ', '-')}-{recipe.seed}"
    picture, recipe_file = folder / f"{name}.png", folder / f"{name}.json"
    result.image.save(picture, compress_level=4)
    recipe.save(recipe_file)
    return Entry(
        number=number,
        run=run,
        token=folder.name,
        tool=recipe.task_name,
        preset=preset,
        seed=recipe.seed,
        model=recipe.model,
        metadata=result.metadata,
        before=_shown(source, folder / "before"),
        after=_shown(result.image, folder / "after"),
        thumb=_thumb(result.image, folder / "small.jpeg"),
        picture=str(picture),
        recipe=str(recipe_file),
    )


def _shown(picture: Image.Image, stem: Path) -> str:
    small = reduced(picture, SHOWN_SIDE)
    lossless = small.width * small.height <= LOSSLESS_PIXELS
    path = stem.with_suffix(".png" if lossless else ".jpeg")
    small.save(path, quality=92)  # which PNG has none of
    return str(path)


def _thumb(picture: Image.Image, path: Path) -> str:
    reduced(picture, THUMB_SIDE).save(path, quality=85)
    return str(path)


def reduced(picture: Image.Image, side: int) -> Image.Image:
    """An RGB copy whose longer side is at most this."""
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    return small
