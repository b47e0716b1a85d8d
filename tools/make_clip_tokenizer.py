"""Write CLIP's tokenizer, assets/models/clip-tokenizer, from the merges that OpenAI published.

    python tools/make_clip_tokenizer.py bpe_simple_vocab_16e6.txt.gz assets/models/clip-tokenizer

The source is a file of OpenAI's CLIP (MIT licence), which open_clip ships too. A vocabulary is the
256 bytes as printable characters, the same at the end of a word, the merges in their order, and two
special tokens.
"""

import argparse
import gzip
import json
from pathlib import Path

SIZE = 49408
END_OF_WORD = "</w>"
SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def byte_characters() -> list[str]:
    """The printable Latin-1 characters, then stand-ins from U+0100 on for the other bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(code) for code in printable] + [chr(0x100 + i) for i in range(256 - len(printable))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    characters = byte_characters()
    count = SIZE - 2 * len(characters) - len(SPECIAL)
    lines = gzip.decompress(options.source.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : 1 + count]
    words = [*characters, *(c + END_OF_WORD for c in characters)]
    words += [merge.replace(" ", "") for merge in merges] + list(SPECIAL)
    vocabulary = json.dumps({word: index for index, word in enumerate(words)}, ensure_ascii=False)
    options.target.mkdir(parents=True, exist_ok=True)
    (options.target / "vocab.json").write_text(vocabulary, "utf-8")
    (options.target / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), "utf-8")


if __name__ == "__main__":
    main()
