"""Where the files that come with DiffEditor are: the small model, the configs of larger ones."""

from pathlib import Path

from diffeditor.errors import ModelUnavailable

_PLACES = (
    Path(__file__).resolve().parents[2] / "assets",  # a clone
    Path(__file__).resolve().parents[1] / "_assets",  # an installed package
)


def shipped_models() -> Path:
    """The folder of the models and configs that come with DiffEditor.

    Raises:
        ModelUnavailable: the files did not come with this installation.
    """
    for assets in _PLACES:
        if (assets / "models" / "embedded" / "model_index.json").is_file():
            return assets / "models"
    raise ModelUnavailable(
        "The embedded model is missing from this installation; install DiffEditor again, or name "
        "a model folder."
    )


def embedded_folder() -> Path:
    """The folder of the embedded model, a diffusers folder of the usual classes.

    Raises:
        ModelUnavailable: see `shipped_models`.
    """
    return shipped_models() / "embedded"
