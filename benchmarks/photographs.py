"""Photographs of every size and format are edited: no crash, their own size, exact outside.

    python -m benchmarks.photographs [--model embedded] [--count 200] [--steps 8] [--first 0]

Photographs are made of the pictures in scikit-image's wheel and of worlds, with sides of 64 to 6000
pixels, in the forms that cameras and programs store. The tasks take turns, each at a random place.
A row tells the size, the form, the task, the part that was edited, the working size, the seconds,
how much of the edit's region changed, and whether every pixel beyond the feathered band is the
source's own, bit for bit. The exit status is 1 if a photograph fails.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, ImageCms
from skimage import data

from diffeditor import PRESETS, TASKS, Editor, Preset, load_editor
from diffeditor.composite import feathered
from diffeditor.geometry import Size
from diffeditor.images import ImageSource
from diffeditor.tasks import Appearance, Drag, Face, Move, Paste, Task
from diffeditor.worlds import random_face, random_scene, render

SHIPPED = ("astronaut", "cat", "coffee", "hubble_deep_field", "retina", "rocket", "camera", "moon")
"""Functions of skimage.data whose pictures need no download."""

LEAST, MOST = 64, 6000
"""Sides of the photographs in pixels."""

EXTREMES = (
    Size(64, 64),
    Size(4000, 6000),
    Size(6000, 4000),
    Size(64, 6000),
    Size(6000, 64),
    Size(6000, 6000),
    Size(65, 97),
    Size(1001, 333),
)
"""The first photographs; later sizes are drawn."""

FORMS = ("pixels", "turned", "profile", "alpha", "16-bit")
"""Plain uint8; JPEG with an EXIF orientation; PNG with an ICC profile, with alpha, of 16-bit gray.
"""


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """A picture as somebody has it. size: upright."""

    source: ImageSource
    size: Size
    form: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one photograph.

    changed: part of the region's pixels that differ; exact: nothing differs beyond the band.
    """

    crop: list[int]
    working: list[int]
    seconds: float
    same_size: bool
    exact: bool
    changed: float


@cache
def subject(number: int) -> np.ndarray:
    """A picture to make photographs of, uint8 (H, W, 3)."""
    if number < len(SHIPPED):
        picture = np.asarray(getattr(data, SHIPPED[number])())
        return picture[:, :, :3] if picture.ndim == 3 else np.dstack([picture] * 3)
    world = random_face(number) if number % 2 else random_scene(number)
    return render(world, size=256).image


SUBJECTS = len(SHIPPED) + 8


def photograph(number: int) -> Photograph:
    """The photograph of this number; always the same."""
    rng = np.random.default_rng(number)
    size = EXTREMES[number] if number < len(EXTREMES) else drawn_size(rng, MOST)
    return taken(number, size, rng)


