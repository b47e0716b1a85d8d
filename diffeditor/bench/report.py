"""One HTML page beside the pictures: the tables, and every case's results side by side.

The page needs no network and no script. Every text in it is escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from diffeditor.bench.columns import TRUTH
from diffeditor.bench.drawing import asked_path
from diffeditor.bench.statistics import Estimate
from diffeditor.bench.store import Record
from diffeditor.bench.tables import Line, Table, cell_text, number

SHOWN = (
    ("psnr_region", "PSNR {} dB"),
    ("centre_error", "centre {} px"),
    ("colour_error", "colour {}"),
    ("mse_after_68", "MSE {}"),
    ("mse_after_handles", "handles {}"),
)
"""Metrics under a picture, where it has them, and how they are written."""

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
td.best { font-weight: 600; }
.case { display: flex; gap: 0.6rem; overflow-x: auto; margin: 0.4rem 0 1.4rem; }
figure { margin: 0; flex: none; }
img { height: 192px; image-rendering: pixelated; display: block; }
figcaption { font-size: 12px; color: #555; }
h3 { margin: 0; font-size: 15px; font-weight: 500; }
"""


def write_report(
    path: Path, title: str, tables: Sequence[Table], records: Iterable[Record]
) -> None:
    """Write the page; its pictures are named relative to its folder."""
    by_place = {(r.task, r.seed, r.column): r for r in records}
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(LEGEND)}</p>"]
    for one in tables:
        parts += [f"<h2>{escape(one.task)}</h2>", _table(one)]
        parts += [_case(one, seed, by_place) for seed in one.seeds]
    page = _PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))
    path.write_text(page, "utf-8")


LEGEND = (
    "Values are means over the cases, with half the width of their 95 % bootstrap interval. Pixels "
    "are those of a picture 128 wide. The first picture of a case shows what is asked for: the "
    "region that may change in white, what shall move in red, and an object of a reference in "
    "yellow."
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file:; \
style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _table(one: Table) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in ("", *one.columns))
    rows = "\n".join(_row(line, one) for line in one.lines)
    return f"<p>{len(one.seeds)} cases</p>\n<table><tr>{heads}</tr>\n{rows}</table>"


def _row(line: Line, one: Table) -> str:
    best = _best(line, one.columns)
    cells = "".join(_cell(cell, best, len(one.seeds)) for cell in line.cells)
    return f"<tr><td>{escape(line.label)}</td>{cells}</tr>"


def _cell(cell: Estimate | None, best: float | None, cases: int) -> str:
    if cell is None:
        return "<td></td>"
    kind = ' class="best"' if cell.value == best else ""
    span = f"{cell.low:.4g} to {cell.high:.4g}"
    return f'<td{kind} title="{span}">{escape(cell_text(cell, cases))}</td>'


def _best(line: Line, columns: Sequence[str]) -> float | None:
    """The best value of a line, the truth's aside; None when no direction is better."""
    values = [
        cell.value
        for cell, name in zip(line.cells, columns, strict=True)
        if cell is not None and name != TRUTH
    ]
    if line.better is None or not values:
        return None
    return max(values) if line.better == "higher" else min(values)


def _case(one: Table, seed: int, by_place: dict[tuple[str, int, str], Record]) -> str:
    records = [by_place[one.task, seed, name] for name in one.columns]
    figures = [_figure(asked_path(one.task, seed).as_posix(), "asked for", "")]
    figures += [_figure(r.picture, r.column, _numbers(r)) for r in records]
    return f"<h3>{escape(one.task)} {seed}</h3>\n<div class='case'>{''.join(figures)}</div>"


def _numbers(record: Record) -> str:
    values = record.values
    return ", ".join(text.format(number(values[name])) for name, text in SHOWN if name in values)


def _figure(picture: str, title: str, note: str) -> str:
    return (
        f'<figure><img loading="lazy" src="{quote(picture)}" alt="{escape(title)}">'
        f"<figcaption>{escape(title)}<br>{escape(note)}</figcaption></figure>"
    )
