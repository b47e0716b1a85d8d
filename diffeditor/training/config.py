"""Every number that the training of the embedded model depends on.

Sizes are pixels or latent cells, budgets are minutes of wall-clock time, batches are per process.
The values were chosen by short trials on two CPU cores; docs/embedded-model.md tells which.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SIZE = 128
"""Side of a training picture in pixels."""

LATENT_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """AdamW with warm-up, constant and cool-down phases and a moving average of the weights.

    batch: pictures of one call of the objective in one process. accumulate: calls that one update
    takes the mean gradient of. warmup: steps. cooldown: last share of the budget, over
    which the rate falls linearly to `floor` of its height. clip: norm of the whole gradient.
    """

    batch: int
    learning_rate: float
    accumulate: int = 1
    warmup: int = 150
    cooldown: float = 0.4
    floor: float = 0.02
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    moving_average: float = 0.999


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
    minutes: float = 13.0
    optimisation: Optimisation = field(
        default=Optimisation(
            batch=6, learning_rate=2e-3, warmup=100, cooldown=0.6, moving_average=0.995
        )
    )


@dataclass(frozen=True, kw_only=True)
class UnetConfig:
    """The denoiser and its text encoder.

    attention: whether the level of each entry of `channels` attends. uniform_from: share of the
    budget after which the weighting of noise levels goes over from soft min-SNR to uniform.
    """

    channels: tuple[int, ...] = (64, 128, 192)
    attention: tuple[bool, ...] = (False, True, True)
    head: int = 32
    groups: int = 16
    text_width: int = 128
    text_layers: int = 2
    text_heads: int = 4
    caption_dropout: float = 0.1
    max_snr: float = 5.0
    uniform_from: float = 0.6
    minutes: float = 60.0
    optimisation: Optimisation = field(default=Optimisation(batch=8, learning_rate=1e-3))


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """The image encoder, a CLIP vision tower, and the text model it is trained against.

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
        default=Optimisation(batch=48, learning_rate=1e-3, warmup=50, moving_average=0.99)
    )


@dataclass(frozen=True, kw_only=True)
class ImagePromptConfig:
    """The image prompt: a small CLIP vision tower, queries and the extra key/value projections.

    picture, patch: pixels the tower sees and the side of a patch. The UNet stays as it is.
    thumbnail: weight of reading shrunken latents out of the tokens.
    """

    picture: int = 112
    patch: int = 14
    tower_width: int = 128
    tower_layers: int = 4
    tower_heads: int = 4
    queries: int = 16
    depth: int = 2
    heads: int = 4
    head: int = 32
    caption_dropout: float = 0.7
    image_dropout: float = 0.1
    thumbnail: float = 0.3
    minutes: float = 12.0
    optimisation: Optimisation = field(
        default=Optimisation(batch=4, learning_rate=1.5e-3, warmup=40, moving_average=0.99)
    )


@dataclass(frozen=True, kw_only=True)
class LandmarkConfig:
    """The finder of the 68 face landmarks."""

    width: int = 32
    minutes: float = 6.0
    optimisation: Optimisation = field(
        default=Optimisation(batch=16, learning_rate=2e-3, warmup=50, moving_average=0.995)
    )


@dataclass(frozen=True, kw_only=True)
class EmbeddedConfig:
    """The whole embedded model. `decoder` is how the decoder is trained further by itself.

    pictures: rendered ones to learn from, half scenes and half faces. judged: unseen ones of each
    kind that the stages are judged by.
    """

    size: int = SIZE
    pictures: int = 16384
    judged: int = 32
    vae: VaeConfig = field(default=VaeConfig())
    decoder: VaeConfig = field(
        default=VaeConfig(
            anchor=0.0,
            minutes=50.0,
            optimisation=Optimisation(
                batch=8, learning_rate=1e-3, warmup=100, cooldown=0.6, moving_average=0.998
            ),
        )
    )
    unet: UnetConfig = field(default=UnetConfig())
    image_encoder: ImageEncoderConfig = field(default=ImageEncoderConfig())
    image_prompt: ImagePromptConfig = field(default=ImagePromptConfig())
    landmarks: LandmarkConfig = field(default=LandmarkConfig())


TINY = EmbeddedConfig(
    size=32,
    pictures=8,
    judged=2,
    vae=VaeConfig(
        channels=(8, 8, 8),
        groups=4,
        crop=16,
        colour_tolerance=10.0,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    decoder=VaeConfig(
        crop=16,
        anchor=0.0,
        colour_tolerance=10.0,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    unet=UnetConfig(
        channels=(8, 8, 16),
        head=8,
        groups=4,
        text_width=16,
        text_layers=1,
        text_heads=2,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    image_encoder=ImageEncoderConfig(
        picture=32,
        patch=8,
        width=16,
        layers=2,
        heads=2,
        text_layers=1,
        optimisation=Optimisation(batch=4, learning_rate=1e-3, warmup=2),
    ),
    image_prompt=ImagePromptConfig(
        picture=32,
        patch=8,
        tower_width=16,
        tower_layers=2,
        tower_heads=2,
        queries=4,
        depth=1,
        heads=2,
        head=8,
        optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2),
    ),
    landmarks=LandmarkConfig(
        width=8, optimisation=Optimisation(batch=2, learning_rate=1e-3, warmup=2)
    ),
)
"""A model of the same shape that trains in seconds: for tests and for a first look."""
