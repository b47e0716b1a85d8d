"""The words of the embedded model: a CLIP tokenizer at word level, and varied captions.

The tokenizer is an ordinary byte-pair one whose merges were learned until every word of the worlds
is a single token. Any other word falls apart into smaller pieces, so no text is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import CLIPTokenizer

from diffeditor.worlds import face_spec, scene_spec

MAX_LENGTH = 40
"""Tokens of a prompt, with the start and end tokens; the longest caption has 32."""

OPENINGS = (
    "a photo of",
    "a picture of",
    "an image of",
    "a painting of",
    "there is",
    "this is",
    "the",
)
FILLERS = "human person portrait object objects scene world at is it of to very my some photo"
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"

GENERIC = {
    "face": ("a photo of a human face", "a face", "a portrait of a person", "a human face"),
    "scene": ("a photo of a scene", "a scene", "objects on a floor", "a photo of an object"),
}
"""What people write who do not describe the picture."""


def vocabulary() -> list[str]:
    """Every word that is one token, in a fixed order."""
    said = " ".join([*OPENINGS, FILLERS, *(text for kind in GENERIC.values() for text in kind)])
    words = [*scene_spec.VOCABULARY, *face_spec.VOCABULARY, *said.split()]
    return sorted(set(words))


def write_tokenizer(folder: Path, max_length: int = MAX_LENGTH) -> None:
    """Write the files that the stock `CLIPTokenizer.from_pretrained(folder)` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    merges = learn_merges(vocabulary())
    letters = sorted(ByteLevel.alphabet())
    tokens = [
        *letters,
        *(f"{letter}{END_OF_WORD}" for letter in letters),
        f",{END_OF_WORD}",
        *(first + second for first, second in merges),
        START,
        END,
    ]
    ids = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    lines = ["#version: 0.2", *(f"{first} {second}" for first, second in merges)]
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
    }
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2))
    named = {key: config[key] for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    (folder / "special_tokens_map.json").write_text(json.dumps(named, indent=2))


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, in order, after which each of `words` is one token.

    The commonest pair goes first and ties are broken alphabetically, so the result depends on the
    words alone.
    """
    spelled = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in spelled for pair in zip(parts, parts[1:], strict=False))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = [_merged(parts, best) for parts in spelled]


def _merged(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """`parts` with every occurrence of `pair` joined, from the left."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def varied(caption: str, rng: np.random.Generator) -> str:
    """The caption as some user might put it: clauses reordered or left out, other words about it.

    A third stays as it is. What is said is always true of the picture.
    """
    if rng.random() < 0.33:
        return caption
    if rng.random() < 0.08:
        kind = "face" if " face " in caption else "scene"
        return str(rng.choice(GENERIC[kind]))
    clauses = [part for clause in caption.split(", ") for part in _split(clause, rng)]
    kept = [clause for clause in clauses if rng.random() > 0.25] or clauses[:1]
    if rng.random() < 0.5:
        rng.shuffle(kept)
    words = [_sparse(clause, rng) for clause in kept]
    text = (", " if rng.random() < 0.7 else " ").join(words)
    return f"{rng.choice(OPENINGS)} {text}" if rng.random() < 0.3 else text


def _split(clause: str, rng: np.random.Generator) -> list[str]:
    """The things that "and" joins, taken apart half of the time."""
    return clause.split(" and ") if rng.random() < 0.5 else [clause]


def _sparse(clause: str, rng: np.random.Generator) -> str:
    """The clause with now and then a word dropped, and rarely an idle one put in."""
    words = [word for word in clause.split() if rng.random() > 0.06] or clause.split()[:1]
    if rng.random() < 0.04:
        words.insert(int(rng.integers(len(words) + 1)), _idle_word(rng))
    return " ".join(words)


def _idle_word(rng: np.random.Generator) -> str:
    """A word that says nothing about the picture, half of the time of no language."""
    if rng.random() < 0.5:
        return str(rng.choice(FILLERS.split()))
    letters = rng.integers(ord("a"), ord("z") + 1, size=int(rng.integers(2, 7)))
    return "".join(chr(letter) for letter in letters)


@lru_cache(maxsize=1 << 14)
def _word_ids(tokenizer: CLIPTokenizer, word: str) -> list[int]:
    return tokenizer(word, add_special_tokens=False).input_ids


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """What the tokenizer makes of captions, int64 (B, L), padded and cut to the model's length.

    Words are remembered, for the tokenizer takes 80 us a caption: 40 ms of a batch of 512, longer
    than an accelerator takes to learn from it.
    """
    length = tokenizer.model_max_length
    rows = np.full((len(captions), length), tokenizer.pad_token_id)
    for row, caption in zip(rows, captions, strict=True):
        words = [i for word in caption.split(" ") for i in _word_ids(tokenizer, word)]
        ids = [tokenizer.bos_token_id, *words[: length - 2], tokenizer.eos_token_id]
        row[: len(ids)] = ids
    return torch.from_numpy(rows)


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The stock tokenizer of a folder written by `write_tokenizer`."""
    return CLIPTokenizer.from_pretrained(str(folder))
