"""The command line of the engine. Exit codes: 0 done, 1 refused, 2 something is pending, 4 a verification failed.

A program that has its own idea of database and folder mounts `make_app(Defaults(...))`; `app` is the one for
everybody else.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate.errors import NoDatabase, Refusal
from hansa.migrate.options import Notice, NoticeKind, Options, current_actor
from hansa.migrate.results import Plan, Report, State, Status, Verification

EXIT_REFUSED = 1
EXIT_PENDING = 2
EXIT_VERIFY_FAILED = 4

COLOURS = {
    "applied": "green",
    "pending": "yellow",
    "edited": "red",
    "missing": "red",
    "interrupted": "red",
    "PASS": "green",
    "FAIL": "red",
}


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


def _no_database() -> str:
    raise NoDatabase("say which database: --dsn, MIGRATE_DATABASE_URL or DATABASE_URL")


def _migrations_here() -> Path:
    return Path("migrations")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds when the command line says nothing; asked only then, so a database may be started by the asking."""

    dsn: Callable[[], str] = _no_database
    directory: Callable[[], Path] = _migrations_here
    environment_variable: str = "HANSA_ENV"
    """Names the environment variable that says `production` where seeds are refused."""


Directory = Annotated[Path | None, typer.Option("--dir", help="Folder of revisions.", show_default=False)]
Dsn = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        envvar=["MIGRATE_DATABASE_URL", "DATABASE_URL"],
        help="Database: a direct connection, not a pooler.",
        show_default=False,
    ),
]
Out = Annotated[Output, typer.Option("-o", "--output", help="How to write the result.")]
Target = Annotated[
    str | None, typer.Option("--to", metavar="ID", help="Apply only this revision and what it requires.")
]
LockTimeout = Annotated[
    float, typer.Option(help="Seconds that one statement waits for a table, three times.", min=0.001)
]
Wait = Annotated[
    float | None, typer.Option(help="Seconds to wait for another deployer.", show_default="until it is done", min=0)
]
Actor = Annotated[str | None, typer.Option(help="Who is recorded.", show_default="user@host")]


