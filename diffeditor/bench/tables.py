"""Tables of what was measured: one a task, a row for each metric, a column for each way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from diffeditor.bench.columns import TRUTH
from diffeditor.bench.statistics import (
    Estimate,
    Statistic,
    bootstrap,
    bootstrap_frechet,
    difference,
    mean,
    median,
    ratio,
)
from diffeditor.bench.store import Record

RIVAL, PLAIN = "dragondiffusion", "copy-paste"
"""The columns that some rows compare the others with, case by case."""
FEWEST = 5
"""Cases that an interval is told from: a bootstrap of fewer says too little of the spread."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the tables.

    values: names of the metrics that the statistic takes, two for a ratio of sums. against: the
    column whose value is the second one instead.
    """

    label: str
    values: tuple[str, ...]
    statistic: Statistic = mean
    better: Literal["higher", "lower"] | None = None
    against: str | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row as measured: an estimate for each column, None where it has no such metric."""

    label: str
    better: Literal["higher", "lower"] | None
    cells: tuple[Estimate | None, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A task's table over the cases that all of its columns have made."""

    task: str
    columns: tuple[str, ...]
    seeds: tuple[int, ...]
    lines: tuple[Line, ...]


def _area(name: str, label: str) -> tuple[Row, ...]:
    return (
        Row(label=f"PSNR {label}, dB", values=(f"psnr_{name}",), better="higher"),
        Row(
            label=f"PSNR {label} over {PLAIN}'s, dB",
            values=(f"psnr_{name}",),
            statistic=difference,
            better="higher",
            against=PLAIN,
        ),
        Row(label=f"SSIM {label}", values=(f"ssim_{name}",), better="higher"),
    )


def _points(name: str, label: str) -> tuple[Row, ...]:
    """Rows of a set of points: how far they are from their targets, and how far they came."""
    mse_before, mse = f"mse_before_{name}", f"mse_after_{name}"
    before, after = f"distance_before_{name}", f"distance_after_{name}"
    return (
        Row(label=f"distance before, {label}, px", values=(before,)),
        Row(label=f"distance after, {label}, px", values=(after,), better="lower"),
        Row(label=f"MSE before, {label}, px^2", values=(mse_before,)),
        Row(label=f"MSE after, {label}, px^2", values=(mse,), better="lower"),
        Row(
            label=f"MSE after/before, {label}",
            values=(mse, mse_before),
            statistic=ratio,
            better="lower",
        ),
        Row(
            label=f"MSE after/{RIVAL}'s, {label}",
            values=(mse,),
            statistic=ratio,
            better="lower",
            against=RIVAL,
        ),
        Row(
            label=f"share of the way, {label}",
            values=(f"progress_{name}", mse_before),
            statistic=ratio,
        ),
    )


ROWS: tuple[Row, ...] = (
    *_area("region", "region"),
    *_area("changing", "changing pixels"),
    *_area("destination", "destination"),
    *_area("vacated", "vacated"),
    Row(label="centre error, px", values=("centre_error",), better="lower"),
    Row(
        label="centre error, px, median",
        values=("centre_error",),
        statistic=median,
        better="lower",
    ),
    Row(label="size error, %", values=("size_error",), better="lower"),
    Row(label="share of objects lost", values=("lost",), better="lower"),
    Row(label="colour error, Delta E", values=("colour_error",), better="lower"),
    Row(label="pattern error", values=("pattern_error",), better="lower"),
    *_points("handles", "handles"),
    *_points("17", "17 points"),
    *_points("68", "68 points"),
    *_points("moved", "moved points"),
    Row(label="PSNR outside, dB", values=("psnr_outside",), better="higher"),
    Row(label="changed outside, %", values=("changed_outside",), better="lower"),
    Row(label="changed beyond the edit, %", values=("changed_beyond",), better="lower"),
    Row(label="seconds", values=("seconds",)),
    Row(label="UNet calls", values=("unet_samples",)),
)
"""In the order of the tables; a table has those whose metrics its task has."""

Shared = Mapping[str, Sequence[Record]]
"""The records of each column, of the same cases in the same order."""


def table(task: str, columns: Sequence[str], records: Sequence[Record]) -> Table:
    """The table of a task over the cases that all of these columns have made."""
    made = {name: _by_seed(task, name, records) for name in columns}
    made = {name: rows for name, rows in made.items() if rows}
    seeds = sorted(set.intersection(*map(set, made.values()))) if made else []
    shared = {name: [rows[seed] for seed in seeds] for name, rows in made.items()}
    lines = (_line(row, shared) for row in ROWS) if seeds else ()
    kept = [line for line in lines if any(line.cells)]
    if TRUTH in shared and len(seeds) > 1:
        kept.append(_frechet(shared))
    return Table(task=task, columns=tuple(made), seeds=tuple(seeds), lines=tuple(kept))


def _by_seed(task: str, column: str, records: Sequence[Record]) -> dict[int, Record]:
    return {r.seed: r for r in records if r.task == task and r.column == column}


def _line(row: Row, shared: Shared) -> Line:
    cells = tuple(_cell(row, name, shared) for name in shared)
    return Line(label=row.label, better=row.better, cells=cells)


def _cell(row: Row, column: str, shared: Shared) -> Estimate | None:
    """A row's estimate over the cases that have its metrics."""
    names = [(column, name) for name in row.values]
    if row.against is not None:
        names.append((row.against, row.values[0]))
    if any(name not in shared for name, _ in names):
        return None
    series = [[_value(record, metric) for record in shared[name]] for name, metric in names]
    values = np.array(series, dtype=np.float64).T
    values = values[~np.isnan(values).any(1)]
    if not len(values):
        return None
    return bootstrap(values if values.shape[1] > 1 else values[:, 0], row.statistic)


def _value(record: Record, metric: str) -> float:
    """A metric of a record; NaN when it has none."""
    costs = {"seconds": record.seconds, "unet_samples": record.unet_samples}
    value = costs[metric] if metric in costs else record.values.get(metric)
    return float("nan") if value is None else value


def _frechet(shared: Shared) -> Line:
    """Distance of each column's pictures to the true ones."""
    features = {name: np.array([r.features for r in rows]) for name, rows in shared.items()}
    cells = tuple(bootstrap_frechet(one, features[TRUTH]) for one in features.values())
    return Line(label="Fréchet distance", better="lower", cells=cells)


def as_text(one: Table) -> str:
    """A table for the terminal."""
    first = max([len(line.label) for line in one.lines], default=0)
    widths = [max(14, len(name)) for name in one.columns]
    lines = [f"{one.task}, {len(one.seeds)} cases"]
    for label, texts in [("", one.columns), *((x.label, _texts(one, x)) for x in one.lines)]:
        cells = "  ".join(text.rjust(w) for text, w in zip(texts, widths, strict=True))
        lines.append(f"{label:{first}}  {cells}")
    return "\n".join(lines)


def as_markdown(one: Table) -> str:
    """A table for a document."""
    head = (f"{one.task}, {len(one.seeds)} cases", one.columns)
    rows = [head, *((line.label, _texts(one, line)) for line in one.lines)]
    lines = [f"| {label} | {' | '.join(texts)} |" for label, texts in rows]
    return "\n".join([lines[0], "|---|" + "---:|" * len(one.columns), *lines[1:]])


def _texts(one: Table, line: Line) -> tuple[str, ...]:
    return tuple(cell_text(cell, len(one.seeds)) for cell in line.cells)


def cell_text(cell: Estimate | None, cases: int) -> str:
    """The value, half the width of its interval, and of how many cases it is if not of all.

    Of fewer than FEWEST cases there is no interval.
    """
    if cell is None:
        return ""
    half = (cell.high - cell.low) / 2 if cell.count >= FEWEST else 0.0
    spread = f" ±{number(half)}" if half else ""
    return number(cell.value) + spread + (f" ({cell.count})" if cell.count < cases else "")


def number(value: float) -> str:
    """About three significant digits, and no exponent."""
    digits = sum(abs(value) < limit for limit in (100, 10, 1))
    return f"{value:.{digits}f}"
