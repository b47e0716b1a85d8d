"""Make a face follow another face's shape, landmark by landmark [DiffEditor sec. 4].

    src_p, dst_p    3 x 3 feature cells round landmark p where it is and where it shall be

    E_edit = 1/(2P) sum_j sum_p q(w_edit, mean mu(cos(C[dst_p], F[src_p])));  no E_con

The release lets the gradient act everywhere. What it does far from the face serves no landmark: it
only spoils the background, whose colours drift. Here it acts on the face and a little round it; the
stochastic part of the sampling is everywhere, as in the release.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import cv2
import numpy as np
import torch

from diffeditor import energy as e
from diffeditor.config import Preset, StepWindow, Strengths
from diffeditor.errors import InvalidEdit, OutOfBounds
from diffeditor.geometry import Box, Point, Size
from diffeditor.images import MIN_SIDE, ImageSource, load_image
from diffeditor.masks import Patches, grid_mask
from diffeditor.plan import EditPlan, Features, Grid, KVRule
from diffeditor.tasks.base import LandmarkFinder, Task, checked_prompt, dilated

GROUPS: dict[str, range] = {
    "jaw": range(0, 17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 68),
}
"""Landmark indices (iBUG 68) of the parts of a face."""

STEADY = (*range(27, 31), 36, 39, 42, 45, 33)
"""Landmarks that expressions hardly move: nose ridge, eye corners, nose base [ours]."""

MARGIN = 0.35
"""How far round the landmarks, in the face's height, the head may change with them [ours]."""

GUIDED = 0.08
"""How far round the landmarks, in the face's height, the gradient acts [ours]."""

MOST_STRENGTH = 1.5
"""Beyond this a shape is carried too far to stay a face [ours]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Face(Task):
    """Give the face on the source picture the shape of another one.

    Attributes:
        reference: a portrait whose shape to take (found landmarks, fitted onto the source's face
            by a similarity transform), or
        target_landmarks: (68, 2) iBUG landmarks, pixels (x, y) of the source picture.
        source_landmarks: (68, 2) where they are now; None lets the editor find them.
        groups: "all", or some of "jaw", "brows", "nose", "eyes", "mouth".
        strength: how much of the way the landmarks go, 0 (they stay) to 1.5 (half as far again).
        prompt: what the picture shows.
    """

    name: ClassVar[str] = "face"
    strengths: ClassVar[Strengths] = Strengths(
        guidance_scale=4.0,
        energy_scale=3.0,
        eta_in=0.2,
        eta_out=0.2,
        image_prompt_scale=0.05,
        w_edit=12.0,
    )

    reference: ImageSource | None = None
    target_landmarks: Any = None
    source_landmarks: Any = None
    groups: str | Iterable[str] = "all"
    strength: float = 1.0
    prompt: str = "a photo of a human face"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.reference is None) == (self.target_landmarks is None):
            raise InvalidEdit("Give either a reference portrait or target landmarks.")
        if self.reference is not None:
            self._set("reference", load_image(self.reference, "reference"))
        for name in ("target_landmarks", "source_landmarks"):
            if getattr(self, name) is not None:
                self._set(name, _landmarks(getattr(self, name), name, self.size))
        self._set("groups", _groups(self.groups))
        self._set("strength", _checked_strength(self.strength))
        self._set("prompt", checked_prompt(self.prompt))

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt,)

    def prepared(self, find_landmarks: LandmarkFinder) -> Self:
        now, target = self.source_landmarks, self.target_landmarks
        if now is None:
            now = find_landmarks(self.source)
        if target is None:
            target = fit_onto(find_landmarks(cast(Any, self.reference)), now)
            limit = (self.size.width - 1, self.size.height - 1)
            target = np.clip(target, 0, limit)
        return replace(self, reference=None, source_landmarks=now, target_landmarks=target)

    def cropped(self, box: Box) -> Self:
        return replace(
            self,
            image=self.source.crop(box),
            source_landmarks=self.source_landmarks - box[:2],
            target_landmarks=self.goals - box[:2],
            strength=1.0,
        )

    def focused(self, side: int) -> tuple[Self, Box | None]:
        """The face with its surroundings, framed as models know faces, at any size of picture."""
        box, points = _face_box(self.source_landmarks, self.size), self._both()
        if not box.holds(self.scope()):  # as it mostly does: then all targets share an inversion
            box = _face_box(points, self.size)
        cut_off = (points < box[:2]).any() or (points >= box[2:]).any()
        if cut_off or box.size.area > 0.6 * self.size.area:
            return self, None
        return self.cropped(box), box

    @property
    def goals(self) -> np.ndarray:
        """(68, 2) where the landmarks shall come at this strength, inside the picture.

        Raises:
            InvalidEdit: the landmarks of either face are still to be found (see `prepared`).
        """
        now, target = self.source_landmarks, self.target_landmarks
        if now is None or target is None:
            raise InvalidEdit("The landmarks of the face are not known yet; find them first.")
        there = (1 - self.strength) * now + self.strength * target
        return np.clip(there, 0, np.nextafter((self.size.width, self.size.height), 0))

    def _both(self) -> np.ndarray:
        return np.concatenate([self.goals, self.source_landmarks])

    def region(self) -> np.ndarray:
        return self._surroundings(MARGIN)

    def _surroundings(self, margin: float) -> np.ndarray:
        """The hull of the landmarks before and after, grown by `margin` of the face's height."""
        hull = cv2.convexHull(self._both().astype(np.float32)).round().astype(np.int32)
        mask = np.zeros((self.size.height, self.size.width), np.uint8)
        cv2.fillConvexPoly(mask, hull, 1)
        return dilated(mask > 0, margin * np.ptp(self._both()[:, 1]))

    def targets(self) -> tuple[tuple[Point, Point], ...]:
        goals, now = self.goals, self.source_landmarks
        chosen = [p for group in self.groups for p in GROUPS[group]]
        return tuple((Point(*now[p]), Point(*goals[p])) for p in chosen)

    def plan(self, grid: Grid, strengths: Strengths, preset: Preset) -> EditPlan:
        patches = Patches.between(
            self.targets(),
            grid.source,
            grid.feature,
            grid.device,
            whole_cells=preset.whole_cells,
        )

        def energies(gen: Features, ref: Features) -> e.Energies:
            similar = (e.patch_similarities(c, f, patches) for c, f in e.levels(gen, ref))
            return e.energies([0.5 * e.inverse(strengths.w_edit, s).mean() for s in similar])

        everywhere = torch.ones(1, 1, grid.latent.height, grid.latent.width, device=grid.device)
        near = grid_mask(self._surroundings(GUIDED), grid.latent, grid.device)
        return EditPlan(
            start=lambda z: z[:1],
            energies=energies,
            coefficient=0.04,
            m_edit=everywhere if preset.face_everywhere else near,
            m_sde=everywhere,
            kv=KVRule(keep_own=True, masks=(None,), window=StepWindow(start=preset.bank_from)),
        )


