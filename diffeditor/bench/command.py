"""`diffeditor bench`: options and what is done with them."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from diffeditor.bench.columns import DEFAULT_COLUMNS, QUICK_COLUMNS
from diffeditor.bench.tables import as_markdown, as_text, table
from diffeditor.bench.worlds import Bench, Setup, run_worlds, to_stderr
from diffeditor.tasks import TASKS

FIRST_SEED = 1000
CASES = 100
QUICK_CASES = 3


def add_worlds_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench worlds`."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--cases", type=int, help=f"of each task (default: {CASES})")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--columns", nargs="+", metavar="NAME")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--device", default="auto")


def run_worlds_command(options: argparse.Namespace) -> None:
    """Run what is missing, then print and write the tables."""
    count = options.cases or (QUICK_CASES if options.quick else CASES)
    columns = options.columns or (QUICK_COLUMNS if options.quick else DEFAULT_COLUMNS)
    setup = Setup(
        output=options.output,
        tasks=tuple(options.tasks),
        columns=tuple(columns),
        seeds=range(options.first_seed, options.first_seed + count),
        model=options.model,
        device=options.device,
        processes=options.processes,
    )
    if not options.report_only:
        run_worlds(setup, to_stderr)
    records = Bench(setup).records()
    tables = [table(task, setup.columns, records) for task in setup.tasks]
    for one in tables:
        print((as_markdown if options.markdown else as_text)(one) + "\n")
    text = json.dumps([asdict(one) for one in tables], indent=1)
    setup.output.mkdir(parents=True, exist_ok=True)
    (setup.output / "results.json").write_text(text + "\n", "utf-8")
