"""The guides for users: what they quote is what the program says, what they have typed is taken."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from diffeditor.cli import main

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("diffeditor", "ui")
GUIDES = ("install", "models", "settings", "troubleshooting")
SENTENCE = 20
"""Characters; shorter texts of the code, such as "{} and {}", would match any sentence."""
MOVED = "--image a.png --mask m.png --shift 1 0"
"""What a move needs beside the options that a guide is about."""


def guide(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def quoted() -> list[str]:
    return re.findall("^> (.+)$", guide("troubleshooting"), flags=re.MULTILINE)


def pattern(node: ast.AST) -> str | None:
    """What a text in the code can look like, as a regular expression; None if it is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(pattern(value) or ".+" for value in node.values)
    return None


@cache
def said() -> list[re.Pattern[str]]:
    """Every text in the code that is long enough to be a sentence."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    texts = {text for node in nodes if (text := pattern(node))}
    return [re.compile(text) for text in texts if len(text.replace(".+", "")) > SENTENCE]


def test_quoted_sentences_are_the_programs() -> None:
    known = said()
    assert len(quoted()) > 25
    invented = [text for text in quoted() if not any(p.fullmatch(text) for p in known)]
    assert invented == []


@pytest.mark.parametrize(
    "invented", ["The mask is too small; mark more.", "There is no LoRA file …; try again."]
)
def test_an_invented_sentence_would_be_found(invented: str) -> None:
    assert not any(p.fullmatch(invented) for p in said())


class Parsed(Exception):
    """The arguments were accepted; the command need not run."""


def commands() -> Iterator[str]:
    """The command lines of DiffEditor in the blocks of the guides; "..." stands for MOVED."""
    for name in GUIDES:
        lines = re.findall(r"^    (?:\w+=\S+ )*diffeditor (.+)$", guide(name), flags=re.MULTILINE)
        for line in lines:
            yield line.split("  ")[0].replace("...", MOVED).replace("[", "").replace("]", "")


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_typed_commands_are_taken(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def stop_after_leaves(parser: argparse.ArgumentParser, given: Any = None) -> Any:
        parsed = parse(parser, given)
        if "command" in parsed:  # of a group: the next parser is still to come
            return parsed
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop_after_leaves)
    with pytest.raises(Parsed):
        main(shlex.split(command))
