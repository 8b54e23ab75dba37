"""What `hansa demo migrate` shows: its steps while they run, and the tables of what was found."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from hansa import migrate
from hansa.entry.demo_migrate_rows import Damage, Dirt, Shelf
from hansa.entry.demo_report import Json, Step, console_of
from hansa.migrate.lint import LintReport
from hansa.migrate.rehearsal import ProbeReport

INDENT = 6
SPELLINGS_SHOWN = 3
STATEMENTS_SHOWN = 8


@dataclass
class Stage:
    """Where the demo tells what it does, as a person reads it or as JSON."""

    as_json: bool = False
    console: Console = field(default_factory=lambda: console_of(sys.stdout.isatty()))
    steps: list[Step] = field(default_factory=list[Step])
    facts: Json = field(default_factory=dict[str, Any])
    _title: str = ""
    _status: Status | None = None

    def head(self, title: str, text: str) -> None:
        self._print(f"[bold]{title}[/bold]", text, "")

    @contextmanager
    def step(self, title: str) -> Generator[Callable[..., None]]:
        """Show a step while it runs, then what came of it, also when it is the last one."""
        found: list[RenderableType] = []
        began = time.monotonic()
        self._title = title
        if self.console.is_terminal and not self.as_json:
            self._status = self.console.status(title)
            self._status.start()
        mark = "[red]✗[/red]"
        try:
            yield lambda *more: found.extend(more)
            mark = "[green]✓[/green]"
        finally:
            if self._status is not None:
                self._status.stop()
                self._status = None
            seconds = time.monotonic() - began
            self.steps.append(Step(title, seconds, [line for line in found if isinstance(line, str)]))
            heading = f"{mark} {len(self.steps):>2}  [bold]{title}[/bold]  [dim]{seconds:.1f} s[/dim]"
            self._print(heading, *(_indented(each) for each in found), "")

    def notice(self, notice: migrate.Notice) -> None:
        """Say what is under way to whoever watches, on one line."""
        if self._status is None:
            return
        room = max(0, self.console.width - len(self._title) - INDENT)
        told = notice.message if notice.total is None else f"{notice.message}, {notice.done:,} of {notice.total:,}"
        self._status.update(f"{self._title}  [dim]{escape(told[:room])}[/dim]")

    def end(self, problem: str | None) -> None:
        """The verdict."""
        seconds = sum(step.seconds for step in self.steps)
        self.facts["seconds"] = round(seconds, 2)
        self.facts["steps"] = [{"title": step.title, "seconds": round(step.seconds, 3)} for step in self.steps]
        if self.as_json:
            print(json.dumps({"ok": problem is None, "problem": problem, **self.facts}, indent=2))
        elif problem is not None:
            self._print(f"[red]This does not hold:[/red] {escape(problem)}")
        else:
            self._print(f"[green]All of it holds[/green]: {len(self.steps)} steps in {seconds:.0f} s.")

    def _print(self, *parts: RenderableType) -> None:
        if not self.as_json:
            for part in parts:
                self.console.print(part)


def _indented(part: RenderableType) -> RenderableType:
    """Under its heading; text stands as it is, without markup."""
    if part == "":
        return part
    return Padding(Text(part) if isinstance(part, str) else part, (0, 0, 0, INDENT), expand=False)


def numbered(count: int, text: str) -> str:
    """A number in a column of its own, and what it counts."""
    return f"{count:>7,}  {text}"


def sheet(*columns: str, numbers: Collection[str] = (), head: bool = True) -> Table:
    """A table without lines; the columns that hold numbers are aligned to the right."""
    table = Table(box=None, show_header=head, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        number = column in numbers
        table.add_column(column, justify="right" if number else "left", no_wrap=number)
    return table


def odd_texts(dirt: Sequence[Dirt]) -> Table:
    table = sheet("column", "rows", "texts that are no value of its new type", numbers={"rows"})
    for each in dirt:
        shown = ", ".join(repr(text) for text in each.spellings[:SPELLINGS_SHOWN])
        more = len(each.spellings) - SPELLINGS_SHOWN
        table.add_row(each.column, f"{each.rows:,}", escape(f"{shown} and {more} more" if more > 0 else shown))
    return table


def obstacles(counts: dict[str, int]) -> Table:
    table = sheet("what the new keys and references stumble over", "rows", numbers={"rows"})
    for what, count in counts.items():
        table.add_row(what, f"{count:,}")
    return table


def worst_findings(report: LintReport) -> Table:
    """The first error of each rule."""
    table = sheet("line", "message", head=False)
    rules: set[str] = set()
    for finding in report.errors:
        if finding.rule not in rules:
            rules.add(finding.rule)
            table.add_row(f"line {finding.line}", escape(finding.message))
    return table


def consequences(damage: Damage) -> Sequence[str]:
    return (
        numbered(damage.risen, "agents without power would be active again"),
        numbered(damage.again, "settled transactions would be sent, and paid, again"),
        numbered(damage.unforced, "policies in force would be drafts"),
        numbered(len(damage.refused), f"of its {damage.statements} statements fail; a script that goes on destroys"),
        numbered(damage.emptied, "decisions of votes, because the column they stand in is dropped all the same"),
    )


def planned(plan: migrate.Plan) -> Table:
    table = sheet("revision", "what", "description", head=False)
    for step in plan.steps:
        what = f"{len(step.operations)} operations" if step.operations else f"{step.statements} statements"
        table.add_row(named(step.revision), what, step.description)
    return table


def felt(reports: Sequence[ProbeReport]) -> Table:
    """What the clients felt, statement by statement, those that waited longest first."""
    numbers = ("sent", "half within", "99 % within", "worst, ms")
    table = sheet("statement, those that waited longest", *numbers, numbers=numbers)
    ordered = sorted(reports, key=lambda report: -report.during.worst_ms)
    for report in ordered[:STATEMENTS_SHOWN]:
        during = report.during
        times = (during.p50_ms, during.p99_ms, during.worst_ms)
        table.add_row(report.name, f"{during.count:,}", *(f"{milliseconds:.1f}" for milliseconds in times))
    return table


def set_aside(shelves: Sequence[Shelf]) -> Table:
    table = sheet("table", "rows", "why", numbers={"rows"})
    for shelf in shelves:
        reason = shelf.reason.replace("public.", "").replace('"', "")
        table.add_row(shelf.table, f"{len(shelf.ids):,}", escape(reason))
    table.add_row("together", f"{sum(len(shelf.ids) for shelf in shelves):,}", "")
    return table


def verified(found: migrate.Verification) -> Table:
    """How many facts each revision states, and one of them."""
    table = sheet("revision", "facts", "hold", "among them", numbers={"facts", "hold"})
    for revision in dict.fromkeys(check.revision for check in found.checks):
        checks = [check for check in found.checks if check.revision == revision]
        hold = sum(check.ok for check in checks)
        table.add_row(named(revision), str(len(checks)), str(hold), escape(checks[-1].name))
    return table


def named(revision: str) -> str:
    """A revision's name without its time, for people."""
    return revision.partition("_")[2].replace("_", " ")
