"""`diffeditor bench teeth`: how often opening a closed mouth shows teeth.

    inside   the polygon of the landmarks 60..67, the inner border of the lips
    tooth    a pixel inside that is light and has little colour

The columns of the truth and of the untouched source say how often the count itself is right.
"""

import argparse
from dataclasses import asdict

import cv2
import numpy as np

from diffeditor.bench.columns import TRUTH
from diffeditor.bench.landmarks import Finder, found
from diffeditor.bench.options import FIRST_SEED, add_common_arguments, check_from_one, write_json
from diffeditor.bench.runner import Bench, Setup, run_bench
from diffeditor.bench.statistics import Estimate, bootstrap
from diffeditor.worlds.case_faces import FACE_KINDS

KIND = "open the mouth"
CASES = 50
COLUMNS = (TRUTH, "no-edit", "diffeditor", "no-regional-sde")
INNER_LIPS = slice(60, 68)
LIGHT = 150
"""Grey level that the brightest channel of a tooth exceeds."""
PALE = 0.3
"""Saturation, (max - min) / max of the channels, that a tooth stays below."""
ENOUGH = 20 / 128**2
"""Share of the picture's pixels from which they count as teeth: a fifth of an open mouth's."""
FINE = 8
"""Points of the polygon are kept to this part of a pixel."""


def tooth_pixels(picture: np.ndarray, find_landmarks: Finder) -> int:
    """How many pixels of a portrait, uint8 (H, W, 3), are teeth; 0 where no face is seen."""
    landmarks = found(find_landmarks, picture)
    if landmarks is None:
        return 0
    pixels = picture.astype(np.float32)
    brightest = pixels.max(-1)
    colour = (brightest - pixels.min(-1)) / np.maximum(brightest, 1)
    inside = _inside(landmarks[INNER_LIPS], picture.shape[:2])
    return int((inside & (brightest > LIGHT) & (colour < PALE)).sum())


def shows_teeth(picture: np.ndarray, find_landmarks: Finder) -> bool:
    """Whether a portrait shows teeth."""
    height, width = picture.shape[:2]
    return tooth_pixels(picture, find_landmarks) >= ENOUGH * height * width


def _inside(polygon: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of which more than half lies in a polygon of points (x, y)."""
    large = np.zeros((shape[0] * FINE, shape[1] * FINE), np.uint8)
    cv2.fillPoly(large, [np.round(polygon * FINE).astype(np.int32)], 1)
    share = cv2.resize(large.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    return share > 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench teeth`."""
    add_common_arguments(parser)
    parser.add_argument("--cases", type=int, default=CASES, help=f"default: {CASES}")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), metavar="NAME")
    parser.add_argument("--report-only", action="store_true", help="make nothing")


def run(options: argparse.Namespace) -> None:
    """Make the cases that open a mouth, count teeth, and print and write the table."""
    check_from_one(options, "cases", "processes")
    setup = Setup(
        output=options.output,
        tasks=("face",),
        columns=tuple(options.columns),
        seeds=seeds(options.first_seed, options.cases),
        model=options.model,
        device=options.device,
    )
    bench = Bench(setup) if options.report_only else run_bench(setup, options.processes)
    counts = count(bench)
    for name, share in counts.items():
        shown = round(share.value * share.count)
        print(
            f"{name:24} {shown:4d} of {share.count:4d} show teeth: {share.value:.3f} "
            f"[{share.low:.3f}, {share.high:.3f}]"
        )
    columns = {name: asdict(share) for name, share in counts.items()}
    found_with = {
        "fingerprint": bench.judges.fingerprint,
        "seeds": list(setup.seeds),
        "columns": columns,
    }
    write_json(options.output / "teeth.json", found_with)


def seeds(first: int, cases: int) -> tuple[int, ...]:
    """Seeds from `first` on of the `face` cases that open a closed mouth."""
    step = len(FACE_KINDS)
    begin = first + (FACE_KINDS.index(KIND) - first) % step
    return tuple(range(begin, begin + step * cases, step))


def count(bench: Bench) -> dict[str, Estimate]:
    """The share of pictures that show teeth, by column."""
    shown: dict[str, list[bool]] = {}
    for record, place in bench.kept():
        teeth = shows_teeth(place.picture(record.seed), bench.judges.find_landmarks)
        shown.setdefault(record.column, []).append(teeth)
    return {name: bootstrap(np.array(values, float)) for name, values in shown.items()}
