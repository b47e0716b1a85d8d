"""What all stages share: the settings of a call, and where pictures come from and results go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, ModelMixin
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from diffeditor.backbones import StableDiffusion, load_stable_diffusion
from diffeditor.device import HOST
from diffeditor.errors import DiffEditorError, ModelUnavailable
from diffeditor.image_prompt import ImagePrompt
from diffeditor.training.captions import load_tokenizer
from diffeditor.training.claim import claim
from diffeditor.training.config import EmbeddedConfig
from diffeditor.training.data import (
    KINDS,
    TRAINING,
    VALIDATION,
    CachedWorlds,
    Pictures,
    Source,
    rendered,
    signed,
)
from diffeditor.training.latents import Encode
from diffeditor.training.loop import local_steps
from diffeditor.training.pool import Pool
from diffeditor.training.progress import Run

MEASURED_FILE = "measured.json"
"""{stage: {what: number}}, in the folder of the runs."""


def read_measured(file: Path) -> dict[str, dict[str, float]]:
    """What the stages have measured so far."""
    return json.loads(file.read_text()) if file.is_file() else {}


LEARNED_FROM: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vae": (),
        "clip": (),
        "unet": ("vae", "text_encoder"),
        "image-prompt": ("vae", "text_encoder", "image_encoder", "unet"),
        "landmarks": (),
    }
)
"""The exported parts that the weights of a stage fit, and no others of their kind."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One call of the trainer; goes to every process.

    output: the model's folder. runs: checkpoints, logs and sheets. minutes: per stage, by name.
    steps: upper bound of every stage. device: what `config` is for.
    precision: of accelerate, "no", "bf16" or "fp16". compiles: whether `torch.compile` is used.
    start: a model whose autoencoder, UNet and image prompt runs without a checkpoint begin from.
    """

    stages: tuple[str, ...]
    config: EmbeddedConfig
    output: Path
    runs: Path
    cache: Path
    minutes: dict[str, float]
    steps: int | None = None
    seed: int = 0
    device: torch.device = HOST
    precision: str = "no"
    compiles: bool = False
    snapshot_every: float = 10.0
    start: Path | None = None


@dataclass(frozen=True)
class Workshop:
    """The settings with the devices and files that one process works with."""

    settings: Settings
    accelerator: Accelerator = field(repr=False)

    @property
    def config(self) -> EmbeddedConfig:
        return self.settings.config

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def factor(self) -> int:
        """Pixels per latent cell."""
        return 2 ** (len(self.config.vae.channels) - 1)

    def run(self, stage: str) -> Run:
        """The budget and files of a stage."""
        return Run(
            directory=self.settings.runs,
            accelerator=self.accelerator,
            minutes=self.settings.minutes[stage],
            meet_every=local_steps(self.device),
            steps=self.settings.steps,
            seed=self.settings.seed,
            compiler=self.config.compiler if self.settings.compiles else None,
            snapshot_every=self.settings.snapshot_every,
        )

    def cached(self, kinds: Sequence[str] = KINDS) -> CachedWorlds:
        """The rendered pictures to learn from."""
        return CachedWorlds.open(
            self.settings.cache,
            self.config.size,
            kinds=kinds,
            count=self.config.pictures // len(KINDS),
        )

    def pool(self, kinds: Sequence[str] = KINDS, encode: Encode | None = None) -> Pool:
        """Pictures that are rendered while the model learns from them."""
        return Pool(
            self.config.pool,
            self.config.size,
            self.device,
            kinds=kinds,
            seed=self.settings.seed,
            process=self.accelerator.process_index,
            encode=encode,
        )

    def source(self, kinds: Sequence[str] = KINDS) -> Source:
        """Pictures to learn from, cached or rendered while training."""
        return self.pool(kinds) if self.config.live else self.cached(kinds)

    def standard(self, count: int) -> Tensor:
        """The first pictures to learn from, (B, 3, H, W) in [-1, 1] on the device."""
        seeds = range(TRAINING, TRAINING + count // len(KINDS))
        parts = [rendered(kind, seeds, self.config.size, self.device).images for kind in KINDS]
        return signed(torch.cat(parts))

    @cached_property
    def judged(self) -> Pictures:
        """Unseen pictures: scenes, then as many faces."""
        worlds = CachedWorlds.open(
            self.settings.cache, self.config.size, first=VALIDATION, count=self.config.judged
        )
        return worlds.take(range(len(worlds)))

    def claim(self, stage: str) -> None:
        """Tie a stage's checkpoint to the seed and to the exported parts that it learns from.

        Raises:
            InvalidSetting: the checkpoint is of another seed, or those parts were trained since.
        """
        parts = {part: _digest(self.settings.output / part) for part in LEARNED_FROM[stage]}
        claim(self.settings.runs, stage, {"seed": self.settings.seed, **parts})

    def begin(self, part: str, module: nn.Module) -> None:
        """Give a fresh module the weights of a folder, or a file, of `settings.start`, if there is.

        Raises:
            ModelUnavailable: the part cannot be read, or is of another size.
        """
        start = self.settings.start
        if start is None:
            return
        try:
            module.load_state_dict(_trained(start / part, type(module)).state_dict())
        except (OSError, RuntimeError, ValueError, DiffEditorError) as error:
            raise ModelUnavailable(
                f"Training cannot begin from the {part} in {start}: {error}"
            ) from error

    def exported_vae(self) -> AutoencoderKL:
        """The autoencoder as exported, in float32, frozen.

        Raises:
            ModelUnavailable: the stage that makes it has not been run.
        """
        folder = self._exported("vae", "vae")
        vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
        vae.eval().requires_grad_(False)
        return vae.to(self.device, memory_format=torch.channels_last)

    def exported_text_encoder(self) -> CLIPTextModel:
        """The text encoder as exported, in float32.

        Raises:
            ModelUnavailable: the stage that makes it has not been run.
        """
        folder = self._exported("text_encoder", "clip")
        return CLIPTextModel.from_pretrained(folder, dtype=torch.float32).to(self.device)

    def exported_model(self) -> StableDiffusion:
        """All that the image prompt is trained on, as exported, in float32 on the CPU, frozen.

        Raises:
            ModelUnavailable: a stage that makes one of its parts has not been run.
        """
        for part, stage in (("vae", "vae"), ("image_encoder", "clip"), ("unet", "unet")):
            self._exported(part, stage)
        output = self.settings.output
        return load_stable_diffusion(output, image_encoder=output / "image_encoder")

    def _exported(self, part: str, stage: str) -> Path:
        """The folder of a part; raises ModelUnavailable when its stage has not been run."""
        folder = self.settings.output / part
        if not (folder / "config.json").is_file():
            raise ModelUnavailable(
                f"There is no {part} in {self.settings.output}; train stage {stage} first."
            )
        return folder

    def tokenizer(self) -> CLIPTokenizer:
        """The exported tokenizer."""
        return load_tokenizer(self.settings.output / "tokenizer")

    def note(self, stage: str, measured: dict[str, float]) -> None:
        """Keep what a stage measured in MEASURED_FILE of the runs."""
        file = self.settings.runs / MEASURED_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(read_measured(file) | {stage: measured}, indent=2) + "\n")

    def measured(self, stage: str) -> dict[str, float]:
        """What `note` kept of a stage."""
        return read_measured(self.settings.runs / MEASURED_FILE)[stage]

    def sheet(self, stage: str) -> Path:
        """Where a stage draws what it makes."""
        return self.settings.runs / f"{stage}.png"


def _trained(place: Path, kind: type[nn.Module]) -> nn.Module:
    """An image prompt's file, or the folder of a part of this class."""
    if issubclass(kind, ImagePrompt):
        return ImagePrompt.load(place)
    assert issubclass(kind, ModelMixin)
    return kind.from_pretrained(place, torch_dtype=torch.float32)


def _digest(folder: Path) -> str:
    """A digest of the weights in a part's folder."""
    digest = blake2b(digest_size=8)
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
