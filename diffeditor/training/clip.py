"""Second stage: a small CLIP, trained on worlds and their captions.

Its text half is what the UNet is conditioned on, its vision half what the image prompt reads; both
are frozen from then on, as in Stable Diffusion. Contrastive, as CLIP was [Radford et al. 2021,
arXiv 2103.00020]. What a picture shows where would be lost in the one vector that is compared with
the caption, so that the patches' tokens also have to tell the colours they cover, through a linear
head that is thrown away afterwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from diffeditor.device import to_device
from diffeditor.training.captions import varied
from diffeditor.training.config import ClipConfig
from diffeditor.training.data import Source
from diffeditor.training.draw import Draw
from diffeditor.training.image_prompt import as_clip_sees
from diffeditor.training.unet import tokenize

SIDE = 4
"""A patch's token tells SIDE x SIDE colours."""


class PictureReader(nn.Module):
    """CLIP and the head that reads colours from the tokens of its patches."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip
        self.colours = nn.Linear(clip.config.vision_config.hidden_size, 3 * SIDE * SIDE)

    def forward(self, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, B) of pictures over captions, and colours (B, 3, h, w) read from the tokens.

        pixels: (B, 3, S, S) as CLIP's processor makes them. ids: (B, L). h = w = SIDE * patches of
        a side. The head reads what the image prompt reads, the last hidden states but one.
        """
        seen = self.clip.vision_model(pixel_values=pixels, output_hidden_states=True)
        told = self.clip.text_model(input_ids=ids)
        pictures = F.normalize(self.clip.visual_projection(seen.pooler_output), dim=-1)
        captions = F.normalize(self.clip.text_projection(told.pooler_output), dim=-1)
        logits = self.clip.logit_scale.exp() * pictures @ captions.T
        return logits, self._colours(seen.hidden_states[-2][:, 1:])

    def _colours(self, tokens: Tensor) -> Tensor:
        patches = round(tokens.shape[1] ** 0.5)
        cells = self.colours(tokens).transpose(1, 2)
        squares = cells.unflatten(2, (patches, patches))
        return F.pixel_shuffle(squares, SIDE)

    def image_encoder(self) -> CLIPVisionModelWithProjection:
        """The vision half, sharing no weights."""
        kept = CLIPVisionModelWithProjection(self.clip.config.vision_config)
        kept.vision_model.load_state_dict(self.clip.vision_model.state_dict())
        kept.visual_projection.load_state_dict(self.clip.visual_projection.state_dict())
        return kept.to(self.clip.device).eval()

    def text_encoder(self) -> CLIPTextModel:
        """The text half without its projection, sharing no weights."""
        kept = CLIPTextModel(self.clip.config.text_config)
        kept.load_state_dict(self.clip.text_model.state_dict())
        return kept.to(self.clip.device).eval()


def build_reader(config: ClipConfig, tokenizer: CLIPTokenizer, seed: int = 0) -> PictureReader:
    """A fresh model; the global random state is left as it was."""
    shared = {
        "hidden_size": config.width,
        "intermediate_size": 4 * config.width,
        "num_attention_heads": config.heads,
        "projection_dim": config.width,
    }
    vision = CLIPVisionConfig(
        image_size=config.picture,
        patch_size=config.patch,
        num_hidden_layers=config.layers,
        **shared,
    )
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=config.text_layers,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shared,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        clip = CLIPModel(
            CLIPConfig(
                text_config=text.to_dict(),
                vision_config=vision.to_dict(),
                projection_dim=config.width,
            )
        )
        return PictureReader(clip.train())


class ClipObjective:
    """Symmetric cross-entropy over the captions of the batch, and the error of the colours."""

    def __init__(
        self,
        config: ClipConfig,
        source: Source,
        tokenizer: CLIPTokenizer,
        device: torch.device,
    ) -> None:
        self.config, self.source, self.tokenizer, self.device = config, source, tokenizer, device

    def __call__(self, model: nn.Module, draw: Draw) -> Tensor:
        drawn = self.source.draw(self.config.optimisation.batch, draw)
        images = to_device(drawn.images, self.device)
        captions = [varied(caption, draw.rng) for caption in drawn.captions]
        ids = tokenize(self.tokenizer, captions, self.device)
        logits, colours = model(as_clip_sees(images, self.config.picture), ids)
        return contrast(logits) + self.config.colours * colour_distance(colours, images)


def contrast(logits: Tensor) -> Tensor:
    """Mean cross-entropy of finding each picture's caption and each caption's picture."""
    own = torch.arange(len(logits), device=logits.device)
    both = F.cross_entropy(logits.float(), own) + F.cross_entropy(logits.float().T, own)
    return both / 2


def colour_distance(colours: Tensor, images: Tensor) -> Tensor:
    """L1 between what was read and the picture shrunk to its size, values in [-1, 1]."""
    true = F.interpolate(images, colours.shape[-2:], mode="area")
    return (colours.float() - true).abs().mean()


class ClipJudge:
    """How often an unseen picture is nearest to its own caption, and how well it is read."""

    def __init__(self, images: Tensor, captions: list[str], tokenizer: CLIPTokenizer, side: int):
        self.images, self.pixels = images, as_clip_sees(images, side)
        self.ids = tokenize(tokenizer, captions, images.device)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        logits, colours = model(self.pixels, self.ids)
        own = torch.arange(len(logits), device=logits.device)
        return {
            "own_caption_first": float((logits.argmax(1) == own).float().mean()),
            "judged": float(len(logits)),
            "colour_distance": float(colour_distance(colours, self.images)),
        }
