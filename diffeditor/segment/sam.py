"""Segmentation by Segment Anything, where its weights are given."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import SamImageProcessorPil, SamModel, SamProcessor

from diffeditor.backbones.parts import load_part
from diffeditor.errors import ModelUnavailable
from diffeditor.geometry import Point, Size
from diffeditor.images import ImageSource, MaskSource, load_image, resize_mask
from diffeditor.masks import bounding_box
from diffeditor.segment.hints import Hints, found

KEPT = 4
"""Pictures whose embeddings are kept."""
SURE = 10.0
"""Logit that stands for an earlier mask, which is known as yes or no only [ours]."""


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """What the vision tower makes of a picture, and the sizes that lead back to its pixels."""

    features: Tensor
    original: list[list[int]]
    reduced: list[list[int]]


class Sam:
    """Segment Anything [Kirillov et al. 2023]; a picture's embedding is kept for the next click."""

    def __init__(self, model: SamModel, processor: SamProcessor) -> None:
        self._model = model
        self._processor: Any = processor
        self._embeddings: OrderedDict[bytes, Embedded] = OrderedDict()
        self._lock = Lock()

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> Self:
        """The model in a folder that transformers wrote (config, preprocessor and safetensors).

        Raises:
            ModelUnavailable: the folder is missing or damaged, or holds another model.
        """
        folder = Path(path)
        with torch.random.fork_rng(devices=[]):  # the library fills weights before it reads them
            model = load_part(SamModel, folder)
        try:
            images = SamImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:
            raise ModelUnavailable(
                f"{folder} lacks a preprocessor_config.json that can be read; get it again."
            ) from error
        return cls(model.to(device), SamProcessor(image_processor=images))

    def segment(
        self,
        image: ImageSource,
        box: Sequence[float] | None = None,
        positive: Iterable[Sequence[float]] = (),
        negative: Iterable[Sequence[float]] = (),
        previous: MaskSource | None = None,
    ) -> np.ndarray:
        """See `Segmenter.segment`."""
        picture = load_image(image, "image")
        hints = Hints.checked(picture, box, positive, negative, previous)
        with self._lock, torch.inference_mode():
            embedded = self._embedded(picture)
            prompts = self._prompts(hints, embedded)
            output = self._model(
                image_embeddings=embedded.features,
                multimask_output=_ambiguous(hints),
                **prompts,
            )
            best = int(output.iou_scores[0, 0].argmax())
            mask: Tensor = self._processor.post_process_masks(
                output.pred_masks[:, :, best : best + 1].cpu(), embedded.original, embedded.reduced
            )[0]
        return found(mask[0, 0].numpy())

    def _embedded(self, picture: Image.Image) -> Embedded:
        key = blake2b(repr(picture.size).encode() + picture.tobytes()).digest()
        if key not in self._embeddings:
            inputs = self._processor(images=picture, return_tensors="pt")
            pixels = inputs["pixel_values"].to(self._model.device, self._model.dtype)
            self._embeddings[key] = Embedded(
                features=self._model.get_image_embeddings(pixels),
                original=inputs["original_sizes"].tolist(),
                reduced=inputs["reshaped_input_sizes"].tolist(),
            )
        self._embeddings.move_to_end(key)
        while len(self._embeddings) > KEPT:
            self._embeddings.popitem(last=False)
        return self._embeddings[key]

    def _prompts(self, hints: Hints, embedded: Embedded) -> dict[str, Any]:
        """The hints as the model's inputs, in pixels of the reduced picture."""
        (height, width), device = embedded.reduced[0], self._model.device
        reduced, prompts = Size(height, width), dict[str, Any]()
        if clicks := (*hints.positive, *hints.negative):
            moved = [click.rescaled(hints.size, reduced) for click in clicks]
            labels = [1] * len(hints.positive) + [0] * len(hints.negative)
            prompts["input_points"] = torch.tensor([[[(p.x, p.y) for p in moved]]], device=device)
            prompts["input_labels"] = torch.tensor([[labels]], device=device)
        box = hints.box
        if hints.previous is not None:
            prompts["input_masks"] = self._earlier(hints.previous, reduced).to(device)
            box = box or (None if clicks else bounding_box(hints.previous))
        if box is not None:
            corners = [Point(*box[i : i + 2]).rescaled(hints.size, reduced) for i in (0, 2)]
            sides = [value for corner in corners for value in (corner.x, corner.y)]
            prompts["input_boxes"] = torch.tensor([[sides]], device=device)
        return prompts

    def _earlier(self, previous: np.ndarray, reduced: Size) -> Tensor:
        """A mask as logits (1, 1, side, side) on the grid of the model's masks, padded like it."""
        config: Any = self._model.config.prompt_encoder_config
        side = 4 * config.image_embedding_size
        share = side / config.image_size
        inside = resize_mask(
            previous, Size(round(reduced.height * share), round(reduced.width * share))
        )
        logits = torch.full((1, 1, side, side), -SURE)
        logits[0, 0, : inside.shape[0], : inside.shape[1]][torch.from_numpy(inside)] = SURE
        return logits


def _ambiguous(hints: Hints) -> bool:
    """Whether a part and the whole are meant as likely: the model then offers several masks."""
    clicks = len(hints.positive) + len(hints.negative)
    return clicks == 1 and hints.box is None and hints.previous is None
