"""The page: everything is on it, and no text becomes markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from diffeditor.bench.report import write_report
from diffeditor.bench.runner import Setup, run_bench
from diffeditor.bench.statistics import Estimate
from diffeditor.bench.tables import Line, Table, table

EVIL = '<script>alert("1")</script>'


class Links(HTMLParser):
    """Tags of a page, and what its pictures and links point at."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href")]


def read(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text("utf-8"))
    return links


def test_the_page_shows_every_picture(setup: Setup) -> None:
    records = run_bench(setup, 1).records()
    tables = [table(task, setup.columns, records) for task in setup.tasks]
    page = setup.output / "report.html"
    write_report(page, "WorldBench", tables, records)
    targets = read(page).targets
    assert len(targets) == 2 * 3
    assert all((setup.output / target).is_file() for target in targets)
    assert {r.picture for r in records} <= set(targets)


def test_text_is_never_markup(setup: Setup) -> None:
    records = run_bench(replace(setup, tasks=("move",)), 1).records()
    evil = [replace(r, column=EVIL, picture=EVIL) for r in records[:1]]
    page = setup.output / "report.html"
    write_report(page, EVIL, [table("move", [EVIL], evil)], evil)
    assert "script" not in read(page).tags
    assert "&lt;script&gt;" in page.read_text("utf-8")


def test_the_best_way_stands_out_and_the_truth_does_not(setup: Setup) -> None:
    page = setup.output / "report.html"
    cells = tuple(Estimate(value=v, low=v, high=v, count=1) for v in (60.0, 20.0, 30.0))
    line = Line(label="PSNR", better="higher", cells=cells)
    columns = ("ground-truth", "no-edit", "diffeditor")
    write_report(page, "one", [Table(task="move", columns=columns, seeds=(), lines=(line,))], [])
    assert re.findall(r'class="best"[^>]*>([^<]*)', page.read_text("utf-8")) == ["30.0"]


def test_the_page_needs_no_network(setup: Setup) -> None:
    page = setup.output / "report.html"
    write_report(page, "WorldBench", [], [])
    assert not re.search(r"https?:|//", page.read_text("utf-8"))
