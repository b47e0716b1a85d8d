"""The page of DiffEditor: python app.py, then open http://127.0.0.1:7860."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded", help="embedded, a hub id, folder or file")
    parser.add_argument("--device", default="auto", help="auto, cpu, or a device of PyTorch")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--memory", default="auto", help="auto, fast, balanced or low")
    parser.add_argument("--compile", action="store_true", help="compile the model for a GPU")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Loads the model and serves the page until it is stopped."""
    flags = parse(arguments)
    from diffeditor import DiffEditorError, load_editor  # after parsing: --help answers at once
    from ui.launch import launch
    from ui.models import Models

    load = partial(load_editor, dtype=flags.dtype, memory=flags.memory, compile=flags.compile)
    try:
        launch(Models([flags.model], flags.device, load), flags.host, flags.port)
    except DiffEditorError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
