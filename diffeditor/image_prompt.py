"""The image prompt: a picture as tokens, and the K/V projections through which they are attended.

    CLIP hidden states (B, tokens, clip width) -> ImagePromptEncoder -> image tokens (B, n, D)
    out = Attn(q, K(text), V(text)) + gamma Attn(q, K_ip(tokens), V_ip(tokens))  [DiffEditor eq. 5]

Files have the layout of the published weights: `image_proj.*` for the encoder, and
`ip_adapter.{2k + 1}.to_{k,v}_ip.weight` for the k-th cross-attention layer in the order of
`unet.attn_processors`. Depth, widths and the number of queries are read from the shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil

from diffeditor.errors import ModelUnavailable
from diffeditor.tensorfile import read_tensors

HEAD_WIDTH = 64
"""Of the encoder's attention where the file does not say: that of the published files."""

STRETCHED = 256
"""Side in pixels of the square that a picture is stretched to before CLIP's own processing [R]."""


def clip_pixels(pictures: Sequence[Image.Image], image_size: int) -> Tensor:
    """Pictures as CLIP sees them: (B, 3, image_size, image_size), CLIP's normalisation."""
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": image_size}, crop_size={"height": image_size, "width": image_size}
    )
    side = (STRETCHED, STRETCHED)
    squares = [p.resize(side, Image.Resampling.BICUBIC) if p.size != side else p for p in pictures]
    return processor(images=squares, return_tensors="pt").pixel_values


class PerceiverAttention(nn.Module):
    """Cross-attention of the queries to [image tokens; queries], without biases."""

    def __init__(self, dim: int, heads: int, dim_head: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(dim, 2 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim, bias=False)

    def forward(self, tokens: Tensor, queries: Tensor) -> Tensor:
        tokens, queries = self.norm1(tokens), self.norm2(queries)
        key, value = self.to_kv(torch.cat([tokens, queries], dim=1)).chunk(2, dim=-1)
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for x in (self.to_q(queries), key, value)
        )
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def _feed_forward(dim: int, mult: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(dim),
        nn.Linear(dim, dim * mult, bias=False),
        nn.GELU(),
        nn.Linear(dim * mult, dim, bias=False),
    )


@dataclass(frozen=True, kw_only=True)
class ImagePromptConfig:
    """Sizes of an ImagePromptEncoder; defaults of the published file (the paper has depth 8)."""

    clip_dim: int = 1280
    dim: int = 768
    out_dim: int = 768
    queries: int = 64
    depth: int = 4
    heads: int = 12
    dim_head: int = HEAD_WIDTH
    ff_mult: int = 4


class ImagePromptEncoder(nn.Module):
    """CLIP hidden states (B, tokens, clip_dim) -> image tokens (B, queries, out_dim)."""

    def __init__(self, config: ImagePromptConfig) -> None:
        super().__init__()
        self.config = config
        self.latents = nn.Parameter(torch.randn(1, config.queries, config.dim) / config.dim**0.5)
        self.proj_in = nn.Linear(config.clip_dim, config.dim)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(config.dim, config.heads, config.dim_head),
                    _feed_forward(config.dim, config.ff_mult),
                ]
            )
            for _ in range(config.depth)
        )
        self.proj_out = nn.Linear(config.dim, config.out_dim)
        self.norm_out = nn.LayerNorm(config.out_dim)

    def forward(self, hidden_states: Tensor) -> Tensor:
        tokens = self.proj_in(hidden_states)
        queries = self.latents.expand(len(tokens), -1, -1)
        for attention, feed_forward in self.layers:  # type: ignore[misc]
            queries = queries + attention(tokens, queries)
            queries = queries + feed_forward(queries)
        return self.norm_out(self.proj_out(queries))