def fit_onto(landmarks: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) moved by the similarity transform that fits their steady ones best.

    Takes out position, size and roll of the head, and keeps its shape, expression and turn.
    """
    steady = list(STEADY)
    found = cv2.estimateAffinePartial2D(
        landmarks[steady].astype(np.float32),
        target[steady].astype(np.float32),
        method=cv2.LMEDS,
    )
    matrix = cast(np.ndarray | None, found[0])
    if matrix is None:
        raise InvalidEdit("The landmarks of the two faces cannot be fitted onto each other.")
    return landmarks @ matrix[:, :2].T + matrix[:, 2]


def _landmarks(value: Any, name: str, size: Size) -> np.ndarray:
    words = name.replace("_", " ")
    try:
        points = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidEdit(f"The {words} must be 68 points (x, y).") from None
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise InvalidEdit(f"The {words} must be 68 finite points (x, y), shape (68, 2).")
    if not all(size.contains(Point(x, y)) for x, y in points):
        raise OutOfBounds(f"Some {words} lie outside the picture; move them inside.")
    return points


def _groups(value: str | Iterable[str]) -> tuple[str, ...]:
    if value == "all":
        return tuple(GROUPS)
    names = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    if not names or any(name not in list(GROUPS) for name in names):
        raise InvalidEdit(f'groups must be "all" or some of {", ".join(GROUPS)}.')
    return tuple(name for name in GROUPS if name in names)


def _checked_strength(value: Any) -> float:
    try:
        strength = float(value)
    except (TypeError, ValueError):
        raise InvalidEdit(f"The strength must be a number, not {value!r}.") from None
    if not 0 <= strength <= MOST_STRENGTH:
        raise InvalidEdit(f"The strength must be from 0 to {MOST_STRENGTH:g}, not {strength:g}.")
    return strength


def _face_box(points: np.ndarray, size: Size) -> Box:
    """A square round the landmarks with half their extent of room on every side, in the picture."""
    low, high = points.min(0), points.max(0)
    centre, side = (low + high) / 2, 2.0 * (high - low).max()
    side = min(max(round(side), MIN_SIDE), size.width, size.height)
    left = int(np.clip(round(centre[0] - side / 2), 0, size.width - side))
    top = int(np.clip(round(centre[1] - side / 2), 0, size.height - side))
    return Box(left, top, left + side, top + side)