def taken(number: int, size: Size, rng: np.random.Generator) -> Photograph:
    """A photograph of a random subject, at this size, in a form that goes by the number."""
    form = FORMS[number // len(TASKS) % len(FORMS)]
    pixels = filled(subject(int(rng.integers(SUBJECTS))), size)
    return Photograph(source=stored(pixels, form), size=size, form=form)


def drawn_size(rng: np.random.Generator, most: int) -> Size:
    """Long sides and aspects up to 4 evenly on a logarithmic scale, landscape or portrait."""
    long = round(LEAST * (most / LEAST) ** rng.random())
    short = max(LEAST, round(long * 4 ** -rng.random()))
    return Size(long, short) if rng.random() < 0.5 else Size(short, long)


def filled(picture: np.ndarray, size: Size) -> np.ndarray:
    """The middle of a picture, cut to an aspect and resized."""
    height, width = picture.shape[:2]
    ratio = max(size.height / height, size.width / width)
    rows, columns = round(size.height / ratio), round(size.width / ratio)
    top, left = (height - rows) // 2, (width - columns) // 2
    part = picture[top : top + max(rows, 1), left : left + max(columns, 1)]
    return cv2.resize(part, (size.width, size.height), interpolation=cv2.INTER_CUBIC)


def stored(pixels: np.ndarray, form: str) -> ImageSource:
    """Upright pixels in one of FORMS."""
    picture, file = Image.fromarray(pixels), BytesIO()
    if form == "pixels":
        return pixels
    if form == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise by a quarter
        picture.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", exif=exif, quality=90)
    elif form == "profile":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        picture.save(file, "PNG", icc_profile=profile.tobytes(), compress_level=1)
    elif form == "alpha":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        picture.save(file, "PNG", compress_level=1)
    else:
        gray = pixels[:, :, 1].astype(np.uint16) * 257
        Image.fromarray(gray).save(file, "PNG", compress_level=1)
    return file.getvalue()


def edit_of(photo: Photograph, name: str, rng: np.random.Generator) -> Task:
    """A task of this name at a random place of a photograph."""
    size, image = photo.size, photo.source
    place, prompt = spot(size, rng), "a photo"
    if name == "move":
        far = rng.uniform(0.02, 0.2, 2) * (size.width, size.height)
        x = far[0] if place.x < size.width / 2 else -far[0]  # towards the middle: it stays in
        y = far[1] if place.y < size.height / 2 else -far[1]
        mask = place.mask(size)
        return Move(
            image=image, mask=mask, shift=(x, y), scale=rng.uniform(0.9, 1.5), prompt=prompt
        )
    if name == "drag":
        ends = ((place.x, place.y), (place.x + place.radius / 2, place.y + place.radius / 3))
        return Drag(image=image, mask=place.mask(size), points=[ends], prompt=prompt)
    if name == "face":
        now = place.landmarks()
        then = now + rng.uniform(-0.1, 0.1, (68, 2)) * place.radius
        return Face(image=image, source_landmarks=now, target_landmarks=then)
    other = drawn_size(rng, max(size.height, size.width))
    reference = filled(subject(int(rng.integers(SUBJECTS))), other)
    there = spot(other, rng)
    given = {"image": image, "reference": reference, "reference_mask": there.mask(other)}
    if name == "paste":
        scale = place.radius / there.radius
        shift = (place.x - there.x, place.y - there.y)
        return Paste(**given, shift=shift, scale=min(max(scale, 0.05), 20), prompt=prompt)
    return Appearance(**given, mask=place.mask(size), prompt=prompt)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A disc inside a picture, in its pixels."""

    x: float
    y: float
    radius: float

    def mask(self, size: Size) -> np.ndarray:
        rows, columns = np.ogrid[: size.height, : size.width]
        return (columns - self.x) ** 2 + (rows - self.y) ** 2 <= self.radius**2

    def landmarks(self) -> np.ndarray:
        """A face's 68 points (x, y), well inside the disc."""
        points = render(random_face(1), size=64).landmarks
        assert points is not None
        middle, reach = points.mean(0), np.abs(points - points.mean(0)).max()
        return (points - middle) * (0.6 * self.radius / reach) + (self.x, self.y)


def spot(size: Size, rng: np.random.Generator) -> Spot:
    """A disc of 1/12 to 1/4 of the short side, clear of the picture's border."""
    short = min(size.height, size.width)
    radius = short * rng.uniform(1 / 12, 1 / 4)
    x, y = rng.uniform(1.05 * radius, np.array([size.width, size.height]) - 1.05 * radius)
    return Spot(x=float(x), y=float(y), radius=float(radius))


def edited(editor: Editor, task: Task, preset: Preset) -> Outcome:
    """Runs an edit and compares the result with its source, pixel by pixel."""
    began = time.perf_counter()
    result = editor.edit(task, preset, seed=0)
    seconds = time.perf_counter() - began
    facts, region = result.metadata, task.region()
    same_size = result.image.size == task.source.size
    differs = (np.asarray(result.image) != np.asarray(task.source)).any(2)
    return Outcome(
        crop=facts["crop"],
        working=facts["working_size"],
        seconds=seconds,
        same_size=same_size,
        exact=not differs[feathered(region, facts["feather"]) == 0].any(),
        changed=float(differs[region].mean()),
    )


def rows(editor: Editor, numbers: range, preset: Preset) -> Iterator[tuple[str, bool]]:
    """A line for each photograph, and whether all is well with it."""
    for number in numbers:
        photo, name = photograph(number), list(TASKS)[number % len(TASKS)]
        head = f"{number:4}  {photo.size.width:5} x {photo.size.height:<5} {photo.form:8} {name:11}"
        try:
            outcome = edited(editor, edit_of(photo, name, np.random.default_rng(number)), preset)
        except Exception as error:  # whatever it is, it is a failure to be counted
            yield f"{head} {type(error).__name__}: {error}", False
            continue
        finally:
            editor.clear_cache()
        left, top, right, bottom = outcome.crop
        well = outcome.same_size and outcome.exact and outcome.changed > 0
        yield (
            f"{head} {right - left:5} x {bottom - top:<5} {outcome.working[0]:4} x "
            f"{outcome.working[1]:<4}{outcome.seconds:8.1f} {outcome.changed:8.1%}  "
            f"{'yes' if outcome.exact else 'NO'}{'' if outcome.same_size else '  ANOTHER SIZE'}",
            well,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Edit photographs of every size and format.")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first photograph")
    parser.add_argument("--steps", type=int, default=8)
    args = parser.parse_args()
    editor, preset = load_editor(args.model), replace(PRESETS["diffeditor"], steps=args.steps)
    print(f"model {args.model} on {editor.device}, {args.steps} steps")
    print(
        "   #   photograph    form     task         edited part   working   seconds  changed  exact"
    )
    began, failed = time.perf_counter(), 0
    for line, well in rows(editor, range(args.first, args.first + args.count), preset):
        print(line, flush=True)
        failed += not well
    minutes = (time.perf_counter() - began) / 60
    print(f"{args.count} photographs in {minutes:.1f} minutes, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
