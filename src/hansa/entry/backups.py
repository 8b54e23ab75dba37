"""`hansa backup`: copies of the whole database, back to any moment, and drills that prove it. For operators."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hansa.entry.cli import Output, OutputOption
from hansa.infra import backup
from hansa.infra.backup import Kind, Outcome, Progress, Repository
from hansa.infra.database import Database
from hansa.infra.db import Db, Tx
from hansa.infra.settings import Settings
from hansa.kernel.errors import Refusal

app = typer.Typer(no_args_is_help=True, help="Back up the database, restore it to any moment, and prove that it works.")

FromOption = Annotated[
    str | None, typer.Option("--from", help="Backup to begin with; default: the newest one that fits.")
]
AtOption = Annotated[
    str | None, typer.Option("--at", help="Moment to go back to, e.g. 2026-12-01T14:03:20Z; default: the last one.")
]


@app.command()
def now(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Copy everything.")] = False,
    incremental: Annotated[bool, typer.Option("--incremental", help="Copy what changed since the last one.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Take a backup while everything goes on; incremental when there is something to build on. Every file is checked."""
    if full and incremental:
        raise typer.BadParameter("--full and --incremental exclude each other")
    settings, options = context.obj.settings, backup.BackupSettings()
    kind = Kind.FULL if full else Kind.INCREMENTAL if incremental else None
    with progress(output) as line:
        taken = backup.take(
            repository_of(settings),
            backup.source_of(settings, options),
            kind,
            rate_mb_s_max=options.rate_mb_s_max,
            report=line.show,
        )
    made = taken.backup
    size = f"{megabytes(made.bytes)} in {taken.took_s:.1f} s{rate(made.bytes, taken.took_s)}"
    write(output, taken, [f"complete  {made.id}", f"  {made.files} files, {size}, every checksum right"])


