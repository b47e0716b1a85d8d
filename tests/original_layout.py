"""Write a model's parts as one file with the key layout of the original training code."""

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from diffeditor.backbones.parts import Parts

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_NAMES = {
    "conv_shortcut": "nin_shortcut",
    "conv_norm_out": "norm_out",
    "mid_block.resnets.0": "mid.block_1",
    "mid_block.resnets.1": "mid.block_2",
    "mid_block.attentions.0": "mid.attn_1",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
    "resnets": "block",
    "downsamplers.0": "downsample",
    "upsamplers.0": "upsample",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
    "encoder.layers": "transformer.resblocks",
    "final_layer_norm": "ln_final",
    "embeddings.token_embedding": "token_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
}


def save_original(parts: Parts, path: Path, *, open_clip: bool = False, **metadata: str) -> Path:
    """Write the parts; the text encoder as CLIP's or OpenCLIP's. `.ckpt` makes a pickle."""
    text = _open_clip(parts.text_encoder.state_dict()) if open_clip else _clip(parts)
    held = {
        **{f"model.diffusion_model.{k}": v for k, v in original_unet(parts.unet).items()},
        **{f"first_stage_model.{k}": v for k, v in original_vae(parts.vae).items()},
        **{f"cond_stage_model.{k}": v for k, v in text.items()},
    }
    if path.suffix == ".ckpt":
        torch.save({"state_dict": held, "global_step": 7}, path)
    else:
        save_file({k: v.contiguous() for k, v in held.items()}, path, metadata=metadata)
    return path


def original_unet(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The UNet's tensors by their original names."""
    layers = unet.config["layers_per_block"]
    return {_unet_key(key, layers): value for key, value in unet.state_dict().items()}


def original_vae(vae: AutoencoderKL) -> dict[str, Tensor]:
    """The VAE's tensors by their original names; its attention is made of 1 x 1 convolutions."""
    state = vae.state_dict()
    levels = len(vae.config["block_out_channels"])
    named = {_vae_key(key, levels): value for key, value in state.items()}
    pointwise = tuple(f"attn_1.{part}.weight" for part in ("q", "k", "v", "proj_out"))
    return {k: v[:, :, None, None] if k.endswith(pointwise) else v for k, v in named.items()}


def _replaced(key: str, names: Mapping[str, str]) -> str:
    for ours, theirs in names.items():
        key = key.replace(ours, theirs)
    return key


def _unet_key(key: str, layers: int) -> str:
    for ours, theirs in UNET_ENDS.items():
        if key.startswith(ours + "."):
            return key.replace(ours, theirs, 1)
    place, *words = key.split(".")
    if place == "mid_block":
        kind, index, rest = words[0], int(words[1]), ".".join(words[2:])
        position = 2 * index if kind == "resnets" else 1
        return f"middle_block.{position}.{_replaced(rest, RESNET) if kind == 'resnets' else rest}"
    level, kind, index, rest = int(words[0]), words[1], int(words[2]), ".".join(words[3:])
    if place == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{(level + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
        block = f"input_blocks.{1 + level * (layers + 1) + index}"
    elif kind == "upsamplers":
        last = level * (layers + 1) + layers
        return f"output_blocks.{last}.{1 if level == 0 else 2}.{rest}"
    else:
        block = f"output_blocks.{level * (layers + 1) + index}"
    return f"{block}.0.{_replaced(rest, RESNET)}" if kind == "resnets" else f"{block}.1.{rest}"


def _vae_key(key: str, levels: int) -> str:
    for level in range(levels):
        key = key.replace(f"down_blocks.{level}.", f"down.{level}.")
        key = key.replace(f"up_blocks.{level}.", f"up.{levels - 1 - level}.")
    return _replaced(key, VAE_NAMES)


def _clip(parts: Parts) -> dict[str, Tensor]:
    state = parts.text_encoder.state_dict()
    named = {f"transformer.text_model.{key}": value for key, value in state.items()}
    ids = torch.arange(parts.text_encoder.config.max_position_embeddings)[None]
    return {**named, "transformer.text_model.embeddings.position_ids": ids}


def _open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Queries, keys and values are one matrix; beside them lies what only CLIP's loss needs."""
    named = {_replaced(k, OPEN_CLIP): v for k, v in state.items() if "_proj." not in k}
    named |= {_replaced(k, OPEN_CLIP): v for k, v in state.items() if "out_proj." in k}
    for key in [key for key in state if ".self_attn.q_proj." in key]:
        joined = torch.cat(
            [state[key.replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")]
        )
        place = _replaced(key.partition(".self_attn")[0], OPEN_CLIP)
        named[f"{place}.attn.in_proj_{key.rpartition('.')[2]}"] = joined
    width = named["positional_embedding"].shape[1]
    extra = {"text_projection": torch.eye(width), "logit_scale": torch.ones(())}
    return {f"model.{key}": value for key, value in {**named, **extra}.items()}
