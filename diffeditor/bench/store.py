"""Results on disk: one PNG and one small JSON file for each case of each column.

    FOLDER/cases/<model fingerprint>/<task>/<column and digest of its settings>/<seed>.{json,png}
    FOLDER/cases/asked/<task>/<seed>.png    what is asked for, drawn on the pictures

so that a run can be stopped, gone on with and enlarged, and nothing stands for other settings.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is kept of one result.

    version: of the metrics. values: metrics by name. features: image embedding (D,) of the result.
    seconds, unet_samples: what it cost; None where others had paid for its inversion.
    feather: pixels round the region over which the result fades into the source. picture: the PNG,
    relative to the store's folder.
    """

    task: str
    column: str
    seed: int
    version: int
    values: dict[str, float]
    features: list[float]
    seconds: float | None
    unet_samples: int | None
    feather: float
    picture: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the results of one column for one task are."""

    root: Path
    folder: Path

    def file(self, seed: int, kind: str) -> Path:
        return self.root / self.folder / f"{seed}.{kind}"

    def picture(self, seed: int) -> np.ndarray:
        """The stored picture, uint8 (H, W, 3)."""
        with Image.open(self.file(seed, "png")) as image:
            return np.asarray(image.convert("RGB"))

    def read(self, seed: int) -> Record | None:
        """What is known of a case; None when it has not been run to its end."""
        try:
            return Record(**json.loads(self.file(seed, "json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def name(self, seed: int) -> str:
        """The picture's path relative to the root."""
        return (self.folder / f"{seed}.png").as_posix()

    def save_picture(self, seed: int, picture: Image.Image) -> None:
        """Store a result's picture."""
        path = self.file(seed, "png")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)

    def write(self, record: Record) -> None:
        """Keep what is known of a case, all or nothing."""
        path = self.file(record.seed, "json")
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(asdict(record)) + "\n", "utf-8")
        part.replace(path)
