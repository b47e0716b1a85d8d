"""Procedural worlds: pictures of solids and of faces whose every edit has a known right answer."""

from diffeditor.worlds.case_base import Case
from diffeditor.worlds.cases import make_case
from diffeditor.worlds.common import Render
from diffeditor.worlds.face_spec import FaceSpec, random_face
from diffeditor.worlds.scene_spec import SceneSpec, Solid, random_scene
from diffeditor.worlds.sheet import contact_sheet, write_worlds
from diffeditor.worlds.world import (
    WorldSpec,
    render,
    render_batch,
    spec_from_dict,
    spec_to_dict,
)

__all__ = [
    "Case",
    "FaceSpec",
    "Render",
    "SceneSpec",
    "Solid",
    "WorldSpec",
    "contact_sheet",
    "make_case",
    "random_face",
    "random_scene",
    "render",
    "render_batch",
    "spec_from_dict",
    "spec_to_dict",
    "write_worlds",
]
