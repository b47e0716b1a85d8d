"""The model card that goes with the embedded model."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

from safetensors import safe_open

from diffeditor.training.workshop import MEASURED_FILE, read_measured

Numbers = dict[str, float]

HEAD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: image-to-image
tags: [stable-diffusion, image-editing, tiny, synthetic]
---

# The embedded model of DiffEditor

A latent diffusion model of the Stable Diffusion kind, small enough to come with the code: pictures
of 128 x 128 pixels, latents of 32 x 32 x 4. It was trained from nothing on rendered pictures of
DiffEditor's own procedural worlds (solids on a floor under a sky, and drawn portraits). No
photograph, no downloaded weights and no picture of a real person went into it.

It is there to try every task at once, without a download and without an accelerator, and to test
the engine. It knows its two worlds and nothing else: **it cannot edit photographs.**

```python
from diffeditor import load_editor

editor = load_editor("embedded")
```

`model_index.json` makes the folder a pipeline that `diffusers.StableDiffusionPipeline` loads. All
weights are float16 safetensors; `SHA256SUMS` names every file but `diffeditor.json`, the strengths
of the tasks that were found with this model.
"""

TAIL = """
## Prompts

In the CLIP tokenizer each word of the worlds is one token; other words are spelled in pieces and
mean little to the model. Captions look like these:

- `a red striped ball on the left and a blue plain cube in the middle, wooden floor, gray sky`
- `a face with tan skin, short brown hair and blue eyes, smiling, mouth open, facing left,
  red shirt, teal background`

## Limits

- Nothing outside its worlds: no photographs, no other objects, no text.
- Thin things (teeth, the rims of eyes, floor tiles far away) are at the limit of the autoencoder.
- The landmark finder expects one upright face that fills most of the picture.

How it was trained, and at what cost: `docs/embedded-model.md`.
"""


def _share_of_own(measured: Numbers) -> str:
    return f"{measured['own_caption_first']:.0%} of {measured['judged']:.0f}"


LINES: tuple[tuple[str, str, Callable[[Numbers], str]], ...] = (
    ("vae", "reconstruction, scenes", lambda m: f"{m['scene_psnr']:.1f} dB"),
    ("vae", "reconstruction, faces", lambda m: f"{m['face_psnr']:.1f} dB"),
    ("clip", "unseen pictures nearest to their own caption", _share_of_own),
    ("unet", "error of eps at t = 50", lambda m: f"{m['eps_mse_50']:.3f}"),
    ("unet", "error of eps at t = 200", lambda m: f"{m['eps_mse_200']:.3f}"),
    ("unet", "error of eps at t = 600", lambda m: f"{m['eps_mse_600']:.4f}"),
    ("unet", "the same without the caption", lambda m: f"{m['eps_mse_600_no_caption']:.4f}"),
    ("image-prompt", "error of eps at t = 999, no caption", lambda m: f"{m['eps_mse_999']:.5f}"),
    (
        "image-prompt",
        "the same without the picture",
        lambda m: f"{m['eps_mse_999_no_picture']:.5f}",
    ),
    ("landmarks", "mean distance, pixels of 128", lambda m: f"{m['mean_pixels']:.2f}"),
)
"""(stage, what, how its number is written)."""


def write_card(output: Path, runs: Path) -> None:
    """Write README.md into the model's folder from its files and what the stages measured."""
    measured = read_measured(runs / MEASURED_FILE)
    parts = [
        f"| {path.relative_to(output).parts[0].removesuffix('.safetensors')} "
        f"| {_parameters(path) / 1e6:.2f} M | {path.stat().st_size / 1e6:.1f} MB |"
        for path in sorted(output.rglob("*.safetensors"))
    ]
    numbers = [
        f"| {stage} | {what} | {told(measured[stage])} |"
        for stage, what, told in LINES
        if stage in measured
    ]
    text = [
        HEAD,
        "\n## Parts\n\n| part | parameters | size |\n|---|---|---|\n",
        "\n".join(parts),
        "\n\n## Measured on unseen worlds\n\n| stage | what | |\n|---|---|---|\n",
        "\n".join(numbers),
        "\n",
        TAIL,
    ]
    (output / "README.md").write_text("".join(text))


def _parameters(path: Path) -> int:
    with safe_open(str(path), framework="pt") as file:
        return sum(prod(file.get_slice(key).get_shape()) for key in file.keys())
