# Every target sets itself up: the environment in .venv is made on first use and again whenever
# pyproject.toml or constraints.txt changes.

PYTHON := $(shell python3.11 --version >/dev/null 2>&1 && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := ui,train,bench,dev

.PHONY: help setup run test check format screenshots

help:
	@echo "make run      open the page on http://127.0.0.1:7860"
	@echo "make test     run every test"
	@echo "make check    formatting, lint, types and layering"
	@echo "make format   format the code and fix what lint can fix"
	@echo "make screenshots  take the pictures of the page anew, into docs/images"
	@echo "make setup    only make the environment in $(VENV)"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@

run: $(READY)
	$(BIN)/python app.py

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/python -m pytest tests/test_layering.py

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: $(READY)
	$(BIN)/python tools/make_screenshots.py
