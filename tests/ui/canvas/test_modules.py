"""The canvas's pure modules, imported by a browser as they are."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.ui.canvas.conftest import Run
from ui.canvas.bundle import FOLDER, MODULES, bundle, source

pytestmark = pytest.mark.browser

PICTURE = {"width": 200, "height": 100}

# How they come together


def test_every_module_is_in_the_bundle_after_what_it_imports() -> None:
    assert {path.stem for path in FOLDER.glob("*.js")} == set(MODULES)
    for position, name in enumerate(MODULES):
        imported = set(re.findall(r'from "\./(\w+)\.js"', source(name)))
        assert imported <= {"schema", *MODULES[:position]}, name


def test_every_import_is_exported() -> None:
    for name in MODULES:
        for names, other in re.findall(r'import \{([^}]*)\} from "\./(\w+)\.js"', source(name)):
            for one in filter(None, (part.strip() for part in names.split(","))):
                assert re.search(rf"^export .*\b{one}\b", source(other), re.MULTILINE), one


def test_the_bundle_is_the_body_of_a_function(modules: Page) -> None:
    assert "import " not in re.sub(r"//.*", "", bundle())
    names = "'element', 'trigger', 'props', 'server', 'upload', 'watch'"
    modules.evaluate(f"code => {{ new Function({names}, code) }}", bundle())


def test_the_page_writes_text_never_markup() -> None:
    for name in MODULES:
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", source(name)
        )


# Geometry


def test_a_fitted_picture_is_whole_and_in_the_middle(run: Run) -> None:
    view = run("return geometry.fitted(given.picture, {width: 424, height: 524})", picture=PICTURE)
    assert view == {"scale": 2, "x": 12, "y": 162}


def test_screen_and_picture_are_inverse(run: Run) -> None:
    back = run(
        "const view = {scale: 0.3, x: -7, y: 11};"
        "return geometry.toPicture(view, geometry.toScreen(view, {x: 5, y: 9}))"
    )
    assert back == pytest.approx({"x": 5, "y": 9})


def test_zooming_keeps_what_is_under_the_pointer(run: Run) -> None:
    before, after, scale = run(
        "const at = {x: 40, y: 30}, view = {scale: 1, x: 3, y: 4};"
        "const next = geometry.zoomed(view, at, 1.7);"
        "return [geometry.toPicture(view, at), geometry.toPicture(next, at), next.scale]"
    )
    assert before == pytest.approx(after)
    assert scale == pytest.approx(1.7)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_zoom_has_limits(factor: float, run: Run) -> None:
    scale = run(
        "return geometry.zoomed({scale: 1, x: 0, y: 0}, {x: 0, y: 0}, given.factor).scale",
        factor=factor,
    )
    assert scale in (0.02, 64)


def test_some_of_the_picture_stays_on_the_stage(run: Run) -> None:
    view = run(
        "return geometry.reachable({scale: 1, x: -9999, y: 9999}, given.picture,"
        " {width: 300, height: 300})",
        picture=PICTURE,
    )
    assert view == {"scale": 1, "x": 48 - 200, "y": 300 - 48}


def test_points_are_kept_inside(run: Run) -> None:
    p = run("return geometry.within(given.picture, {x: 500, y: -3})", picture=PICTURE)
    assert 199.9 < p["x"] < 200 and p["y"] == 0
    assert run("return geometry.isInside(given.picture, given.p)", picture=PICTURE, p=p)


def test_the_nearest_end_of_an_arrow_is_hit(run: Run) -> None:
    hit = "return geometry.arrowEnd([[0, 0, 50, 50], [52, 50, 90, 90]], given.p, 10)"
    assert run(hit, p={"x": 53, "y": 50}) == {"index": 1, "end": 0}
    assert run(hit, p={"x": 49, "y": 50}) == {"index": 0, "end": 1}
    assert run(hit, p={"x": 25, "y": 25}) is None


def test_of_equally_near_ends_the_later_arrow_is_hit(run: Run) -> None:
    hit = "return geometry.arrowEnd([[0, 0, 50, 50], [50, 50, 90, 90]], {x: 50, y: 50}, 10)"
    assert run(hit) == {"index": 1, "end": 0}


def test_an_object_goes_where_the_tasks_say(run: Run) -> None:
    box = {"left": 10, "top": 20, "width": 40, "height": 20}
    placed = run(
        "return geometry.placedBox(given.box, {dx: 5, dy: -3, scale: 2})",
        box=box,
    )
    corner, c, shift = np.array([10, 20]), np.array([30, 30]), np.array([5, -3])
    assert [placed["left"], placed["top"]] == (c + 2 * (corner - c) + shift).tolist()
    assert (placed["width"], placed["height"]) == (80, 40)


def test_the_scale_of_an_object_has_the_tasks_limits(run: Run) -> None:
    resized = "return geometry.resizedBy({dx: 1, dy: 2, scale: 1}, given.by, schema.schema)"
    assert run(resized, by=1.5) == {"dx": 1, "dy": 2, "scale": 1.5}
    assert run(resized, by=1e-6)["scale"] == 0.05
    assert run(resized, by=1e6)["scale"] == 20


def test_an_object_of_another_picture_rests_in_sight(run: Run) -> None:
    rest = "return geometry.restingPlace(given.box, given.picture)"
    box = {"left": 10, "top": 10, "width": 40, "height": 40}
    assert run(rest, box=box, picture=PICTURE) == {"dx": 0, "dy": 0, "scale": 1}
    far = {"left": 900, "top": 700, "width": 300, "height": 100}
    assert run(rest, box=far, picture=PICTURE) == {"dx": -950, "dy": -700, "scale": 0.3333}


# Bitmaps

CELLS = "const cells = (bitmap) => [...bitmap.cells];"


def test_a_stroke_covers_what_is_within_the_radius(run: Run) -> None:
    drawn = run(
        f"{CELLS} const b = bitmap.blank(30, 20);"
        "const box = bitmap.drawStroke(b, {x: 8, y: 9.3}, {x: 21, y: 11}, 4.2, 1);"
        "return [cells(b), box, bitmap.bounds(b)]"
    )
    rows, columns = np.mgrid[:20, :30] + 0.5
    a, b = np.array([8, 9.3]), np.array([21, 11])
    along = ((columns - a[0]) * (b - a)[0] + (rows - a[1]) * (b - a)[1]) / ((b - a) @ (b - a))
    along = along.clip(0, 1)
    away = np.hypot(columns - a[0] - along * (b - a)[0], rows - a[1] - along * (b - a)[1])
    inside = away <= 4.2
    assert np.array_equal(np.reshape(drawn[0], (20, 30)) == 1, inside)
    changed, bounds = drawn[1], drawn[2]
    assert changed["left"] <= bounds["left"] and changed["top"] <= bounds["top"]
    assert changed["left"] + changed["width"] >= bounds["left"] + bounds["width"]
    assert bounds == {"left": 4, "top": 5, "width": 21, "height": 10}


def test_the_thinnest_brush_marks_the_cell_under_it(run: Run) -> None:
    drawn = run(
        f"{CELLS} const b = bitmap.blank(4, 3);"
        "bitmap.drawStroke(b, {x: 2.2, y: 1.4}, {x: 2.2, y: 1.4}, 0.01, 1); return cells(b)"
    )
    assert np.reshape(drawn, (3, 4))[1, 2] == 1


def test_a_stroke_beside_the_picture_changes_nothing(run: Run) -> None:
    changed, bounds = run(
        "const b = bitmap.blank(9, 9);"
        "return [bitmap.drawStroke(b, {x: -9, y: 4}, {x: -5, y: 4}, 3, 1), bitmap.bounds(b)]"
    )
    assert changed is None and bounds is None


def test_a_box_is_filled_and_taken_away(run: Run) -> None:
    filled, rest = run(
        f"{CELLS} const b = bitmap.blank(6, 5);"
        "bitmap.drawBox(b, {x: 4.2, y: 3.9}, {x: 0.6, y: -2}, 1); const first = cells(b);"
        "bitmap.drawBox(b, {x: 0, y: 0}, {x: 3, y: 9}, 0); return [first, cells(b)]"
    )
    expected = np.zeros((5, 6), int)
    expected[:4, 1:4] = 1
    assert np.array_equal(np.reshape(filled, (5, 6)), expected)
    expected[:, :3] = 0
    assert np.array_equal(np.reshape(rest, (5, 6)), expected)


def test_borders_are_straight_lines_round_what_is_inside(run: Run) -> None:
    lines = run(
        "const mask = bitmap.blank(4, 3);"
        "bitmap.drawBox(mask, {x: 1, y: 0}, {x: 3, y: 2}, 1);"
        "bitmap.drawBox(mask, {x: 3, y: 1}, {x: 4, y: 2}, 1);"
        "return bitmap.borders(mask)"
    )
    assert sorted(map(tuple, lines)) == [
        (1, 0, 1, 2),
        (1, 0, 3, 0),
        (1, 2, 4, 2),
        (3, 0, 3, 1),
        (3, 1, 4, 1),
        (4, 1, 4, 2),
    ]


def test_a_border_goes_round_a_hole_and_along_the_frame(run: Run) -> None:
    lines = run(
        "const mask = bitmap.inverted(bitmap.blank(3, 3));"
        "bitmap.drawBox(mask, {x: 1, y: 1}, {x: 2, y: 2}, 0);"
        "return [bitmap.borders(mask).length, bitmap.borders(bitmap.blank(3, 3)).length]"
    )
    assert lines == [8, 0]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_runs_come_back_and_bounds_are_exact(share: float, run: Run) -> None:
    mask = np.random.default_rng(3).random((7, 11)) < share
    runs, back, bounds, upside = run(
        f"{CELLS} const b = {{width: 11, height: 7, cells: Uint8Array.from(given.cells)}};"
        "const runs = bitmap.toRuns(b);"
        "return [runs, cells(bitmap.fromRuns(runs, 11, 7)), bitmap.bounds(b),"
        " cells(bitmap.inverted(b))]",
        cells=mask.astype(int).ravel().tolist(),
    )
    assert back == mask.astype(int).ravel().tolist()
    assert upside == (~mask).astype(int).ravel().tolist()
    assert sum(runs) == mask.size and all(run > 0 for run in runs[1:])
    if not mask.any():
        assert bounds is None
        return
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert (bounds["left"], bounds["top"]) == (columns[0], rows[0])
    assert bounds["width"] == np.ptp(columns) + 1 and bounds["height"] == np.ptp(rows) + 1


@pytest.mark.parametrize(
    ("pixels", "inside"),
    [
        ([255, 255, 255, 255, 0, 0, 0, 0], [1, 0]),  # alpha
        ([0, 0, 0, 200, 255, 255, 255, 100], [1, 0]),
        ([255, 255, 255, 255, 0, 0, 0, 255], [1, 0]),  # white on black
        ([0, 0, 130, 255, 90, 90, 90, 255], [1, 0]),
    ],
)
def test_a_mask_is_what_is_opaque_or_bright(pixels: list[int], inside: list[int], run: Run) -> None:
    body = f"{CELLS} return cells(bitmap.fromPixels(given.pixels, 2, 1))"
    assert run(body, pixels=pixels) == inside


# History


def test_undo_and_redo_go_back_and_forth(run: Run) -> None:
    states = run(
        "let h = history.committed(history.committed(history.started(0), 1, 'one'), 2, 'two');"
        "const seen = [h.present, h.past.at(-1).label];"
        "h = history.undone(h); seen.push(h.present, h.future[0].label);"
        "h = history.undone(h); seen.push(h.present, history.canUndo(h));"
        "h = history.redone(history.redone(h)); seen.push(h.present, history.canRedo(h));"
        "return seen"
    )
    assert states == [2, "two", 1, "two", 0, False, 2, False]


def test_a_new_step_forgets_what_was_undone(run: Run) -> None:
    body = (
        "let h = history.undone(history.committed(history.started(0), 1, ''));"
        "h = history.committed(h, 5, ''); return [h.present, history.canRedo(h)]"
    )
    assert run(body) == [5, False]


def test_steps_of_a_series_are_one(run: Run) -> None:
    body = (
        "let h = history.started(0);"
        "for (const n of [1, 2, 3]) h = history.committed(h, n, '', 'nudge');"
        "h = history.committed(h, 4, ''); h = history.committed(h, 5, '', 'nudge');"
        "return h.past.map(({state}) => state)"
    )
    assert run(body) == [0, 3, 4]


def test_a_series_ends_with_an_undo(run: Run) -> None:
    body = (
        "let h = history.committed(history.started(0), 1, '', 'nudge');"
        "h = history.redone(history.undone(h)); h = history.committed(h, 2, '', 'nudge');"
        "return h.past.map(({state}) => state)"
    )
    assert run(body) == [0, 1]


def test_the_oldest_steps_are_forgotten(run: Run) -> None:
    body = (
        "let h = history.started(0);"
        "for (let n = 1; n <= 250; n++) h = history.committed(h, n, '');"
        "return [h.past.length, h.past[0].state, history.LIMIT]"
    )
    assert run(body) == [100, 150, 100]


# State

FULL = (
    "const full = {...state.empty(), source: {width: 200, height: 100, view: {}},"
    " reference: {width: 400, height: 400, view: {}}, arrows: [[1, 2, 3, 4]],"
    " mask: {png: 'a', runs: [1], box: {left: 10, top: 10, width: 20, height: 20}},"
    " fill_mask: {png: 'f'}, reference_mask: {png: 'b', runs: [1],"
    " box: {left: 300, top: 300, width: 50, height: 50}}, move: {dx: 1, dy: 2, scale: 1},"
    " landmarks: [[1, 2]], reference_landmarks: [[3, 4]]};"
)


def test_the_value_has_the_fields_that_python_reads(run: Run) -> None:
    from ui.canvas import Value

    value = run(f"{FULL} return state.toValue(full, 'move', 3)")
    assert set(value) == set(Value.model_fields)
    assert (value["rev"], value["tool"], value["mask"]) == (3, "move", "a")


def test_the_pasted_object_is_told_where_it_stands(run: Run) -> None:
    value = run(f"{FULL} return state.toValue(full, 'paste', 3)")
    assert value["paste"] == {"dx": -225, "dy": -275, "scale": 1}
    moved = run(f"{FULL} return state.toValue({{...full, paste: full.move}}, 'paste', 3)")
    assert moved["paste"] == {"dx": 1, "dy": 2, "scale": 1}


def test_a_new_picture_clears_its_own_marks_only(run: Run) -> None:
    new = run(f"{FULL} return state.patched(full, {{source: {{width: 9, height: 9}}}})")
    assert (new["mask"], new["fill_mask"], new["move"], new["landmarks"]) == (None,) * 4
    assert new["arrows"] == []
    assert new["reference_mask"]["png"] == "b" and new["reference_landmarks"] == [[3, 4]]
    new = run(f"{FULL} return state.patched(full, {{reference: null}})")
    assert (new["reference_mask"], new["reference_landmarks"]) == (None, None)
    assert new["mask"]["png"] == "a" and new["arrows"] == [[1, 2, 3, 4]]


def test_a_patch_changes_what_it_names(run: Run) -> None:
    new = run(
        f"{FULL} return state.patched(full, {{source: {{width: 9}}, mask: 'n', arrows: [[1]],"
        " secret: 3})"
    )
    assert new["mask"] == {"png": "n", "runs": None, "box": None}
    assert new["arrows"] == [[1]]
    assert "secret" not in new


def test_no_state_is_changed_in_place(run: Run) -> None:
    assert run(
        f"{FULL} const before = JSON.stringify(full);"
        "state.patched(full, {source: null}); state.withMask(full, 'mask', null);"
        "state.withoutArrow(full, 0);"
        "drafts.arrowDrawn(full, {x: 1, y: 1})({x: 5, y: 5});"
        "drafts.arrowEndMoved(full, {index: 0, end: 1})({x: 5, y: 5});"
        "drafts.landmarkMoved(full, 'source', 0)({x: 5, y: 5});"
        "return before === JSON.stringify(full)"
    )


def test_drafts_follow_the_pointer(run: Run) -> None:
    drawn, moved, point = run(
        f"{FULL} return [drafts.arrowDrawn(full, {{x: 10, y: 20}})({{x: 900, y: 30.123}}).arrows,"
        "drafts.arrowEndMoved(full, {index: 0, end: 0})({x: 7, y: 8}).arrows,"
        "drafts.landmarkMoved(full, 'reference', 0)({x: 7, y: 8}).reference_landmarks]"
    )
    assert drawn == [[1, 2, 3, 4], [10, 20, 199.99, 30.12]]
    assert moved == [[7, 8, 3, 4]]
    assert point == [[7, 8]]


def test_the_object_follows_the_pointer_and_its_corner(run: Run) -> None:
    moved, resized = run(
        f"{FULL} const o = state.objectOf(full, 'move');"
        "return [drafts.objectMoved(full, o, {x: 5, y: 5})({x: 8, y: 3}).move,"
        "drafts.objectResized(full, o, {x: 0, y: 0}, {x: 3, y: 4})({x: 6, y: 8}).move]"
    )
    assert moved == {"dx": 4, "dy": 0, "scale": 1}
    assert resized == {"dx": 1, "dy": 2, "scale": 2}


def test_an_object_is_marked_before_it_is_moved(run: Run) -> None:
    first, then = run(
        f"{FULL} return [modes.firstMode(state.empty(), 'move'), modes.firstMode(full, 'move')]"
    )
    assert (first, then) == ("brush", "place")


def test_modes_fit_the_tool(run: Run) -> None:
    drag, look, face = run(
        "return [modes.modesOf('drag', false), modes.modesOf('appearance', true),"
        " modes.modesOf('face', true)]"
    )
    assert drag == ["place", "brush", "erase", "box", "hand"]
    assert look == ["brush", "erase", "box", "segment", "hand"]
    assert face == ["place", "hand"]


@pytest.mark.parametrize("tool", ["drag", "move", "paste", "appearance", "face"])
def test_there_is_always_a_hint(tool: str, run: Run) -> None:
    first, last = run(
        f"{FULL} return [words.hint(state.empty(), given.tool, 'brush'),"
        " words.hint(full, given.tool, 'place')]",
        tool=tool,
    )
    assert first == "Open a picture to begin."
    assert last.startswith("Ready.")
