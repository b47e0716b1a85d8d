"""Attention of the UNet under our control, attached for the length of a `with` block.

Self-attention of the up blocks writes its K and V to the memory bank during inversion and reads
them by a KVRule during sampling; cross-attention adds the image prompt's decoupled branch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any, cast

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from diffeditor.device import to_device
from diffeditor.geometry import Size
from diffeditor.image_prompt import DecoupledProjections
from diffeditor.memory import MemoryBank
from diffeditor.plan import KVRule


class BankReader:
    """The keys and values that a rule takes from a bank, ready for attention.

    Which tokens lie in the masks is found once, here: to count them, the host waits for the device.
    """

    def __init__(self, bank: MemoryBank, rule: KVRule) -> None:
        self._bank = bank
        self._rule = rule
        self._cells = {
            count: [_inside(mask, count) for mask in rule.masks] for count in bank.tokens
        }
        self._restricted = {count: self._seen(count) for count in bank.tokens}

    def alone(self, step: int, device: torch.device) -> "BankReader":
        """The same for the keys and values of one step, which lie on a device as its step 0."""
        made = copy(self)
        made._bank = MemoryBank([0])
        for layer, (key, value) in self._bank.read(step).items():
            made._bank.write(0, layer, to_device(key, device), to_device(value, device))
        return made

    def mixed(self, step: int, layer: str, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """K and V (B, tokens, C) for a layer whose own ones are `key` and `value`."""
        banked = [to_device(entry, key.device) for entry in self._bank.read(step)[layer]]
        cells = self._cells[banked[0].shape[1]]
        return self._join(key, banked[0], cells), self._join(value, banked[1], cells)

    def _join(self, own: Tensor, banked: Tensor, cells: list[Tensor | None]) -> Tensor:
        pictures = (
            banked[n : n + 1] if index is None else banked[n : n + 1, index]
            for n, index in enumerate(cells)
        )
        parts = [p.to(own.dtype).expand(len(own), -1, -1) for p in pictures]
        return torch.cat([own, *parts] if self._rule.keep_own else parts, dim=1)

    def restricted(self, count: int) -> tuple[Tensor, Tensor] | None:
        """(queries, tokens of the mixed K and V that they see) where some see less than others.

        Both are indices, in a layer with `count` tokens a picture.
        """
        return self._restricted[count]

    def _seen(self, count: int) -> tuple[Tensor, Tensor] | None:
        hidden = self._rule.hidden
        if hidden is None:
            return None
        queries = _touched(hidden.from_cells, count)
        shown = ~_touched(hidden.cells, count)
        parts = [torch.ones_like(shown)] if self._rule.keep_own else []
        for n, index in enumerate(self._cells[count]):
            picture = shown if n == 0 else torch.ones_like(shown)
            parts.append(picture if index is None else picture[index])
        seen = torch.cat(parts)
        if not queries.any() or not seen.any():
            return None
        return queries.nonzero().flatten(), seen.nonzero().flatten()


def _inside(mask: Tensor | None, count: int) -> Tensor | None:
    """Token indices inside a mask on the grid of a layer with `count` tokens; None is all."""
    if mask is None:
        return None
    grid = layer_grid(Size(*mask.shape[-2:]), count)
    resized = F.interpolate(mask, (grid.height, grid.width), mode="nearest")
    return resized.flatten().nonzero().flatten()


def _touched(mask: Tensor, count: int) -> Tensor:
    """Bool (count,): tokens of a layer any of whose cells lies in the mask."""
    grid = layer_grid(Size(*mask.shape[-2:]), count)
    return F.adaptive_max_pool2d(mask, (grid.height, grid.width)).flatten() > 0


def layer_grid(feature: Size, tokens: int) -> Size:
    """The grid of a layer with that many tokens, for a picture with this feature grid."""
    stride = isqrt(feature.area // tokens)
    return feature.divided(stride)


@dataclass(frozen=True, kw_only=True)
class AttentionPass:
    """What attention does beside its own work in one UNet call.

    write: bank and step that the up blocks' K and V go to.
    read:  reader and step that they come from.
    image_tokens: (B, n, D) of the image prompt, with its scale gamma.
    """

    write: tuple[MemoryBank, int] | None = None
    read: tuple[BankReader, int] | None = None
    image_tokens: Tensor | None = None
    image_scale: float = 0.0

    def of(self, row: int) -> "AttentionPass":
        """The same for one row of a batch."""
        tokens = self.image_tokens
        if tokens is None or len(tokens) == 1:
            return self
        return replace(self, image_tokens=tokens[row : row + 1])


PLAIN = AttentionPass()


@dataclass
class AttentionControl:
    """The handle that `attached` yields: `current` governs the next UNet calls."""

    current: AttentionPass = field(default=PLAIN)


@contextmanager
def attached(
    unet: UNet2DConditionModel, projections: DecoupledProjections | None = None
) -> Iterator[AttentionControl]:
    """Put our attention processors into a UNet, and its own ones back at the end, come what may.

    Args:
        unet: any UNet of the SD 1.x / 2.x kind.
        projections: K_ip and V_ip of an image prompt; None leaves cross-attention as it is.
    """
    before = dict(unet.attn_processors)
    control = AttentionControl()
    ours = {}
    for position, (name, own) in enumerate(before.items()):
        layer = name.removesuffix(".processor")
        if layer.endswith("attn1") and layer.startswith("up_blocks"):
            ours[name] = _BankAttention(layer, control)
        elif layer.endswith("attn2") and projections is not None:
            ours[name] = _DecoupledAttention(
                cast(nn.ModuleDict, projections[str(position)]), control
            )
        else:
            ours[name] = own
    unet.set_attn_processor(ours)
    try:
        yield control
    finally:
        unet.set_attn_processor(before)


class _BankAttention:
    """Self-attention that writes its K and V to a bank, or reads them by a rule."""

    def __init__(self, layer: str, control: AttentionControl) -> None:
        self._layer = layer
        self._control = control

    def __call__(self, attn: Any, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        now = self._control.current
        key, value = attn.to_k(hidden_states), attn.to_v(hidden_states)
        if now.write is not None:
            bank, step = now.write
            bank.write(step, self._layer, key, value)
        query = attn.to_q(hidden_states)
        if now.read is None:
            return _project_out(attn, _attend(attn, query, key, value))
        reader, step = now.read
        key, value = reader.mixed(step, self._layer, key, value)
        mixed, restricted = _attend(attn, query, key, value), reader.restricted(query.shape[1])
        if restricted is not None:
            some, seen = restricted
            less = _attend(attn, query[:, some], key[:, seen], value[:, seen])
            mixed = mixed.index_copy(1, some, less)
        return _project_out(attn, mixed)


class _DecoupledAttention:
    """Cross-attention with the image prompt's own keys and values beside the text's."""

    def __init__(self, projections: nn.ModuleDict, control: AttentionControl) -> None:
        self._projections = projections
        self._control = control

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        *_: object,
        **__: object,
    ) -> Tensor:
        now = self._control.current
        text = encoder_hidden_states if encoder_hidden_states is not None else hidden_states
        query = attn.to_q(hidden_states)
        mixed = _attend(attn, query, attn.to_k(text), attn.to_v(text))
        if now.image_tokens is not None and now.image_scale:
            tokens = now.image_tokens.to(query.dtype)
            key, value = self._projections["to_k_ip"](tokens), self._projections["to_v_ip"](tokens)
            mixed = mixed + now.image_scale * _attend(attn, query, key, value)
        return _project_out(attn, mixed)


def _attend(attn: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v with the layer's heads: (B, tokens, C)."""
    q, k, v = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def _project_out(attn: Any, mixed: Tensor) -> Tensor:
    for layer in attn.to_out:
        mixed = layer(mixed)
    return mixed
