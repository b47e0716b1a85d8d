"""How the page looks: the theme of the stock components, and what is laid over it."""

from pathlib import Path

import gradio as gr

from ui import results

ACCENT, DARKER_ACCENT = "#0a5ce0", "#084ab5"
"""Of what is to be pressed next, as on the canvas; white is read well on both."""
CARD, CONTROL = "10px", "8px"
"""Radii of what holds other things and of what is pressed or typed into, as on the canvas."""


def theme() -> gr.themes.Base:
    """Small spaces, fonts that every machine has, and one accent in light and dark."""
    fills = {
        f"button_primary_background_fill{state}{mode}": colour
        for state, colour in (("", ACCENT), ("_hover", DARKER_ACCENT))
        for mode in ("", "_dark")
    }
    return gr.themes.Default(
        primary_hue="blue",
        spacing_size="sm",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        **fills,
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_500",
        background_fill_secondary="*neutral_100",
        block_background_fill_dark="*neutral_900",
        block_title_text_size="*text_sm",
        block_radius=CARD,
        container_radius=CARD,
        input_radius=CONTROL,
        button_large_radius=CONTROL,
        button_medium_radius=CONTROL,
        button_small_radius=CONTROL,
        button_small_padding="*spacing_md *spacing_lg",
        button_border_width="1px",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*border_color_primary",
        button_secondary_border_color_dark="*border_color_primary",
    )


def css() -> str:
    """On the stock components; the canvas brings its own."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8") + results.CSS
