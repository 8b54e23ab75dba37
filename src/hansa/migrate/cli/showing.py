"""How results look: aligned tables for people, JSON for programs, a line of progress for somebody who waits."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hansa.migrate.catalog import Difference
from hansa.migrate.hooks import Hook
from hansa.migrate.locking import LockPlan, Waiting
from hansa.migrate.options import Notice, NoticeKind
from hansa.migrate.rehearsal import Certificate
from hansa.migrate.results import Plan, Report, State, Status, Verification

COLOURS = {
    "applied": "green",
    "pending": "yellow",
    "edited": "red",
    "missing": "red",
    "interrupted": "red",
    "failed": "red",
    "waiting": "yellow",
    "done": "green",
    "error": "red",
    "warning": "yellow",
    "PASS": "green",
    "FAIL": "red",
}
BAR_WIDTH = 24
STATEMENT_MAX = 60


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


def tell(notice: Notice) -> None:
    """Waiting is always said; progress only to somebody who watches a terminal."""
    if notice.kind is NoticeKind.WAITING:
        clear_progress()
        print(notice.message, file=sys.stderr, flush=True)
    elif sys.stderr.isatty():
        message = bar(notice) if notice.kind is NoticeKind.PROGRESS else notice.message
        # Longer than the terminal is wide, it would leave a line behind each time.
        message = message[: shutil.get_terminal_size().columns - 1]
        print(f"\r\x1b[K{message}", end="", file=sys.stderr, flush=True)


def bar(notice: Notice) -> str:
    """Long work on one line: how much of it, how fast, how long the rest will take."""
    line = f"{notice.done:,} rows, {notice.per_s:,.0f}/s"
    if notice.total is not None:
        part = notice.done / notice.total if notice.total else 1.0
        drawn = "#" * round(part * BAR_WIDTH)
        line = f"[{drawn:<{BAR_WIDTH}}] {part:4.0%}  {line}"
    if notice.remaining_s is not None:
        line += f", {timedelta(seconds=round(notice.remaining_s))} left"
    return f"{line}  {notice.message}"


def clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def show_report(report: Report, done: str, output: Output, *, hooks: Sequence[Hook] = ()) -> None:
    """What ran; JSON also tells of the hooks that were tried."""
    rows = [
        (done, step.revision, statements(step.statements, step.resumed_after), f"{step.duration_ms} ms")
        for step in report.steps
    ]
    rows += [("skipped", name, "seeded before") for name in report.skipped]
    value = dataclasses.asdict(report) | {"hooks": [dataclasses.asdict(hook) for hook in hooks]}
    write(output, value, rows or [("nothing to do",)])


def show_status(status: Status, output: Output) -> None:
    rows = [
        (
            row.state.value,
            row.revision,
            f"{row.applied_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z" if row.applied_at else "",
            row.applied_by or "",
            row.detail,
        )
        for row in status.revisions
    ]
    value = dataclasses.asdict(status) | {"pending": status.pending}
    write(output, value, rows or [("no revisions",)])
    if output is Output.TABLE:
        for problem in status.problems:
            print(f"{problem.code}: {problem.message}", file=sys.stderr)


def show_plan(plan: Plan, output: Output) -> None:
    rows = [
        (
            State.PENDING.value,
            step.revision,
            statements(step.statements, step.resumes_after),
            "; ".join(step.operations) or ("in one transaction" if step.transactional else "statement by statement"),
            "irreversible" if step.irreversible else "",
            step.description,
        )
        for step in plan.steps
    ]
    write(output, dataclasses.asdict(plan), rows or [("nothing to do",)])
    locks = [(step.revision, lock) for step in plan.steps for lock in step.locks]
    if locks and output is Output.TABLE:
        print("\nlocks on what is there already:")
        write(output, None, locks)


def show_locks(plan: LockPlan, output: Output) -> None:
    """What is only being made is left out of the table: nobody can wait for it yet."""
    rows = [
        (
            lock.mode,
            lock.relation or "?",
            f"blocks {lock.blocks}" if lock.blocks != lock.mode else "",
            f"about {lock.rows:,} rows" if lock.size_bytes else "empty" if lock.exists else "",
            f"{lock.held_ms:,.0f} ms" if lock.held_ms is not None else "",
            f"{statement.revision}" + (f":{statement.line}" if statement.line else ""),
            lock.why,
        )
        for statement in plan.statements
        for lock in statement.locks
        if lock.exists or not lock.relation
    ]
    value = dataclasses.asdict(plan) | {"alarming": [dataclasses.asdict(one) for one in plan.alarming]}
    write(output, value, rows or [("nothing that is there already gets locked",)])
    if output is Output.TABLE and plan.rehearsed_at is not None:
        print(f"\nas rehearsed at {plan.rehearsed_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z")


def show_waiting(found: Sequence[Waiting], output: Output) -> None:
    rows = [
        (
            f"{one.waited_s:,.1f} s",
            f"process {one.pid} ({one.application or one.user})",
            f"waits for {one.lock}: {_short(one.statement)}",
            f"behind process {one.blocked_by} ({one.blocking_application or one.blocking_state})",
            _short(one.blocking_statement),
        )
        for one in found
    ]
    write(output, [dataclasses.asdict(one) for one in found], rows or [("nobody waits",)])


def _short(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= STATEMENT_MAX else f"{text[:STATEMENT_MAX]}..."


def show_verification(found: Verification, output: Output) -> None:
    rows = [("PASS" if check.ok else "FAIL", check.revision, check.name, check.detail) for check in found.checks]
    rows += [("none", name, "has no verify.sql", "") for name in found.unverified]
    value = dataclasses.asdict(found) | {"ok": found.ok}
    write(output, value, rows or [("nothing to verify",)])


def show_differences(found: Sequence[Difference], output: Output, *, none: str) -> None:
    value = [dataclasses.asdict(one) | {"sentence": one.sentence} for one in found]
    rows = [("order" if one.soft else one.kind.value, one.sentence) for one in found]
    write(output, {"differences": value}, rows or [(none,)])


def show_rehearsal(certificate: Certificate) -> None:
    """The verdict and what was found, then statement by statement what it would hold and for how long."""
    for sentence in certificate.sentences:
        print(sentence)
    rows = [
        (
            f"{statement.duration_ms:,.0f} ms",
            f"{statement.revision}/{statement.script}" + (f":{statement.line}" if statement.line else ""),
            ", ".join(sorted({f"{lock.mode} {lock.relation}" for lock in statement.locks})),
        )
        for statement in certificate.statements
        if statement.locks
    ]
    if rows:
        print()
        write(Output.TABLE, None, rows)


def show_hooks(found: Sequence[Hook], output: Output) -> None:
    rows = [(_state_of(hook), hook.revision, hook.name, f"tried {hook.attempts}", hook.error or "") for hook in found]
    write(output, [dataclasses.asdict(hook) for hook in found], rows or [("no hooks",)])


def _state_of(hook: Hook) -> str:
    if hook.finished_at is not None:
        return "done"
    return "failed" if hook.error is not None else "waiting"


def statements(count: int, after: int) -> str:
    counted = f"{count} statement{'' if count == 1 else 's'}"
    return f"{counted} after the first {after}" if after else counted


def write(output: Output, value: object, rows: Sequence[Sequence[str]]) -> None:
    clear_progress()
    if output is Output.JSON:
        print(json.dumps(value, default=_plain, indent=2))
    else:
        _write_table(rows)


def _write_table(rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, one row a line: never folded or cut, so that ids can be copied and searched for."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = Text(cells[0], style=COLOURS.get(row[0], ""))
        line.append("  " + "  ".join(cells[1:]), style="default")
        line.rstrip()
        console.print(line)


def _plain(value: object) -> str:
    """Instants are the only values JSON has no form for."""
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat()