@app.command("ls")
def list_all(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Complete backups, what they lack, and which moments can be restored. Exit code 1: one lacks something."""
    found = backup.list_backups(repository_of(context.obj.settings))
    lines = [
        f"{one.backup.id:<38}{megabytes(one.backup.bytes):>12}  {one.finding or 'restorable'}" for one in found.backups
    ] or [f"no complete backup in {found.folder}: take one with `hansa backup now`"]
    if found.restorable_from and found.restorable_until:
        lines.append(f"any moment from {moment(found.restorable_from)} to {moment(found.restorable_until)}")
    lines += [f"not complete: {name}" for name in found.interrupted]
    if found.failure:
        lines.append(f"the last one failed at {moment(found.failure.at)}: {found.failure.detail}")
    write(output, found, lines)
    raise typer.Exit(1 if any(one.finding for one in found.backups) else 0)


@app.command()
def restore(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", help="New home: an empty folder, or one that does not exist yet.")],
    at: AtOption = None,
    start: FromOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a new home with the database as it was. Backups are checked first; nothing that exists is overwritten."""
    settings: Settings = context.obj.settings
    with progress(output) as line:
        fetch_the_rest(settings)
        restored = backup.restore(repository_of(settings), to, at=parsed(at), start=start, report=line.show)
    keys = copy_keys(settings.home, restored.home)
    size = f"{megabytes(restored.bytes)} in {restored.took_s:.1f} s{rate(restored.bytes, restored.took_s)}"
    lines = [
        f"restored  {restored.home}, {size}",
        f"  from         {' + '.join(restored.backups)}",
        f"  last commit  {moment(restored.last_commit_at) if restored.last_commit_at else 'that of the backup'}",
        f"  data         {restored.data}",
        f"  keys         {'copied' if keys else f'none found: put the old ones into {restored.home}/keys'}",
        f"  next         {next_step(restored)}",
    ]
    write(output, {**as_json(restored), "keys_copied": keys}, lines)


@app.command()
def drill(
    context: typer.Context,
    at: AtOption = None,
    start: FromOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Restore the newest backups into a temporary folder, start and check them, remove it all. Exit code 1: FAIL."""
    settings: Settings = context.obj.settings

    def hear(outcome: Outcome) -> None:
        if output is Output.TABLE:
            line.clear()
            print(f"{'PASS' if outcome.passed else 'FAIL'}  {outcome.name:<22}{outcome.found}", flush=True)

    with progress(output) as line:
        fetch_the_rest(settings)
        outcomes = backup.drill(
            repository_of(settings), CHECKS, at=parsed(at), start=start, report=line.show, hear=hear
        )
    passed = all(outcome.passed for outcome in outcomes)
    write(output, {"passed": passed, "checks": as_json(outcomes)}, [])
    raise typer.Exit(0 if passed else 1)


@app.command()
def dump(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", help="Folder for the two files; it is made when it is missing.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Write pg_dump's custom format and the audit trail, both of one moment, encrypted with this home's key ring."""
    from hansa.entry.runtime import key_ring

    settings: Settings = context.obj.settings
    folder = backup.dump_folder(to)
    source = backup.source_of(settings, backup.BackupSettings())
    with progress(output) as line:
        done = backup.dump(source, folder, key_ring(settings.home), audit_lines, report=line.show)
    lines = [
        f"dump   {done.dump}, {megabytes(done.dump_bytes)}",
        f"audit  {done.audit}, {done.audit_rows} rows",
        f"  both as of {moment(done.at)}, sealed with key {done.key_id}; open them with `hansa backup open`",
    ]
    write(output, done, lines)


@app.command("open")
def open_sealed(
    context: typer.Context,
    sealed: Annotated[Path, typer.Argument(help="A file that `hansa backup dump` wrote.", exists=True, dir_okay=False)],
    to: Annotated[Path, typer.Option("--to", help="New file for what is in it.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Decrypt a file of a dump with this home's key ring; it gets its name only when all of it was whole."""
    from hansa.infra.seal import LocalKeyRing

    ring = LocalKeyRing(context.obj.settings.home / "keys" / "ring.json")
    size = backup.open_dump(sealed, to.absolute(), ring)
    write(output, {"file": str(to.absolute()), "bytes": size}, [f"opened  {to.absolute()}, {megabytes(size)}"])


@app.command()
def prune(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Remove what no moment of the kept days needs; how many days and full backups are kept is a setting."""
    options = backup.BackupSettings()
    pruned = backup.prune(
        repository_of(context.obj.settings),
        keep_days=options.keep_days,
        keep_full=options.keep_full,
        now=datetime.now(UTC),
        dry_run=dry_run,
    )
    verb = "would remove" if dry_run else "removed"
    lines = [f"{verb}  {name}" for name in pruned.backups]
    summary = f"{len(pruned.backups)} backups and {pruned.segments} files of the log, {megabytes(pruned.bytes)}"
    write(output, pruned, [*lines, f"{verb} {summary}; {len(pruned.kept)} backups stay"])


# --- what a drill looks at -----------------------------------------------------------------------------------------


def migrations_verify(database: Database) -> str:
    """Every applied migration's own facts hold, and it is the schema of this code."""
    from hansa import migrate
    from hansa.migrations import DIRECTORY

    waiting = migrate.plan(database.owner_dsn, DIRECTORY).steps
    found = migrate.verify(database.owner_dsn, DIRECTORY)
    if not found.ok:
        raise backup.CheckFailed("; ".join(f"{check.revision}: {check.name} {check.detail}" for check in found.failed))
    if not found.checks:
        raise backup.CheckFailed("no migration is applied")
    return f"{len(found.checks)} facts hold" + (f", {len(waiting)} migrations are pending" if waiting else "")


def books_balance(database: Database) -> str:
    """Accounts, movements and holds equal the postings."""
    from hansa.credits import queries

    with Db(database.app_dsn, size=1, name="hansa drill") as db, db.transaction() as tx:
        wrong = queries.reconcile(tx)
        accounts = len(queries.system_balances(tx))
    if wrong:
        raise backup.CheckFailed("; ".join(f"{one.kind} {one.subject}: {one.finding}" for one in wrong))
    return f"balanced, {accounts} accounts of the house"


def audit_is_whole(database: Database) -> str:
    """The chain of the audit trail, recomputed from its first row."""
    from hansa.governance import queries

    with Db(database.app_dsn, size=1, name="hansa drill") as db, db.transaction() as tx:
        report = queries.verify_audit(tx)
    if not report.whole:
        raise backup.CheckFailed("; ".join(f"{one.n} {one.audit_id}: {one.finding}" for one in report.broken))
    return f"whole, {report.sealed} rows sealed"


CHECKS = (
    backup.Check(name="migrations verify", look=migrations_verify),
    backup.Check(name="books balanced", look=books_balance),
    backup.Check(name="audit trail", look=audit_is_whole),
)


def audit_lines(tx: Tx) -> Iterator[bytes]:
    """The whole audit trail, newest first, one JSON document a row."""
    from pydantic_core import to_json

    from hansa.governance import queries

    before: str | None = None
    while True:
        page = queries.audit_rows(tx, before=before, limit=1000)
        yield from (to_json(row) for row in page.items)
        before = page.after
        if before is None:
            return


# --- words and numbers ---------------------------------------------------------------------------------------------


def repository_of(settings: Settings) -> Repository:
    return Repository(backup.BackupSettings().folder_of(settings))


def fetch_the_rest(settings: Settings) -> None:
    """What the server wrote since the log was fetched last, when the server still answers; a dead one has to do."""
    import psycopg

    from hansa.infra.backup.ticks import fetch
    from hansa.infra.embedded import EmbeddedRefused

    with suppress(Refusal, EmbeddedRefused, psycopg.Error):
        fetch(settings, backup.BackupSettings())


def copy_keys(home: Path, to: Path) -> bool:
    """The keys of the old home, without which sealed fields stay sealed; they are never part of a backup."""
    import shutil

    if not (home / "keys").is_dir() or (to / "keys").exists():
        return False
    shutil.copytree(home / "keys", to / "keys")
    return True


def next_step(restored: backup.Restored) -> str:
    if restored.embedded:
        return f"hansa --home {restored.home} up"
    return f"start it with PostgreSQL 18 on {restored.data}; its database is {restored.database}"


def parsed(at: str | None) -> datetime | None:
    """A moment with its zone; without one it would be anybody's guess."""
    if at is None:
        return None
    try:
        found = datetime.fromisoformat(at)
    except ValueError as error:
        raise typer.BadParameter(f"{at!r} is not a moment like 2026-12-01T14:03:20Z") from error
    if found.tzinfo is None:
        raise typer.BadParameter(f"{at!r} does not say in which zone: append Z for UTC")
    return found.astimezone(UTC)


def write(output: Output, value: object, lines: list[str]) -> None:
    """The value as JSON, or its lines for a person."""
    from pydantic_core import to_json

    print(to_json(value, indent=2).decode() if output is Output.JSON else "\n".join(lines), end="")
    if output is Output.JSON or lines:
        print()


def as_json(value: object) -> Any:  # Any: a JSON document
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


def megabytes(size: float) -> str:
    return f"{size / 2**20:,.1f} MB"


def rate(size: float, seconds: float) -> str:
    return f", {megabytes(size / seconds)}/s" if seconds > 0 else ""


def moment(at: datetime) -> str:
    """To the microsecond, so that it can be given back as `--at`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass
class ProgressLine:
    """One line on a terminal that says what is being done, how far it is, and how fast."""

    watched: bool
    step: str = ""
    began: float = 0.0
    shown: float = 0.0

    def show(self, progress: Progress) -> None:
        moment_s = time.monotonic()
        if progress.step != self.step:
            self.step, self.began, self.shown = progress.step, moment_s, 0.0
        if not self.watched or moment_s - self.shown < 0.1:
            return
        self.shown = moment_s
        of = f" of {megabytes(progress.total)}" if progress.total else ""
        done = f" {megabytes(progress.done)}{of}{rate(progress.done, moment_s - self.began)}" if progress.done else ""
        print(f"\r\x1b[K{self.step}{done}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self.watched:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextmanager
def progress(output: Output) -> Generator[ProgressLine]:
    """A line of progress for somebody who watches, gone at the end."""
    line = ProgressLine(watched=output is Output.TABLE and sys.stderr.isatty())
    try:
        yield line
    finally:
        line.clear()
