"""The status line for those who hear the page: screen readers do not tell what a text box holds."""

import gradio as gr

REGION = '<p role="status" aria-live="polite"></p>'
TELL = """(words) => {
  const region = document.querySelector("#said p");
  const kind = words.replace(/\\d+/g, "");
  if (region && region.dataset.kind !== kind) {
    region.dataset.kind = kind;
    region.textContent = words;
  }
  return [];
}"""
"""Tells of a new status, but not of one that differs in its numbers alone, as that of each step."""


def build() -> None:
    """The text that is read out; the page's style hides it from sight."""
    gr.HTML(REGION, elem_id="said")


def connect(status: gr.Textbox) -> None:
    """Lets what the line says be read out."""
    status.change(None, status, None, js=TELL, api_visibility="private")
