"""`diffeditor models list`: the models that DiffEditor knows, and which of them are here."""

import argparse

from diffeditor.hub import KNOWN, Address, cached
from diffeditor.weights import EMBEDDED

HEADS = ("MODEL", "KIND", "HERE", "DOWNLOAD", "LICENCE")


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(_options: argparse.Namespace) -> None:
    """Print the table; no connection is made."""
    rows = [HEADS, (EMBEDDED, "model", "yes", "-", "Apache-2.0"), *_known_rows()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    notes = ["", "small and quick; comes with DiffEditor", *(k.about for k in KNOWN.values())]
    for row, note in zip(rows, notes, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
        if note:
            print(f"    {note}")


def _known_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for repo, known in KNOWN.items():
        address = Address(repo=repo, revision=known.revision)
        here = "yes" if cached(address) else "no"
        rows.append((repo, known.kind, here, f"{known.gigabytes} GB", known.licence))
    return rows
