"""A model of Stable Diffusion 1.5's size with random weights: its speed, not its pictures."""

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from diffeditor.backbones import StableDiffusion
from diffeditor.backbones.embedded import shipped_models
from diffeditor.backbones.parts import load_schedule, load_tokenizer


def random_stable_diffusion(seed: int = 0) -> StableDiffusion:
    """The networks of SD 1.5 by the configs that come with DiffEditor, without an image prompt.

    In float32 on the CPU: 4.3 GB. The same weights for the same seed.
    """
    configs = shipped_models() / "stable-diffusion-1"

    def config(
        cls: type[UNet2DConditionModel] | type[AutoencoderKL], part: str
    ) -> dict[str, object]:
        return cls.load_config(str(configs / part), local_files_only=True)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "unet": UNet2DConditionModel.from_config(config(UNet2DConditionModel, "unet")),
            "vae": AutoencoderKL.from_config(config(AutoencoderKL, "vae")),
            "text_encoder": CLIPTextModel(
                CLIPTextConfig.from_pretrained(str(configs / "text_encoder"))
            ),
        }
    return StableDiffusion(
        name="random SD 1.5",
        tokenizer=load_tokenizer(shipped_models() / "clip-tokenizer"),
        schedule=load_schedule(configs / "scheduler"),
        **{name: part.eval().requires_grad_(False) for name, part in parts.items()},
    )