class DecoupledProjections(nn.ModuleDict):
    """K_ip and V_ip of every cross-attention layer, by the layer's position.

    Keys are "1", "3", ...: the position of the layer's processor in `unet.attn_processors`,
    which alternates self- and cross-attention.
    """

    @classmethod
    def from_shapes(cls, shapes: dict[str, tuple[int, int]]) -> "DecoupledProjections":
        """Untrained projections from position -> (out channels, token width)."""
        layers = {}
        for position, (out_dim, in_dim) in shapes.items():
            layers[position] = nn.ModuleDict(
                {
                    "to_k_ip": nn.Linear(in_dim, out_dim, bias=False),
                    "to_v_ip": nn.Linear(in_dim, out_dim, bias=False),
                }
            )
        return cls(layers)

    @classmethod
    def for_unet(cls, unet: nn.Module) -> "DecoupledProjections":
        """Projections for a UNet that start as copies of its own text projections."""
        made = cls.from_shapes(projection_shapes(unet))
        for position, attention in _cross_attention(unet).items():
            made[position].to_k_ip.weight.data.copy_(attention.to_k.weight.data)  # type: ignore
            made[position].to_v_ip.weight.data.copy_(attention.to_v.weight.data)  # type: ignore
        return made

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Position -> (out channels, token width)."""
        return {p: tuple(layer.to_k_ip.weight.shape) for p, layer in self.items()}  # type: ignore


def projection_shapes(unet: nn.Module) -> dict[str, tuple[int, int]]:
    """The shapes that the projections for a UNet must have."""
    crossed = _cross_attention(unet)
    return {p: tuple(attention.to_k.weight.shape) for p, attention in crossed.items()}  # type: ignore


def _cross_attention(unet: nn.Module) -> dict[str, nn.Module]:
    """The cross-attention layers of a UNet by their position."""
    names = [name.removesuffix(".processor") for name in unet.attn_processors]  # type: ignore
    crossed = ((str(p), name) for p, name in enumerate(names) if name.endswith("attn2"))
    return {position: unet.get_submodule(name) for position, name in crossed}


class ImagePrompt(nn.Module):
    """The encoder and the projections together: what one image-prompt file holds."""

    def __init__(self, image_proj: ImagePromptEncoder, ip_adapter: DecoupledProjections) -> None:
        super().__init__()
        self.image_proj = image_proj
        self.ip_adapter = ip_adapter

    def save(self, path: str | Path) -> None:
        """Write a safetensors file in the published key layout."""
        tensors = {k: v.detach().contiguous().cpu() for k, v in self.state_dict().items()}
        metadata = {"dim_head": str(self.image_proj.config.dim_head)}
        Path(path).write_bytes(save(tensors, metadata))

    @classmethod
    def load(cls, path: str | Path, *, allow_pickle: bool = False) -> "ImagePrompt":
        """Read an image-prompt file.

        Args:
            allow_pickle: also accept a PyTorch file (it is read with weights_only, so that no
                code in it can run).

        Raises:
            ModelUnavailable: the file is missing, damaged, a pickle that was not allowed, or lacks
                tensors of the layout.
        """
        tensors, dim_head = _read(Path(path), allow_pickle)
        try:
            config = _config_from_shapes(tensors, dim_head)
            shapes = {
                key.split(".")[1]: (value.shape[0], value.shape[1])
                for key, value in tensors.items()
                if key.startswith("ip_adapter.") and key.endswith("to_k_ip.weight")
            }
            made = cls(ImagePromptEncoder(config), DecoupledProjections.from_shapes(shapes))
            made.load_state_dict({k: v.float() for k, v in tensors.items()})
        except (LookupError, RuntimeError, ValueError, ZeroDivisionError) as error:
            raise ModelUnavailable(
                f"{path} is not an image-prompt file: it lacks or misshapes the tensors of "
                "image_proj and ip_adapter; give the file that belongs to this model."
            ) from error
        return made.eval().requires_grad_(False)


def _read(path: Path, allow_pickle: bool) -> tuple[dict[str, Tensor], int]:
    if not path.is_file():
        raise ModelUnavailable(f"There is no image-prompt file {path}; check the path.")
    file = read_tensors(path, allow_pickle=allow_pickle)
    try:
        return file.tensors, int(file.metadata.get("dim_head", HEAD_WIDTH))
    except ValueError as error:
        raise ModelUnavailable(
            f"{path} is not an image-prompt file: its dim_head is no number; get it again."
        ) from error


def _config_from_shapes(tensors: dict[str, Tensor], dim_head: int) -> ImagePromptConfig:
    def shape(key: str) -> torch.Size:
        return tensors[f"image_proj.{key}"].shape

    depth = len({k.split(".")[2] for k in tensors if k.startswith("image_proj.layers.")})
    dim, clip_dim = shape("proj_in.weight")
    return ImagePromptConfig(
        clip_dim=clip_dim,
        dim=dim,
        out_dim=shape("proj_out.weight")[0],
        queries=shape("latents")[1],
        depth=depth,
        heads=shape("layers.0.0.to_q.weight")[0] // dim_head,
        dim_head=dim_head,
        ff_mult=shape("layers.0.1.1.weight")[0] // dim,
    )
