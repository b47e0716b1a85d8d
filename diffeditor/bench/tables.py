"""Tables of what was measured: one a task, a row for each metric, a column for each way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffeditor.bench.columns import TRUTH
from diffeditor.bench.statistics import (
    Estimate,
    Statistic,
    bootstrap,
    frechet_distance,
    mean,
    median,
    ratio,
)
from diffeditor.bench.store import Record


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of a table. values: names of the metrics; two for a ratio of sums."""

    label: str
    values: tuple[str, ...]
    statistic: Statistic = mean
    better: str = ""


def _area(name: str, label: str) -> tuple[Row, ...]:
    return (
        Row(label=f"PSNR {label}, dB", values=(f"psnr_{name}",), better="higher"),
        Row(label=f"SSIM {label}", values=(f"ssim_{name}",), better="higher"),
    )


def _points(name: str, label: str) -> tuple[Row, ...]:
    after, before = f"mse_after_{name}", f"mse_before_{name}"
    distance = f"distance_after_{name}"
    return (
        Row(label=f"MSE before, {label}, px^2", values=(before,)),
        Row(label=f"MSE after, {label}, px^2", values=(after,), better="lower"),
        Row(
            label=f"MSE after/before, {label}",
            values=(after, before),
            statistic=ratio,
            better="lower",
        ),
        Row(label=f"distance before, {label}, px", values=(f"distance_before_{name}",)),
        Row(label=f"distance after, {label}, px", values=(distance,), better="lower"),
        Row(label=f"share of the way, {label}", values=(f"travelled_{name}",)),
    )


ROWS: tuple[Row, ...] = (
    *_area("region", "region"),
    *_area("destination", "destination"),
    *_area("vacated", "vacated"),
    Row(label="centre error, px", values=("centre_error",), better="lower"),
    Row(
        label="centre error, px, median", values=("centre_error",), statistic=median, better="lower"
    ),
    Row(label="size error, %", values=("size_error",), better="lower"),
    Row(label="object lost", values=("lost",), better="lower"),
    Row(label="colour error, Delta E", values=("colour_error",), better="lower"),
    Row(label="pattern error", values=("pattern_error",), better="lower"),
    *_points("handles", "handles"),
    *_points("17", "17 points"),
    *_points("68", "68 points"),
    *_points("moved", "moved points"),
    Row(label="PSNR outside, dB", values=("psnr_outside",), better="higher"),
    Row(label="changed outside, %", values=("changed_outside",), better="lower"),
    Row(label="seconds", values=("seconds",)),
    Row(label="UNet calls", values=("unet_samples",)),
)
"""In the order of the tables; a table has those whose metrics its task has."""
FRECHET = "Frechet distance"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A task's table. rows: a label, and for each column its estimate or None."""

    task: str
    columns: tuple[str, ...]
    cases: int
    rows: tuple[tuple[str, tuple[Estimate | None, ...]], ...]


def table(task: str, columns: Sequence[str], records: Sequence[Record]) -> Table:
    """The table of a task over the cases that all of these columns have made."""
    by_column = {
        name: {r.seed: r for r in records if (r.task, r.column) == (task, name)} for name in columns
    }
    present = [name for name in columns if by_column[name]]
    seeds = sorted(set.intersection(*(set(by_column[name]) for name in present)) if present else ())
    shared = {name: [by_column[name][seed] for seed in seeds] for name in present}
    rows = (
        []
        if not seeds
        else [
            (row.label, cells)
            for row in ROWS
            if any(cells := tuple(_cell(row, shared[name]) for name in present))
        ]
    )
    if seeds:
        rows.append((FRECHET, tuple(_frechet(shared, name) for name in present)))
    return Table(task=task, columns=tuple(present), cases=len(seeds), rows=tuple(rows))


def _cell(row: Row, records: Sequence[Record]) -> Estimate | None:
    """A row's estimate over the records that have its metrics."""
    lines = [_values(record) for record in records]
    picked = [[line[name] for name in row.values] for line in lines if row.values[0] in line]
    if not picked:
        return None
    values = np.array(picked)
    return bootstrap(values if len(row.values) > 1 else values[:, 0], row.statistic)


def _values(record: Record) -> dict[str, float]:
    return {**record.values, "seconds": record.seconds, "unet_samples": record.unet_samples}


def _frechet(shared: dict[str, list[Record]], name: str) -> Estimate | None:
    """Distance of a column's pictures to the true ones; needs the truth's column."""
    if TRUTH not in shared or len(shared[TRUTH]) < 2:
        return None
    features = [np.array([r.features for r in shared[one]]) for one in (TRUTH, name)]
    distance = frechet_distance(*features)
    return Estimate(value=distance, low=distance, high=distance, count=len(shared[name]))


def as_text(one: Table) -> str:
    """A table for the terminal."""
    width = max([len(label) for label, _ in one.rows] + [8])
    columns = [max(16, len(name)) for name in one.columns]
    head = "  ".join(name.rjust(w) for name, w in zip(one.columns, columns, strict=True))
    lines = [f"{one.task}, {one.cases} cases", f"{'':{width}}  {head}"]
    for label, cells in one.rows:
        shown = "  ".join(cell_text(c).rjust(w) for c, w in zip(cells, columns, strict=True))
        lines.append(f"{label:{width}}  {shown}")
    return "\n".join(lines)


def as_markdown(one: Table) -> str:
    """A table for a document."""
    lines = [
        f"| {one.task}, {one.cases} cases | {' | '.join(one.columns)} |",
        f"|---|{'---|' * len(one.columns)}",
    ]
    lines += [f"| {label} | {' | '.join(map(cell_text, cells))} |" for label, cells in one.rows]
    return "\n".join(lines)


def cell_text(cell: Estimate | None) -> str:
    """The value, and half the width of its interval where it has one."""
    if cell is None:
        return "-"
    half = (cell.high - cell.low) / 2
    return number(cell.value) + (f" ±{number(half)}" if half else "")


def number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return (
        f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
        if abs(value) >= 1
        else f"{value:.3f}"
    )
