"""Every number that the training of the embedded model depends on.

Sizes are pixels or latent cells, budgets are minutes of wall-clock time, batches are per process.
The values were chosen by short trials on two CPU cores; docs/embedded-model.md tells which. Those
for accelerators were chosen by reckoning and have never been tried on one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

SIZE = 128
"""Side of a training picture in pixels."""

LATENT_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """AdamW with warm-up, constant and cool-down phases and a moving average of the weights.

    batch: pictures of one call of the objective in one process. accelerator_batch: the same on an
    accelerator, which a small batch leaves idle; None for no other. accumulate: calls that one
    update takes the mean gradient of. warmup: steps. cooldown: last share of the budget, over which
    the rate falls linearly to `floor` of its height. clip: norm of the whole gradient.
    """

    batch: int
    learning_rate: float
    accelerator_batch: int | None = None
    accumulate: int = 1
    warmup: int = 150
    cooldown: float = 0.4
    floor: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    moving_average: float = 0.999

    def on_accelerator(self) -> Optimisation:
        """The same with the batch for an accelerator."""
        return replace(self, batch=self.accelerator_batch or self.batch)


@dataclass(frozen=True, kw_only=True)
class PoolConfig:
    """The window of rendered pictures that a device draws from.

    block: pictures rendered at once, of all kinds together. blocks: as many of them are held: with
    the defaults 16,384 pictures, 1.1 GB at 128 pixels. every: calls of the objective between two
    new blocks; with batches of 512 a picture is drawn 16 times before it leaves, so that the thread
    that renders has to make a sixteenth of what the training draws.
    """

    block: int = 256
    blocks: int = 64
    every: int = 8


@dataclass(frozen=True, kw_only=True)
class VaeConfig:
    """The autoencoder: `len(channels) - 1` halvings, trained on random crops.

    log_error: weight of the log of each crop's mean square error. kl: weight per latent element.
    anchor: weight at first of the term that holds the first three latent channels to the colours of
    the shrunken picture; it falls to 0 within `anchored`, a share of the budget. detail: weights of
    a pixel of the background, of an object or head, and of eyes and mouth. colour_tolerance:
    largest acceptable `vae.colour_error`; a model that lost a colour direction has 0.4 and more.
    """

    channels: tuple[int, ...] = (32, 64, 96)
    groups: int = 8
    crop: int = 64
    log_error: float = 0.05
    kl: float = 1e-5
    anchor: float = 3.0
    anchored: float = 0.5
    detail: tuple[float, float, float] = (1.0, 1.3, 2.0)
    colour_tolerance: float = 0.15
    minutes: float = 50.0
    optimisation: Optimisation = field(
        default=Optimisation(
            batch=6,
            accelerator_batch=96,
            learning_rate=2e-3,
            warmup=100,
            cooldown=0.6,
            moving_average=0.995,
        )
    )


@dataclass(frozen=True, kw_only=True)
class UnetConfig:
    """The denoiser. attention: whether the level of each entry of `channels` attends.

    snr_power: a level counts snr ** -snr_power.
    """

    channels: tuple[int, ...] = (64, 128, 192)
    attention: tuple[bool, ...] = (False, True, True)
    head: int = 32
    groups: int = 16
    caption_dropout: float = 0.1
    snr_power: float = 0.0
    minutes: float = 130.0
    optimisation: Optimisation = field(
        default=Optimisation(batch=8, accelerator_batch=512, learning_rate=1e-3)
    )


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """The text encoder and the image encoder.

    picture, patch: pixels the tower sees and the side of a patch. colours: weight of reading the
    colours of a patch out of its token.
    """

    picture: int = 112
    patch: int = 14
    width: int = 128
    layers: int = 4
    heads: int = 4
    text_layers: int = 2
    colours: float = 4.0
    minutes: float = 10.0
    optimisation: Optimisation = field(
        default=Optimisation(
            batch=48, accelerator_batch=512, learning_rate=1e-3, warmup=50, moving_average=0.99
        )
    )


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """Shares of the pictures learned from without caption, without image prompt, without both.

    Guidance needs all three. The defaults are IP-Adapter's [arXiv 2308.06721, section 4.1.2]; the
    paper does not tell its own.
    """

    caption: float = 0.05
    image: float = 0.05
    both: float = 0.05


@dataclass(frozen=True, kw_only=True)
class ImagePromptConfig:
    """An image prompt's encoder and its training; the defaults are the paper's settings.

    resolution: side of the pictures. queries, depth, heads, head: image tokens, blocks, heads of a
    block and channels of a head. timestep_power: t = 1000 u ** timestep_power with u uniform, so
    that 1 draws all levels alike and a smaller number draws noisy ones more often. snr_power: a
    level counts snr ** -snr_power. thumbnail: weight of reading shrunken latents out of the tokens.
    silent_start: let V_ip start at zero, so that the untrained prompt disturbs nothing, and not as
    a copy of the text's values.
    """

    resolution: int = 512
    queries: int = 64
    depth: int = 8
    heads: int = 12
    head: int = 64
    dropout: Dropout = field(default=Dropout())
    timestep_power: float = 1.0
    snr_power: float = 0.0
    thumbnail: float = 0.0
    silent_start: bool = False
    minutes: float = math.inf
    steps: int = 1_000_000
    optimisation: Optimisation = field(
        default=Optimisation(
            batch=16,
            learning_rate=1e-5,
            warmup=1,
            floor=1.0,
            betas=(0.9, 0.999),
            weight_decay=0.0,
            clip=math.inf,
            moving_average=0.9999,
        )
    )


PAPER_IMAGE_PROMPT = ImagePromptConfig()
"""The DiffEditor paper: 512 pixels, Adam at 1e-5, batches of 16, a million steps."""

EMBEDDED_IMAGE_PROMPT = ImagePromptConfig(
    resolution=SIZE,
    queries=16,
    depth=2,
    heads=4,
    head=32,
    dropout=Dropout(caption=0.63, image=0.03, both=0.07),
    timestep_power=0.5,
    snr_power=0.5,
    thumbnail=0.3,
    silent_start=True,
    minutes=20.0,
    optimisation=Optimisation(
        batch=8, accelerator_batch=256, learning_rate=1e-3, warmup=40, moving_average=0.99
    ),
)
"""Settings for minutes on two CPU cores: noisy levels and pictures without a caption prevail."""


@dataclass(frozen=True, kw_only=True)
class LandmarkConfig:
    """The finder of the 68 face landmarks."""

    width: int = 32
    minutes: float = 6.0
    optimisation: Optimisation = field(
        default=Optimisation(
            batch=16, accelerator_batch=128, learning_rate=2e-3, warmup=50, moving_average=0.995
        )
    )


@dataclass(frozen=True, kw_only=True)
class EmbeddedConfig:
    """The whole embedded model.

    pictures: rendered ones to learn from, half scenes and half faces. judged: unseen ones of each
    kind that the stages are judged by. live: render while training, into the pool, in the place of
    rendering beforehand; an accelerator always does. compiler: the backend of `torch.compile`.
    """

    size: int = SIZE
    pictures: int = 16384
    judged: int = 32
    live: bool = False
    pool: PoolConfig = field(default=PoolConfig())
    compiler: str = "inductor"
    vae: VaeConfig = field(default=VaeConfig())
    clip: ClipConfig = field(default=ClipConfig())
    unet: UnetConfig = field(default=UnetConfig())
    image_prompt: ImagePromptConfig = field(default=EMBEDDED_IMAGE_PROMPT)
    landmarks: LandmarkConfig = field(default=LandmarkConfig())

    def on_accelerator(self) -> EmbeddedConfig:
        """The same with live pictures and with each stage's batch for an accelerator."""
        stages = {
            name: replace(stage, optimisation=stage.optimisation.on_accelerator())
            for name, stage in vars(self).items()
            if hasattr(stage, "optimisation")
        }
        return replace(self, live=True, **stages)


TINY = EmbeddedConfig(
    size=32,
    pictures=8,
    judged=2,
    pool=PoolConfig(block=4, blocks=2, every=2),
    vae=VaeConfig(
        channels=(8, 8, 8),
        groups=4,
        crop=16,
        colour_tolerance=10.0,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    unet=UnetConfig(
        channels=(8, 8, 16),
        head=8,
        groups=4,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    clip=ClipConfig(
        picture=32,
        patch=8,
        width=16,
        layers=2,
        heads=2,
        text_layers=1,
        optimisation=Optimisation(batch=4, learning_rate=1e-3, warmup=2),
    ),
    image_prompt=ImagePromptConfig(
        resolution=32,
        queries=4,
        depth=1,
        heads=2,
        head=8,
        thumbnail=0.3,
        minutes=1.0,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    landmarks=LandmarkConfig(
        width=8, optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2)
    ),
)
"""A model of the same shape that trains in seconds: for tests and for a first look."""
