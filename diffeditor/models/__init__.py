"""The commands `diffeditor models list`, `fetch` and `verify`."""
