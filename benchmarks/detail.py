"""What fine detail gives back to edits that are perfect but for their size and a small offset.

    python -m benchmarks.detail

An object of a photograph is moved at full size: the truth. The edit is that truth with the object
displaced by some working pixels, reduced, with noise and an offset as decoders have them. The table
tells the PSNR to the truth, where the object should be, of the edit enlarged and with detail; means
over the pictures.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from skimage import data

from diffeditor import Move
from diffeditor.detail import with_detail
from diffeditor.geometry import ObjectMap, Size
from diffeditor.images import resize_image
from diffeditor.masks import moved_mask, moved_picture

PICTURES = ("astronaut", "coffee", "cat", "rocket")
NOISE, OFFSET = 4.0, 3.0
"""Levels of 255: the standard deviation, and what every channel is too bright by."""

CELL = 8
"""Working pixels in a cell of the latents: Stable Diffusion's."""

CASES = (
    (1, (0.0, 0.0), 1.0),
    (1, (3.0, 2.0), 1.0),
    (2, (0.0, 0.0), 1.0),
    (2, (2.0, 1.0), 1.0),
    (4, (0.0, 0.0), 1.0),
    (4, (1.3, -0.7), 1.0),
    (4, (3.4, 2.6), 1.3),
    (3, (1.3, -0.7), 0.7),
)
"""(how many times smaller, displacement in working pixels, scale of the move)."""


def move_of(name: str, scale: float) -> Move:
    """An ellipse of a picture, to be moved to the right."""
    picture = np.asarray(getattr(data, name)())
    height, width = picture.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    across, down = (columns / width - 0.35) / 0.16, (rows / height - 0.4) / 0.25
    shift = (0.3 * width + 0.4, 0.05 * height)
    return Move(image=picture, mask=across**2 + down**2 < 1, shift=shift, scale=scale)


def psnr(shown: Image.Image, truth: np.ndarray, inside: np.ndarray) -> float:
    error = (np.asarray(shown, np.float64) - truth)[inside]
    return float(10 * np.log10(255**2 / (error**2).mean()))


def laid_in(task: Move, shown: ObjectMap) -> np.ndarray:
    """The photograph with its object carried by a map; what was under it stays."""
    source, moved = np.asarray(task.source), moved_mask(np.asarray(task.mask), shown)
    return np.where(moved[:, :, None], moved_picture(source, shown, task.size), source)


def measured(name: str, times: int, off: tuple[float, float], scale: float) -> Iterator[float]:
    """PSNR of the edit enlarged, and with detail."""
    task = move_of(name, scale)
    size, there = task.size, task.carried()
    truth = laid_in(task, task.object_map)
    displaced = laid_in(task, task.object_map.shifted(off[0] * times, off[1] * times))
    working = Size(size.height // times, size.width // times)
    small = np.asarray(resize_image(Image.fromarray(displaced), working), np.float64)
    noise = np.random.default_rng(0).normal(OFFSET, NOISE, small.shape)
    edit = Image.fromarray(np.clip(small + noise, 0, 255).round().astype(np.uint8))
    yield psnr(resize_image(edit, size), truth, there[1].mask)
    yield psnr(with_detail(edit, there, size, CELL), truth, there[1].mask)


def main() -> None:
    print("times smaller  displaced     scale   enlarged  with detail")
    for times, off, scale in CASES:
        means = np.mean([list(measured(name, times, off, scale)) for name in PICTURES], axis=0)
        numbers = "".join(f"{mean:12.1f}" for mean in means)
        print(f"{times:13}  {off[0]:4}, {off[1]:4}  {scale:8}{numbers}", flush=True)


if __name__ == "__main__":
    main()
