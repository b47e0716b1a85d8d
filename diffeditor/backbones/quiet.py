"""Keep the libraries' own reports out of a terminal that ours are shown in."""

from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging


def quiet_libraries() -> None:
    """Silence the warnings and loading bars of diffusers and transformers in this process."""
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()
