"""The shape of the code: imports point downwards, the engine stands alone, devices are arguments.

`LAYERS` is the layer table of the design. A module may import from a lower layer, and from its
own as long as no two modules import each other, directly or round a corner.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = "__init__"
LAYERS = (
    {"errors", "geometry", "schedule"},
    {
        "config",
        "images",
        "masks",
        "energy",
        "fill",
        "plan",
        "tensorfile",
        "device",
        "processes",
        "memory_policy",
    },
    {"memory", "attention", "compiling", "features", "image_prompt", "image_prompt_files"},
    {"backbones"},
    {"inversion", "guidance", "sampler", "tasks"},
    {
        "editor",
        "job",
        "cache",
        "embeddings",
        "memory_choice",
        "memory_plan",
        "run",
        "result",
        "preview",
        "warp",
        "composite",
        "detail",
        "faces",
        "segment",
        "weights",
        "hub",
        "recipe",
        "recipe_json",
    },
    {PUBLIC},
    {"cli", "models", "worlds", "training", "bench"},
)
LAYER_OF = {name: level for level, names in enumerate(LAYERS) for name in names}
TASK_SEES = LAYERS[0] | LAYERS[1] | {"tasks"}
TASKS = {"move", "drag", "face", "paste", "appearance"}
PAGE_SEES = {"diffeditor", "diffeditor.errors", "diffeditor.worlds"}
DEVICE_HOME = Path("diffeditor/device.py")


class Import(NamedTuple):
    """One imported module, absolute and dotted, and the place that imports it."""

    file: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.target}"


def python_files(package: str) -> list[Path]:
    """Paths of a package's modules, relative to the project's root."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def package_of(file: Path, levels_up: int) -> str:
    """The dotted package that a relative import with `levels_up` dots starts from."""
    return ".".join(file.parts[: len(file.parts) - levels_up])


def imports_of(file: Path, source: str) -> Iterator[Import]:
    """Every import of a module, those in functions and for type checking included.

    `from package import name` counts as `package.name` where that is a module of the project.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package_of(file, node.level) if node.level else ""
            base = ".".join(filter(None, [start, node.module]))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(file, node.lineno, inner if is_module(inner) else base)


def imports_in(package: str) -> list[Import]:
    return [
        found
        for file in python_files(package)
        for found in imports_of(file, (ROOT / file).read_text(encoding="utf-8"))
    ]


def unit(dotted: str) -> str | None:
    """The engine's unit in the layer table that a module belongs to; None outside the engine."""
    package, _, rest = dotted.partition(".")
    if package != "diffeditor":
        return None
    return rest.partition(".")[0] or PUBLIC


def unit_of_file(file: Path) -> str:
    return file.with_suffix("").parts[1]


def module_name(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(f".{PUBLIC}")


def upward(found: Import) -> bool:
    target = unit(found.target)
    if target is None:
        return False
    return LAYER_OF[target] > LAYER_OF[unit_of_file(found.file)]


def breaks_task_rule(found: Import) -> bool:
    """Whether a task sees more than the two lowest layers, or another task."""
    if found.file.parent != Path("diffeditor/tasks") or found.file.stem == PUBLIC:
        return False
    target = unit(found.target)
    other_task = found.target in {f"diffeditor.tasks.{name}" for name in TASKS}
    return other_task or (target is not None and target not in TASK_SEES)


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is not a docstring or another bare expression."""
    tree = ast.parse(source)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.lineno, node.value


def names_cuda(source: str) -> list[int]:
    """Lines that name the device: a "cuda" or "cuda:0" literal, or a call of `.cuda()`."""
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "cuda"
    ]
    return calls + [line for line, text in literals(source) if re.match(r"cuda(:\d+)?$", text)]


def test_every_module_has_a_layer() -> None:
    units = {unit_of_file(file) for file in python_files("diffeditor")}
    assert units <= LAYER_OF.keys(), "give the new module a layer, here and in the documentation"


def test_imports_point_downwards() -> None:
    assert [str(found) for found in imports_in("diffeditor") if upward(found)] == []


def test_no_module_imports_itself_round_a_corner() -> None:
    graph: dict[str, set[str]] = {}
    for found in imports_in("diffeditor"):
        name = module_name(found.file)
        graph.setdefault(name, set()).update({found.target} - {name})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("modules import each other: " + " -> ".join(error.args[1]))


def test_a_task_knows_the_two_lowest_layers_and_no_other_task() -> None:
    assert [str(found) for found in imports_in("diffeditor") if breaks_task_rule(found)] == []


def test_the_sampler_knows_no_task() -> None:
    found = [found for found in imports_in("diffeditor") if unit(found.target) == "tasks"]
    assert [str(one) for one in found if unit_of_file(one.file) in {"sampler", "guidance"}] == []


def test_the_engine_never_imports_gradio() -> None:
    found = [found for found in imports_in("diffeditor") if found.target.split(".")[0] == "gradio"]
    assert [str(one) for one in found] == []


def test_only_the_command_line_opens_the_page() -> None:
    pages = [found for found in imports_in("diffeditor") if found.target.split(".")[0] == "ui"]
    assert [str(one) for one in pages if unit_of_file(one.file) != "cli"] == []


def test_the_page_sees_only_the_public_names() -> None:
    inside = [found for found in imports_in("ui") if unit(found.target) is not None]
    assert [str(found) for found in inside if found.target not in PAGE_SEES] == []


def test_devices_are_resolved_in_one_place() -> None:
    named = [
        f"{file}:{line}"
        for file in python_files("diffeditor")
        if file != DEVICE_HOME
        for line in names_cuda((ROOT / file).read_text(encoding="utf-8"))
    ]
    assert named == []


SAMPLER = Path("diffeditor/sampler.py")
MOVE = Path("diffeditor/tasks/move.py")


@pytest.mark.parametrize(
    "source",
    [
        "from diffeditor.editor import Editor",
        "from .editor import Editor",
        "import diffeditor.worlds.scenes",
        "def run():\n    from diffeditor import load_editor",
    ],
)
def test_an_upward_import_is_found(source: str) -> None:
    assert [found for found in imports_of(SAMPLER, source) if upward(found)]


@pytest.mark.parametrize(
    "source", ["import torch", "from diffeditor.config import Preset", "from . import errors"]
)
def test_a_downward_import_is_allowed(source: str) -> None:
    assert not [found for found in imports_of(SAMPLER, source) if upward(found)]


@pytest.mark.parametrize(
    "source", ["from .drag import Drag", "from diffeditor.attention import attached"]
)
def test_a_task_that_knows_too_much_is_found(source: str) -> None:
    assert [found for found in imports_of(MOVE, source) if breaks_task_rule(found)]


def test_a_named_device_is_found_and_prose_is_not() -> None:
    assert names_cuda('x.to("cuda")\ny.to("cuda:1")\nz.cuda()') == [3, 1, 2]
    assert names_cuda('"""cuda"""\nmessage = "cuda is busy"') == []