def make_app(defaults: Defaults) -> typer.Typer:
    """The commands, with a program's own defaults."""
    app = typer.Typer(no_args_is_help=True, help="Migrate a PostgreSQL database by folders of plain SQL.")

    def place(dsn: str | None, directory: Path | None) -> tuple[str, Path]:
        return dsn or defaults.dsn(), directory or defaults.directory()

    @app.command()
    def up(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to: Target = None,
        lock_timeout: LockTimeout = 5.0,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Apply what is pending."""
        with _answering(output):
            options = _options(lock_timeout, wait, actor)
            _show_report(migrate.up(*place(dsn, directory), to=to, options=options), "applied", output)

    @app.command()
    def down(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to: Annotated[
            str | None, typer.Option("--to", metavar="ID", help="Revert what was applied after this.")
        ] = None,
        steps: Annotated[int | None, typer.Option(help="Revert this many.")] = None,
        everything: Annotated[bool, typer.Option("--all", help="Revert everything.")] = False,
        lock_timeout: LockTimeout = 5.0,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Revert the latest revisions, last applied first, wholly or not at all."""
        with _answering(output):
            options = _options(lock_timeout, wait, actor)
            report = migrate.down(*place(dsn, directory), to=to, steps=steps, everything=everything, options=options)
            _show_report(report, "reverted", output)

    @app.command()
    def status(*, dsn: Dsn = None, directory: Directory = None, output: Out = Output.TABLE) -> None:
        """Show what is applied, pending, edited or missing. Exit code 2: something is pending."""
        with _answering(output):
            found = migrate.status(*place(dsn, directory))
            _show_status(found, output)
            _exit(EXIT_REFUSED if found.problems else EXIT_PENDING if found.pending else 0)

    @app.command()
    def plan(*, dsn: Dsn = None, directory: Directory = None, to: Target = None, output: Out = Output.TABLE) -> None:
        """Show what `up` would run. Exit code 2: something."""
        with _answering(output):
            found = migrate.plan(*place(dsn, directory), to=to)
            _show_plan(found, output)
            _exit(EXIT_PENDING if found.steps else 0)

    @app.command()
    def verify(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        only: Annotated[str | None, typer.Option(metavar="ID", help="Verify only this revision.")] = None,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Run verify.sql of what is applied, changing nothing. Exit code 4: a check failed."""
        with _answering(output):
            found = migrate.verify(*place(dsn, directory), only=only, options=_options(5.0, wait, actor))
            _show_verification(found, output)
            _exit(0 if found.ok else EXIT_VERIFY_FAILED)

    @app.command()
    def seed(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        force: Annotated[bool, typer.Option("--force", help="Also in production.")] = False,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Run seed.sql of what is applied and not seeded yet."""
        with _answering(output):
            report = migrate.seed(
                *place(dsn, directory),
                force=force,
                environment_variable=defaults.environment_variable,
                options=_options(5.0, wait, actor),
            )
            _show_report(report, "seeded", output)

    @app.command()
    def new(
        name: Annotated[str, typer.Argument(help="Small letters, digits and underscores.")],
        directory: Directory = None,
        description: Annotated[str, typer.Option(help="One line for meta.toml.")] = "",
        with_seed: Annotated[bool, typer.Option("--seed", help="Also make a seed.sql.")] = False,
        output: Out = Output.TABLE,
    ) -> None:
        """Make the folder of a new revision."""
        with _answering(output):
            where = directory or defaults.directory()
            folder = migrate.new(where, name, at=datetime.now(UTC), description=description, seed=with_seed)
            _write(output, {"revision": folder.name, "folder": str(folder)}, [(str(folder),)])

    return app


@contextmanager
def _answering(output: Output) -> Generator[None]:
    """Turn a refusal into its message and exit code."""
    try:
        yield
    except Refusal as refusal:
        _clear_progress()
        if output is Output.JSON:
            print(json.dumps({"error": {"code": refusal.code, "message": str(refusal)}}))
        else:
            print(f"{refusal.code}: {refusal}", file=sys.stderr)
        raise typer.Exit(EXIT_REFUSED) from refusal


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _options(lock_timeout: float, wait: float | None, actor: str | None) -> Options:
    return Options(
        lock_timeout_s=lock_timeout,
        deployer_wait_s=wait,
        actor=actor or current_actor(),
        notify=_tell,
    )


def _tell(notice: Notice) -> None:
    """Waiting is always said; progress only to somebody who watches a terminal."""
    if notice.kind is NoticeKind.WAITING:
        _clear_progress()
        print(notice.message, file=sys.stderr, flush=True)
    elif sys.stderr.isatty():
        print(f"\r\x1b[K{notice.message}", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _show_report(report: Report, done: str, output: Output) -> None:
    rows = [
        (done, step.revision, _statements(step.statements, step.resumed_after), f"{step.duration_ms} ms")
        for step in report.steps
    ]
    rows += [("skipped", name, "seeded before") for name in report.skipped]
    _write(output, dataclasses.asdict(report), rows or [("nothing to do",)])


def _show_status(status: Status, output: Output) -> None:
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
    _write(output, value, rows or [("no revisions",)])
    if output is Output.TABLE:
        for problem in status.problems:
            print(f"{problem.code}: {problem.message}", file=sys.stderr)


def _show_plan(plan: Plan, output: Output) -> None:
    rows = [
        (
            State.PENDING.value,
            step.revision,
            _statements(step.statements, step.resumes_after),
            "in one transaction" if step.transactional else "statement by statement",
            "irreversible" if step.irreversible else "",
            step.description,
        )
        for step in plan.steps
    ]
    _write(output, dataclasses.asdict(plan), rows or [("nothing to do",)])


def _show_verification(found: Verification, output: Output) -> None:
    rows = [("PASS" if check.ok else "FAIL", check.revision, check.name, check.detail) for check in found.checks]
    rows += [("none", name, "has no verify.sql", "") for name in found.unverified]
    value = dataclasses.asdict(found) | {"ok": found.ok}
    _write(output, value, rows or [("nothing to verify",)])


def _statements(count: int, after: int) -> str:
    counted = f"{count} statement{'' if count == 1 else 's'}"
    return f"{counted} after the first {after}" if after else counted


def _write(output: Output, value: object, rows: Sequence[Sequence[str]]) -> None:
    _clear_progress()
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


app = make_app(Defaults())
