"""`diffeditor bench worlds`: edits of worlds against their ground truth."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from diffeditor.bench.columns import DEFAULT_COLUMNS, QUICK_COLUMNS
from diffeditor.bench.options import FIRST_SEED, add_common_arguments, check_from_one, write_json
from diffeditor.bench.report import write_report
from diffeditor.bench.runner import Bench, Setup, run_bench
from diffeditor.bench.store import Record
from diffeditor.bench.tables import Table, as_markdown, as_text, table
from diffeditor.errors import InvalidSetting
from diffeditor.tasks import TASKS

CASES = 100
QUICK_CASES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bench worlds`."""
    add_common_arguments(parser)
    tasks = list(TASKS)
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks, metavar="TASK")
    parser.add_argument("--cases", type=int, help=f"of each task (default: {CASES})")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the cases")
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="NAME",
        help="ground-truth, no-edit, copy-paste, a preset, or PRESET:FIELD=VALUE:...",
    )
    quick = f"{QUICK_CASES} cases, and fewer columns"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--again", action="store_true", help="make also what has been made")
    parser.add_argument(
        "--share-inversions",
        action="store_true",
        help="columns use each other's inversions: quicker, but their costs cannot be compared",
    )
    parser.add_argument("--report-only", action="store_true", help="make nothing")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")


def run(options: argparse.Namespace) -> None:
    """Make what is missing, then print and write the tables.

    Raises:
        InvalidSetting: a number is out of range, a column unknown, or there are no results.
    """
    setup = _setup(options)
    bench = Bench(setup) if options.report_only else run_bench(setup, options.processes)
    records = bench.records()
    if not records:
        raise InvalidSetting(f"There are no results in {str(setup.output)!r} for these settings.")
    tables = [table(task, setup.columns, records) for task in setup.tasks]
    for one in tables:
        print((as_markdown if options.markdown else as_text)(one) + "\n")
    _write_results(setup.output / "results.json", bench, tables, records)
    write_report(setup.output / "report.html", "WorldBench", tables, records)


def _setup(options: argparse.Namespace) -> Setup:
    check_from_one(options, "cases", "processes")
    if options.first_seed < 0:
        raise InvalidSetting(f"--first-seed starts at 0, not {options.first_seed}.")
    count = options.cases or (QUICK_CASES if options.quick else CASES)
    return Setup(
        output=options.output,
        tasks=tuple(options.tasks),
        columns=tuple(options.columns or (QUICK_COLUMNS if options.quick else DEFAULT_COLUMNS)),
        seeds=tuple(range(options.first_seed, options.first_seed + count)),
        model=options.model,
        device=options.device,
        again=options.again,
        share_inversions=options.share_inversions,
    )


def _write_results(
    path: Path, bench: Bench, tables: Sequence[Table], records: Sequence[Record]
) -> None:
    """Tables and cases as JSON; the features stay in the files of the cases."""
    cases = [{k: v for k, v in asdict(r).items() if k != "features"} for r in records]
    head = {"model": bench.setup.model, "fingerprint": bench.judges.fingerprint}
    write_json(path, {**head, "tables": [asdict(one) for one in tables], "cases": cases})
