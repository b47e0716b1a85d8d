"""All that is measured of one result of one case.

Distances are in pixels of a picture 128 wide, whatever the case's size. Errors of places compare
what the same finder sees in the result and in the truth, so they are 0 for the truth itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from diffeditor.bench import metrics as m
from diffeditor.bench.landmarks import ALL, JAW, Finder, found
from diffeditor.bench.objects import ObjectFinder, edited_solid, scene_renders
from diffeditor.composite import feathered
from diffeditor.worlds import Case, FaceSpec, render
from diffeditor.worlds.case_base import VISIBLE_CHANGE

VERSION = 5
"""Of the metrics; results measured by another version are measured again."""
UNIT = 128
"""Pixels: distances are stated for pictures of this width."""
MOVED = 1.0
"""Pixels of UNIT from which on a landmark counts as one that the edit moves."""
LOST = 64.0
"""Centre error, in pixels of UNIT, of an object that is nowhere to be seen."""

Values = dict[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Yardstick:
    """What results of one case are held against; costly parts are made once, when needed."""

    case: Case
    find_landmarks: Finder

    @cached_property
    def source(self) -> np.ndarray:
        return np.asarray(self.case.task.source)

    @property
    def on_face(self) -> bool:
        return isinstance(self.case.spec, FaceSpec)

    @property
    def per_pixel(self) -> float:
        """Units of distance per pixel of the case."""
        return UNIT / self.case.truth.shape[1]

    @cached_property
    def finder(self) -> ObjectFinder:
        return ObjectFinder.of(self.case)

    @cached_property
    def areas(self) -> dict[str, np.ndarray]:
        """Bool masks by name: the region, what changes, the destination, and what was left."""
        case = self.case
        differs = abs(self.source.astype(np.int16) - case.truth).max(-1) > VISIBLE_CHANGE
        areas = {"region": case.region, "changing": differs}
        if self.on_face:
            return areas
        index = edited_solid(case)
        before, after = scene_renders(case)
        destination = after.masks[index]
        areas["destination"] = destination
        if case.task.name in ("move", "drag"):
            areas["vacated"] = before.masks[index] & ~destination
        return {name: area for name, area in areas.items() if area.any()}

    def beyond(self, feather: float) -> np.ndarray:
        """Bool (H, W) of the pixels that an edit which fades over so many leaves as they are."""
        return feathered(self.case.task.region(), feather) == 0

    def measure(self, result: np.ndarray, feather: float = 0.0) -> Values:
        """All metrics by name of a result, uint8 (H, W, 3), that fades over `feather` pixels."""
        beyond = self.beyond(feather)
        values = self._pixels(result)
        values["changed_beyond"] = m.changed_share(result, self.source, beyond)
        name = self.case.task.name
        if name == "appearance":
            values |= self._looks(result)
        if name in ("move", "paste"):
            values |= self._place(result)
        if self.on_face:
            values |= self._landmarks(result)
        if name == "drag":
            values |= self._handles(result)
        return values

    def _pixels(self, result: np.ndarray) -> Values:
        case, truth = self.case, self.case.truth
        values = {f"psnr_{name}": m.psnr(result, truth, a) for name, a in self.areas.items()}
        values |= {f"ssim_{name}": m.ssim(result, truth, a) for name, a in self.areas.items()}
        values["psnr_outside"] = m.psnr(result, self.source, ~case.region)
        values["changed_outside"] = m.changed_share(result, self.source, ~case.region)
        return values

    def _looks(self, result: np.ndarray) -> Values:
        truth, mask = self.case.truth, self.areas["destination"]
        return {
            "colour_error": m.colour_error(result, truth, mask),
            "pattern_error": m.pattern_error(result, truth, mask),
        }

    def _place(self, result: np.ndarray) -> Values:
        here, there = self.finder.find(result), self.finder.find(self.case.truth)
        if here is None or there is None:
            return {"centre_error": LOST, "size_error": 100.0, "lost": 1.0}
        distance = float(np.linalg.norm(here.centre - there.centre))
        return {
            "centre_error": distance * self.per_pixel,
            "size_error": 100 * abs(here.size / there.size - 1),
            "lost": 0.0,
        }

    def _landmarks(self, result: np.ndarray) -> Values:
        """Distances of landmarks to those found in the truth, of three sets."""
        start, here, there = (
            self._seen(picture) for picture in (self.source, result, self.case.truth)
        )
        far = np.linalg.norm(there - start, axis=-1) * self.per_pixel > MOVED
        sets = {"17": JAW, "68": ALL, "moved": np.flatnonzero(far) if far.any() else ALL}
        values: Values = {}
        for name, chosen in sets.items():
            points = (one[chosen] for one in (start, here, there))
            values |= {f"{key}_{name}": v for key, v in self._distances(*points)}
        return values

    def _seen(self, picture: np.ndarray) -> np.ndarray:
        """Landmarks of a picture; where no face is seen, those of the source."""
        seen = found(self.find_landmarks, picture)
        return self.find_landmarks(self.case.task.source) if seen is None else seen

    def _handles(self, result: np.ndarray) -> Values:
        """Distances of the dragged points to their targets."""
        pairs = self.case.task.targets()
        start = np.array([[a.x, a.y] for a, _ in pairs])
        target = np.array([[b.x, b.y] for _, b in pairs])
        if self.on_face:
            picked = self._picked(target)
            pictures = self.source, result, self.case.truth
            start, here, target = (self._seen(picture)[picked] for picture in pictures)
        else:
            here = self._carried(result, start, target)
        return {f"{key}_handles": v for key, v in self._distances(start, here, target)}

    def _carried(self, result: np.ndarray, start: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Where an object's points are in a result; at their start when it is not seen."""
        here, there = self.finder.find(result), self.finder.find(self.case.truth)
        if here is None or there is None:
            return start
        return here.centre + (target - there.centre) * here.scale / there.scale

    def _picked(self, target: np.ndarray) -> np.ndarray:
        """Which landmarks of the truth the targets are."""
        marks = render(self.case.truth_spec, self.case.truth.shape[0]).landmarks
        if marks is None:
            raise TypeError("Only faces have landmarks.")
        return np.linalg.norm(marks - target[:, None], axis=-1).argmin(1)

    def _distances(
        self, start: np.ndarray, here: np.ndarray, target: np.ndarray
    ) -> Iterator[tuple[str, float]]:
        unit = self.per_pixel
        yield "distance_before", m.mean_distance(start, target) * unit
        yield "distance_after", m.mean_distance(here, target) * unit
        yield "mse_before", m.mean_square_distance(start, target) * unit**2
        yield "mse_after", m.mean_square_distance(here, target) * unit**2
        yield "progress", m.progress(start, here, target) * unit**2
