"""Where the small model that comes with DiffEditor is. Its classes are the usual ones."""

from pathlib import Path

from diffeditor.errors import ModelUnavailable

_PLACES = (
    Path(__file__).resolve().parents[2] / "assets",  # a clone
    Path(__file__).resolve().parents[1] / "_assets",  # an installed package
)


def embedded_folder() -> Path:
    """The folder of the embedded model.

    Raises:
        ModelUnavailable: the files did not come with this installation.
    """
    for assets in _PLACES:
        folder = assets / "models" / "embedded"
        if (folder / "model_index.json").is_file():
            return folder
    raise ModelUnavailable(
        "The embedded model is missing from this installation; install DiffEditor again, or name "
        "a model folder."
    )
