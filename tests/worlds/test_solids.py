"""Rays against the closed forms of the five solids."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from diffeditor.worlds import solids
from diffeditor.worlds.solids import HALF_WIDTH, HEIGHT, SHAPES, dot, footprint_gap, intersect

RAYS = 400


def rays(shape: str, seed: int) -> tuple[Tensor, Tensor]:
    """Rays (3, RAYS) from a camera outside towards points in and round a solid."""
    generator = torch.Generator().manual_seed(seed)
    half, height = HALF_WIDTH[shape], HEIGHT[shape]
    target = torch.rand(3, RAYS, generator=generator) * 2.6 - 1.3
    target = target * torch.tensor([half, height / 2, half])[:, None]
    target[1] += height / 2
    start = torch.tensor([0.7, 3.5, -6.0])[:, None].expand(3, RAYS)
    return start, (target - start) * (0.2 + torch.rand(RAYS, generator=generator))


def distance(shape: str, point: Tensor) -> Tensor:
    """Zero on the surface, negative inside."""
    x, y, z = point
    across = torch.hypot(x, z)
    if shape == "ball":
        return (point - torch.tensor([0.0, 1.0, 0.0])[:, None]).square().sum(0).sqrt() - 1
    if shape == "cube":
        half = solids.CUBE_HALF
        return torch.stack([x.abs(), (y - half).abs(), z.abs()]).amax(0) - half
    if shape == "cylinder":
        half = solids.CYLINDER_HEIGHT / 2
        return torch.maximum(across - solids.CYLINDER_RADIUS, (y - half).abs() - half)
    if shape == "cone":
        slope = solids.CONE_RADIUS / solids.CONE_HEIGHT
        return torch.maximum(across - slope * (solids.CONE_HEIGHT - y), -y)
    tube = torch.hypot(across - solids.RING_RADIUS, y - solids.RING_TUBE)
    return tube - solids.RING_TUBE


def first_inside(shape: str, origin: Tensor, direction: Tensor) -> Tensor:
    """The first of many steps along each ray that lies inside the solid; inf where none does."""
    t = torch.linspace(0.0, 2.5 * 12, 12001)
    unit = solids.normalise(direction)
    first = torch.full((RAYS,), torch.inf)
    for chunk in t.split(2000):
        inside = distance(shape, (origin[..., None] + unit[..., None] * chunk).flatten(1)) < 0
        at = torch.where(inside.view(RAYS, -1), chunk, torch.inf).amin(1)
        first = torch.minimum(first, at)
    return first / dot(direction, direction).sqrt()


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 1000))
def test_a_hit_lies_on_the_surface_and_faces_the_ray(shape: str, seed: int) -> None:
    origin, direction = rays(shape, seed)
    t, normal = intersect(shape, origin, direction)
    hit = t.isfinite()
    point = (origin + t * direction)[:, hit]
    off = distance(shape, point).abs()
    on_surface, facing = off < 2e-3, dot(normal[:, hit], direction[:, hit]) < 1e-3
    least = 0.96 if shape == "ring" else 0.9999
    assert hit.any() and on_surface.float().mean() > least
    assert facing.float().mean() > least


@pytest.mark.parametrize("shape", SHAPES)
def test_a_ray_hits_where_a_walk_along_it_enters(shape: str) -> None:
    origin, direction = rays(shape, 3)
    t, _ = intersect(shape, origin, direction)
    walked = first_inside(shape, origin, direction)
    assert not (walked.isfinite() & t.isinf()).any()
    assert (walked.isinf() & t.isfinite()).float().mean() < 0.02
    both = walked.isfinite() & t.isfinite()
    length = dot(direction, direction).sqrt()
    late = ((walked - t) * length)[both]
    assert (late.abs() < 0.02).float().mean() > 0.98


@pytest.mark.parametrize("shape", SHAPES)
def test_the_normal_is_the_gradient_of_the_surface(shape: str) -> None:
    origin, direction = rays(shape, 5)
    t, normal = intersect(shape, origin, direction)
    hit = t.isfinite()
    point = (origin + t * direction)[:, hit].double().requires_grad_()
    (gradient,) = torch.autograd.grad(distance(shape, point).sum(), point)
    unit = solids.normalise(normal[:, hit]).double()
    assert (dot(solids.normalise(gradient), unit) > 0.99).double().mean() > 0.97


@pytest.mark.parametrize("shape", SHAPES)
def test_many_directions_meet_one_set_of_origins(shape: str) -> None:
    origin, direction = rays(shape, 7)
    both = torch.stack([direction, direction.flip(1)], dim=1)
    t, _ = intersect(shape, origin[:, None], both)
    torch.testing.assert_close(t[0], intersect(shape, origin, direction)[0])
    torch.testing.assert_close(t[1], intersect(shape, origin, direction.flip(1))[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_ray_that_points_away_misses(shape: str) -> None:
    origin, direction = rays(shape, 9)
    assert intersect(shape, origin, -direction)[0].isinf().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gap_to_the_floor_contact_grows_outwards(shape: str) -> None:
    x = torch.linspace(HALF_WIDTH[shape], 4, 50)
    gap = footprint_gap(shape, x, torch.zeros(50))
    assert (gap.diff() > 0).all() and gap[0] <= HALF_WIDTH[shape]
    if shape != "ring":
        assert footprint_gap(shape, torch.zeros(1), torch.zeros(1)) == 0
