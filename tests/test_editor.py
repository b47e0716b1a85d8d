"""The editor on a tiny real model: tasks, presets, exactness, repeatability, no leftovers."""

import json
import random
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffeditor.backbones import Denoiser, StableDiffusion
from diffeditor.composite import feathered
from diffeditor.config import PRESETS
from diffeditor.editor import Editor
from diffeditor.errors import (
    Cancelled,
    InvalidEdit,
    InvalidSetting,
    ModelUnavailable,
    NoFaceFound,
)
from diffeditor.result import Result, Step
from diffeditor.tasks import TASKS, Face, Move, Task
from tests.tiny import (
    MAX_TOKENS,
    SIDES,
    count_hooks,
    counted,
    landmarks,
    load_tiny_model,
    picture,
    quick,
    random_tensor,
    sample_task,
)

QUICK = quick(steps=4)  # step 1 is stochastic and has the image prompt, step 2 travels in time


def pixels(result: Result) -> np.ndarray:
    return np.asarray(result.image)


def last(editor: Editor, task: Task, **options: Any) -> Result:
    chosen: dict[str, Any] = {"preset": QUICK, **options}
    return editor.edit(task, **chosen)


def square(name: str = "move", **changes: Any) -> Task:
    return sample_task(name, *SIDES["square"], **changes)


def may_change(task: Task, result: Result) -> np.ndarray:
    """Bool (H, W): the feathered region of a task."""
    return feathered(task.region(), result.metadata["feather"]) > 0


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_every_task_in_every_format(tiny_editor: Editor, name: str, sides: tuple[int, int]) -> None:
    task = sample_task(name, *sides)
    result = last(tiny_editor, task)
    assert result.image.mode == "RGB" and result.image.size == (sides[1], sides[0])
    changed = (pixels(result) != np.asarray(task.source)).any(2)
    region = may_change(task, result)
    assert not changed[~region].any()
    assert changed[region].mean() > 0.5
    assert 0 < region.sum() < region.size or name == "face"


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_runs(tiny_editor: Editor, preset: str) -> None:
    result = tiny_editor.edit(square(), replace(PRESETS[preset], steps=4))
    assert result.metadata["preset"] == "custom"
    assert (pixels(result) != np.asarray(square().source)).any()


