"""The canvas's JavaScript modules as one function body, without a build and without a request.

Gradio runs a string of code for a component. Every module keeps a scope of its own: its exports
become the properties of a constant that is named after its file, from which others import.
"""

import json
import re
from pathlib import Path

from ui.canvas.pixels import MAX_SIDE
from ui.canvas.value import LANDMARKS, MAX_ARROWS, MAX_SCALE, MIN_SCALE, TOOLS, VERSION
from ui.files import MAX_UPLOAD

FOLDER = Path(__file__).parent
MODULES = (
    *("geometry", "bitmap", "history", "state", "modes", "drafts", "words"),
    *(
        "layers",
        "paint",
        "board",
        "requests",
        "gestures",
        "scene",
        "stage",
        "keys",
        "toolbar",
        "canvas",
    ),
)
"""File names without suffix; each module imports from earlier ones only, and from `schema`."""

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def schema() -> str:
    """The module of constants that the browser shares with Python."""
    shared = {
        "version": VERSION,
        "tools": TOOLS,
        "maxArrows": MAX_ARROWS,
        "maxSide": MAX_SIDE,
        "maxBytes": MAX_UPLOAD,
        "minScale": MIN_SCALE,
        "maxScale": MAX_SCALE,
        "landmarks": LANDMARKS,
    }
    return f"export const schema = {json.dumps(shared)};\n"


def source(name: str) -> str:
    """The code of a module by its name, as a browser may import it."""
    return schema() if name == "schema" else (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def bundle() -> str:
    """The body of a function of Gradio's `element, trigger, props, server, upload, watch`."""
    scopes = [_scope(name, source(name)) for name in ("schema", *MODULES)]
    start = "canvas_js.mount({ element, trigger, props, server, upload, watch });"
    return "\n".join(['"use strict";', *scopes, start])


def _scope(name: str, code: str) -> str:
    exports = ", ".join(_EXPORT.findall(code))
    body = _EXPORT.sub("", _IMPORT.sub(r"const \1 = \2_js;", code))
    return f"const {name}_js = (() => {{\n{body}\nreturn {{ {exports} }};\n}})();"
