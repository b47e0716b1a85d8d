"""The models that the engine can drive."""

from diffeditor.backbones.base import Backbone, Denoiser
from diffeditor.backbones.loading import load_stable_diffusion
from diffeditor.backbones.lora import Lora
from diffeditor.backbones.stable_diffusion import StableDiffusion

__all__ = ["Backbone", "Denoiser", "Lora", "StableDiffusion", "load_stable_diffusion"]