def test_presets_differ_where_they_should(
    tiny_model: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four steps and a strong image prompt show every difference but that of the steps."""
    monkeypatch.setattr(tiny_model, "strengths", {"move": {"sketch_until": 0.25}})
    results = {}
    presets = [name for name in PRESETS if name != "fast"]
    for preset in presets:
        changes = quick(preset, steps=4, image_prompt_scale=1.0)
        results[preset] = pixels(last(Editor(tiny_model), square(), preset=changes)).tobytes()
    assert len(set(results.values())) == len(presets)


@pytest.mark.parametrize("name", TASKS)
def test_the_same_seed_gives_the_same_picture(tiny_model: StableDiffusion, name: str) -> None:
    editor = Editor(tiny_model)
    first, again = (pixels(last(editor, square(name), seed=3)) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(pixels(last(Editor(tiny_model), square(name), seed=3)), first)
    assert not np.array_equal(pixels(last(editor, square(name), seed=4)), first)


def test_without_a_stochastic_part_the_seed_does_not_matter(tiny_editor: Editor) -> None:
    preset = quick("no-regional-sde", steps=4, clear_vacated=False)
    first, other = (pixels(last(tiny_editor, square(), preset=preset, seed=s)) for s in (1, 2))
    assert np.array_equal(first, other)


def test_global_random_states_are_untouched(tiny_editor: Editor) -> None:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    last(tiny_editor, square(), preset=quick("random-time-travel", steps=4), seed=7)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1], strict=True))
    assert random.getstate() == states[2]


def test_inputs_are_not_modified(tiny_editor: Editor) -> None:
    image, mask = picture(80, 80), np.asarray(square().mask).copy()  # type: ignore[attr-defined]
    kept = image.copy(), mask.copy()
    last(tiny_editor, Move(image=image, mask=mask, shift=(20, 10)))
    assert np.array_equal(image, kept[0]) and np.array_equal(mask, kept[1])


def test_a_second_edit_of_a_picture_pays_for_no_inversion(tiny_model: StableDiffusion) -> None:
    """At 50 steps, counted in latents that go through the UNet."""
    editor, preset = Editor(tiny_model), quick(steps=50, resolution=64)
    batches, hook = counted(tiny_model.unet)
    try:
        first = editor.edit(square(), preset).metadata
        assert sum(batches) == 50 + 116 + 8 + 20 + 28
        assert first["unet_samples"] == {"eps": 174, "features": 20, "guided": 28}
        batches.clear()
        second = editor.edit(square(shift=(-8, 24)), preset, seed=1).metadata
    finally:
        hook.remove()
    assert sum(batches) == 116 + 8 + 28
    assert second["unet_samples"] == {"eps": 124, "guided": 28}
    assert second["inversion_cached"] and not first["inversion_cached"]
    assert len(first["guidance_ratio"]) == 20


@pytest.mark.parametrize(("until", "guided"), [(None, 4), (0.8, 5), (0.0, 2)])
def test_an_edit_is_guided_as_long_as_asked(
    until: float | None, guided: int, tiny_editor: Editor
) -> None:
    preset = quick(steps=10, resolution=64, guide_until=until)
    assert len(tiny_editor.edit(square(), preset).metadata["guidance_ratio"]) == guided


def test_the_cache_gives_what_a_fresh_run_gives(tiny_model: StableDiffusion) -> None:
    editor, other = Editor(tiny_model), square(shift=(-8, 24))
    last(editor, square())
    cached = last(editor, other, seed=2)
    fresh = last(Editor(tiny_model), other, seed=2)
    assert cached.metadata["inversion_cached"] and not fresh.metadata["inversion_cached"]
    assert np.array_equal(pixels(cached), pixels(fresh))


@pytest.mark.parametrize(
    ("task", "preset"),
    [
        (square(image=picture(80, 80, seed=5)), QUICK),
        (square(prompt="a photo of a cup"), QUICK),
        (square(), quick(steps=5)),
        (square(), quick(steps=4, resolution=64)),
        (square(), quick("release", steps=4)),
        (square(), quick(steps=4, image_prompt_scale=0.5)),
        (square("appearance"), QUICK),
    ],
)
def test_what_the_inversion_depends_on_inverts_anew(
    tiny_editor: Editor, task: Task, preset: Any
) -> None:
    last(tiny_editor, square())
    assert not last(tiny_editor, task, preset=preset).metadata["inversion_cached"]


def test_a_cleared_cache_inverts_anew(tiny_editor: Editor) -> None:
    last(tiny_editor, square())
    tiny_editor.clear_cache()
    assert not last(tiny_editor, square()).metadata["inversion_cached"]


def test_progress_is_told_from_one_to_total(tiny_editor: Editor) -> None:
    steps = list(tiny_editor.stream(square(), QUICK))
    assert [s.index for s in steps] == list(range(1, 10)) and {s.total for s in steps} == {9}
    assert [s.phase for s in steps] == ["invert"] * 4 + ["sample"] * 4 + ["decode"]
    assert (steps[0].message, steps[4].message) == ("Inverting 1/4", "Editing 1/4")
    assert all(s.result is None for s in steps[:-1]) and steps[-1].result is not None
    assert steps[0].preview() is None
    shown = steps[5].preview()
    assert shown is not None and shown.size == (96, 96)
    cached = list(tiny_editor.stream(square(), QUICK))
    assert [s.index for s in cached] == list(range(1, 6)) and cached[0].phase == "sample"


@pytest.mark.parametrize("name", TASKS)
def test_an_edit_from_a_sketch_runs_what_is_left(tiny_model: StableDiffusion, name: str) -> None:
    """Of four steps the last two: after the noise of step 1, which one draw makes up for."""
    editor, task = Editor(tiny_model), sample_task(name, *SIDES["landscape"])
    preset = replace(QUICK, sketch_until=0.5, clear_vacated=False)
    steps = list(editor.stream(task, preset, seed=1))
    assert [s.index for s in steps] == list(range(1, 6)) and {s.total for s in steps} == {5}
    assert [s.phase for s in steps] == ["invert"] * 2 + ["sample"] * 2 + ["decode"]
    assert (steps[0].message, steps[2].message) == ("Inverting 1/2", "Editing 1/2")
    result = steps[-1].result
    assert result is not None and result.metadata["first_step"] == 2
    changed = (pixels(result) != np.asarray(task.source)).any(2)
    assert not changed[~may_change(task, result)].any() and changed.any()
    other, from_noise = (
        editor.edit(task, replace(preset, sketch_until=share), seed=2) for share in (0.5, 0.0)
    )
    assert other.metadata["inversion_cached"] and not from_noise.metadata["inversion_cached"]
    assert len({pixels(one).tobytes() for one in (result, other, from_noise)}) == 3


def test_an_edit_that_has_no_sketch_fails_before_it_costs_anything(
    tiny_model: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_sketch(*_: object) -> Image.Image:
        raise InvalidEdit("There is no preview of this task.")

    monkeypatch.setattr("diffeditor.run.sketch", no_sketch)
    batches, hook = counted(tiny_model.unet)
    try:
        with pytest.raises(InvalidEdit, match="no preview"):
            Editor(tiny_model).edit(square(), replace(QUICK, sketch_until=0.5))
    finally:
        hook.remove()
    assert batches == []


def test_metadata_says_what_was_run(tiny_editor: Editor) -> None:
    result = tiny_editor.edit(square(), QUICK, seed=np.int64(5))  # type: ignore[arg-type]
    facts = json.loads(json.dumps(result.metadata))
    assert (facts["task"], facts["seed"], facts["steps"]) == ("move", 5, 4)
    assert (facts["model"], facts["device"]) == ("tiny", "cpu")
    assert facts["working_size"] == [96, 96]
    assert facts["strengths"]["w_edit"] == 4.0
    assert len(facts["reached"]) == 1 and facts["warnings"] == []
    assert set(facts["seconds"]) == {"prepare", "invert", "sample", "decode", "total"}
    assert sum(v for k, v in facts["seconds"].items() if k != "total") == pytest.approx(
        facts["seconds"]["total"], abs=0.01
    )


def test_a_named_preset_is_named(tiny_editor: Editor) -> None:
    preset = tiny_editor.edit(square(), PRESETS["dragondiffusion"]).metadata["preset"]
    assert preset == "dragondiffusion"


def test_a_prompts_dropped_end_is_told(tiny_editor: Editor) -> None:
    prompt = " ".join(["car"] * MAX_TOKENS + ["apple"])
    warnings = last(tiny_editor, square("paste", reference_prompt=prompt)).metadata["warnings"]
    (dropped,) = [w for w in warnings if "too long" in w]
    assert dropped.endswith('this part was dropped: "car car apple".')
    fits = " ".join(["car"] * (MAX_TOKENS - 2))
    assert last(tiny_editor, square(prompt=fits)).metadata["warnings"] == []


def test_a_tasks_own_warnings_are_told(tiny_editor: Editor) -> None:
    warnings = last(tiny_editor, square(shift=(50, 0))).metadata["warnings"]
    assert warnings == ["Part of the object leaves the picture and is cut off there."]


def test_a_preset_that_does_not_fit_the_weights_is_told(tiny_model: StableDiffusion) -> None:
    turbo = PRESETS["turbo"]
    (told,) = last(Editor(tiny_model), square(), preset=turbo).metadata["warnings"]
    assert told.startswith("8 steps without guidance are for weights distilled")
    distilled = Editor(tiny_model, loras=["lcm-lora.safetensors:0.9"])
    assert last(distilled, square(), preset=turbo).metadata["warnings"] == []
    (told,) = last(distilled, square()).metadata["warnings"]
    assert "take the preset turbo" in told


@contextmanager
def unchanged(model: StableDiffusion) -> Iterator[None]:
    """Checks that the UNet comes out as it went in."""
    unet = model.unet
    before, text = dict(unet.attn_processors), repr(unet)
    hooks = count_hooks(unet)
    yield
    after = unet.attn_processors
    assert all(after[key] is before[key] for key in before)
    assert repr(unet) == text and count_hooks(unet) == hooks
    assert all(p.grad is None for p in unet.parameters())


@pytest.mark.parametrize("stop", [1, 4, 6, 8])
def test_a_closed_run_leaves_nothing_behind(tiny_model: StableDiffusion, stop: int) -> None:
    editor = Editor(tiny_model)
    with unchanged(tiny_model):
        run = editor.stream(square(), QUICK)
        for _ in range(stop):
            next(run)
        run.close()
    assert np.array_equal(
        pixels(last(editor, square())), pixels(last(Editor(tiny_model), square()))
    )


@pytest.mark.parametrize("call", [2, 7, 9])
def test_a_failed_run_leaves_nothing_behind(tiny_model: StableDiffusion, call: int) -> None:
    """The UNet raises in the inversion, in an early and in a later step."""
    editor, calls = Editor(tiny_model), []

    def fail(*_: Any) -> None:
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError

    with unchanged(tiny_model):
        hook = tiny_model.unet.mid_block.register_forward_pre_hook(fail)  # type: ignore[union-attr]
        try:
            with pytest.raises(ZeroDivisionError):
                last(editor, square())
        finally:
            hook.remove()
    assert np.array_equal(
        pixels(last(editor, square())), pixels(last(Editor(tiny_model), square()))
    )


@pytest.mark.parametrize("call", [1, 3, 5, 7, 8, 9, 11])
def test_a_stopped_run_calls_the_network_no_more(tiny_model: StableDiffusion, call: int) -> None:
    """It is stopped during a call: in the inversion, and in parts of plain and guided steps."""
    editor, calls = Editor(tiny_model), []
    with unchanged(tiny_model):
        hook = tiny_model.unet.mid_block.register_forward_pre_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
        try:
            with pytest.raises(Cancelled):
                list(editor.stream(square(), QUICK, stopped=lambda: len(calls) >= call))
        finally:
            hook.remove()
    assert len(calls) == call
    assert np.array_equal(
        pixels(last(editor, square())), pixels(last(Editor(tiny_model), square()))
    )


def test_two_threads_are_served_one_after_the_other(
    tiny_model: StableDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor, running, most = Editor(tiny_model), [], []
    attach = tiny_model.denoiser

    @contextmanager
    def watched() -> Iterator[Denoiser]:
        running.append(1)
        most.append(len(running))
        try:
            with attach() as denoiser:
                yield denoiser
        finally:
            running.pop()

    monkeypatch.setattr(tiny_model, "denoiser", watched)
    results: dict[int, bytes] = {}

    def edit(seed: int) -> None:
        results[seed] = pixels(last(editor, square(), seed=seed)).tobytes()

    threads = [threading.Thread(target=edit, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 3
    alone = {
        seed: pixels(last(Editor(tiny_model), square(), seed=seed)).tobytes() for seed in results
    }
    assert results == alone


def test_a_waiting_edit_starts_when_the_first_is_closed(tiny_editor: Editor) -> None:
    first = tiny_editor.stream(square(), QUICK)
    next(first)
    done = threading.Event()

    def edit() -> None:
        last(tiny_editor, square())
        done.set()

    thread = threading.Thread(target=edit)
    thread.start()
    assert not done.wait(0.2)
    first.close()
    thread.join()
    assert done.is_set()


@pytest.mark.parametrize("preset", ["paper", "", None, 3])
def test_an_unknown_preset_is_refused(tiny_editor: Editor, preset: Any) -> None:
    with pytest.raises(InvalidSetting, match="There is no preset .*; choose one of diffeditor, "):
        tiny_editor.edit(square(), preset)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", None, True])
def test_a_wrong_seed_is_refused(tiny_editor: Editor, seed: Any) -> None:
    with pytest.raises(
        InvalidSetting, match="The seed must be a whole number from 0 to 2\\^63 - 1"
    ):
        tiny_editor.edit(square(), QUICK, seed)


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_the_largest_seeds_run(tiny_editor: Editor, seed: int) -> None:
    assert last(tiny_editor, square(), seed=seed).metadata["seed"] == seed


@pytest.mark.parametrize("task", [None, "move", {"task": "move"}])
def test_what_is_not_a_task_is_refused(tiny_editor: Editor, task: Any) -> None:
    with pytest.raises(InvalidEdit, match="A task is needed, such as Move or Drag, not "):
        tiny_editor.edit(task, QUICK)


def test_a_refused_edit_frees_the_editor(tiny_editor: Editor) -> None:
    with pytest.raises(InvalidSetting):
        last(tiny_editor, square(), seed=-1)
    with pytest.raises(InvalidSetting):
        last(tiny_editor, square(), preset="paper")
    assert last(tiny_editor, square()).image.size == (80, 80)


def test_a_face_needs_landmarks_or_a_finder(tiny_editor: Editor) -> None:
    task = Face(image=picture(80, 80), reference=picture(60, 60, seed=1))
    with pytest.raises(NoFaceFound, match="give source_landmarks and target_landmarks"):
        last(tiny_editor, task)


def test_a_finder_makes_a_reference_enough(tiny_model: StableDiffusion) -> None:
    def finder(portrait: Image.Image) -> np.ndarray:
        return landmarks(portrait.height, portrait.width, seed=portrait.width)

    editor = Editor(tiny_model, finder)
    task = Face(image=picture(80, 80), reference=picture(60, 60, seed=1))
    result = last(editor, task)
    assert result.image.size == (80, 80)
    assert np.array_equal(editor.find_landmarks(task.source), landmarks(80, 80, seed=80))


def test_a_small_face_leaves_the_rest_of_the_photograph(tiny_editor: Editor) -> None:
    points = landmarks(40, 40) + (120, 30)
    task = Face(image=picture(160, 240), source_landmarks=points, target_landmarks=points + (2, 1))
    _, box = task.focused(96)
    assert box is not None
    result = last(tiny_editor, task)
    changed = (pixels(result) != np.asarray(task.source)).any(2)
    rows, columns = np.nonzero(changed)
    assert box[1] <= rows.min() and rows.max() < box[3]
    assert box[0] <= columns.min() and columns.max() < box[2]
    assert not changed[~may_change(task, result)].any() and changed.any()


@pytest.mark.parametrize("sides", [(16, 16), (17, 200), (301, 67)])
def test_odd_sizes_run(tiny_editor: Editor, sides: tuple[int, int]) -> None:
    result = last(tiny_editor, sample_task("move", *sides))
    assert result.image.size == (sides[1], sides[0])


def test_a_v_prediction_model_runs(tiny_model: StableDiffusion) -> None:
    schedule = replace(tiny_model.schedule, prediction="v_prediction")
    result = last(Editor(replace(tiny_model, schedule=schedule)), square())
    assert not np.array_equal(pixels(result), pixels(last(Editor(tiny_model), square())))


def test_a_text_only_model_runs(tiny_model: StableDiffusion) -> None:
    model = replace(tiny_model, image_prompt=None, image_encoder=None)
    text_only = last(Editor(model), square())
    silent = last(Editor(tiny_model), square(), preset=quick("no-image-prompt", steps=4))
    assert np.array_equal(pixels(text_only), pixels(silent))
    assert text_only.metadata["warnings"] == [
        "The model has no image prompt, so the edit ran on text alone."
    ]
    assert silent.metadata["warnings"] == []


def test_a_text_only_preset_misses_no_image_prompt(tiny_model: StableDiffusion) -> None:
    model = replace(tiny_model, image_prompt=None, image_encoder=None)
    preset = quick("no-image-prompt", steps=4)
    assert last(Editor(model), square(), preset=preset).metadata["warnings"] == []


def test_a_closed_editor_lets_its_model_go(tiny_folder: Path) -> None:
    model = load_tiny_model(tiny_folder)
    editor = Editor(model)
    last(editor, square())
    networks = [
        weakref.ref(part)
        for part in (model.unet, model.vae, model.text_encoder, model.image_prompt)
    ]
    del model
    editor.close()
    assert [network() for network in networks] == [None] * len(networks)


def test_a_closed_editor_edits_no_more(tiny_model: StableDiffusion) -> None:
    editor = Editor(tiny_model)
    editor.close()
    editor.close()
    with pytest.raises(ModelUnavailable, match="This editor was closed; load the model again"):
        last(editor, square())
    with pytest.raises(ModelUnavailable, match="This editor was closed"):
        _ = editor.native_size
    with pytest.raises(NoFaceFound):
        editor.find_landmarks(square().source)


def test_closing_waits_for_the_edit_that_is_running(tiny_model: StableDiffusion) -> None:
    editor = Editor(tiny_model)
    steps = editor.stream(square(), QUICK)
    next(steps)
    closing = threading.Thread(target=editor.close)
    closing.start()
    result = [step.result for step in steps][-1]
    closing.join(timeout=30)
    assert result is not None and not closing.is_alive()


def test_image_prompt_scale_zero_is_no_image_prompt(tiny_model: StableDiffusion) -> None:
    silent = last(Editor(tiny_model), square(), preset=quick(steps=4, image_prompt_scale=0.0))
    none = last(Editor(tiny_model), square(), preset=quick("no-image-prompt", steps=4))
    assert np.array_equal(pixels(silent), pixels(none))


def test_a_models_own_strengths_are_used(tiny_model: StableDiffusion) -> None:
    model = replace(tiny_model, strengths={"move": {"w_edit": 9.0, "guidance_scale": 1.0}})
    facts = last(Editor(model), square()).metadata
    assert facts["strengths"]["w_edit"] == 9.0
    assert facts["unet_samples"]["eps"] == 4 + 6 + 2  # inversion, one half a step, time travel
    own = last(Editor(model), square(), preset=quick(steps=4, w_edit=2.0)).metadata
    assert own["strengths"]["w_edit"] == 2.0


def test_a_recipe_runs_the_same_edit_again(tiny_model: StableDiffusion) -> None:
    result = last(Editor(tiny_model), square(), seed=9)
    recipe = result.recipe
    again = Editor(tiny_model).edit(recipe.task(), recipe.preset(), recipe.seed)
    assert np.array_equal(pixels(again), pixels(result))


def test_steps_are_values() -> None:
    step = Step(index=1, total=2, phase="invert", message="Inverting 1/1")
    assert step.preview() is None and step.result is None
    assert "preview" not in repr(step)


def test_latents_and_pictures_go_through_the_autoencoder(tiny_model: StableDiffusion) -> None:
    z = tiny_model.encode(random_tensor(2, 3, 96, 64).clamp(-1, 1))
    assert z.shape == (2, 4, 12, 8) and z.dtype is torch.float32 and not z.requires_grad
    decoded = tiny_model.decode(z)
    assert decoded.shape == (2, 3, 96, 64)
    assert float(decoded.min()) >= -1 and float(decoded.max()) <= 1
    assert torch.equal(tiny_model.encode(decoded), tiny_model.encode(decoded))
