"""The page: one tab for each task, on top of the public names of `diffeditor`."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read by Gradio when it is imported
