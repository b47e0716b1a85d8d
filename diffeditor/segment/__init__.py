"""An object's mask from a box and clicks: by colours alone, or by Segment Anything.

Both are called alike. Each call gets all hints, so that one click more is one longer list.
"""

from pathlib import Path

import torch

from diffeditor.segment.grabcut import GrabCut
from diffeditor.segment.hints import Segmenter

__all__ = ["GrabCut", "Segmenter", "load_segmenter"]


def load_segmenter(path: str | Path | None = None, device: str | torch.device = "cpu") -> Segmenter:
    """Segment Anything from its folder, or the one that needs no weights if no folder is given.

    Raises:
        ModelUnavailable: the folder is missing or damaged, or holds another model.
    """
    if path is None:
        return GrabCut()
    from diffeditor.segment.sam import Sam  # transformers' models take seconds to import

    return Sam.load(path, device)
