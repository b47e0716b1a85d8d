"""The models that the engine can drive."""

from diffeditor.backbones.base import Backbone, Denoiser
from diffeditor.backbones.stable_diffusion import StableDiffusion, load_stable_diffusion

__all__ = ["Backbone", "Denoiser", "StableDiffusion", "load_stable_diffusion"]
