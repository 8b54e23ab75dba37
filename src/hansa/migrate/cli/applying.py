"""Commands that change the schema: up, down, seed, verify, hooks."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate.cli.arguments import (
    EXIT_REFUSED,
    EXIT_VERIFY_FAILED,
    Actor,
    Defaults,
    Directory,
    Dsn,
    LockTimeout,
    Out,
    Target,
    Wait,
    answering,
    leave,
    options,
)
from hansa.migrate.cli.showing import Output, show_hooks, show_report, show_verification


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount them."""

    @app.command()
    def up(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to: Target = None,
        require_rehearsal: Annotated[
            bool, typer.Option("--require-rehearsal", help="Only what was rehearsed, on the database as it is now.")
        ] = False,
        rehearsed_within: Annotated[
            float, typer.Option(metavar="HOURS", help="How old the rehearsal may be.", min=0)
        ] = 24.0,
        no_backup: Annotated[
            bool, typer.Option("--no-backup", help="Contract without a fresh backup: what is dropped is gone.")
        ] = False,
        lock_timeout: LockTimeout = 5.0,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Apply what is pending."""
        with answering(output):
            place = defaults.place(dsn, directory)
            chosen = options(lock_timeout=lock_timeout, wait=wait, actor=actor)
            conditions = [migrate.rehearsed(rehearsed_within * 3600)] if require_rehearsal else []
            if defaults.backup_age_s is not None and not no_backup:
                conditions.append(migrate.backed_up(defaults.backup_within_s, defaults.backup_age_s))
            report = migrate.up(*place, to=to, conditions=conditions, options=chosen)
            tried = _followed(place, chosen) if migrate.hooks(place[0], waiting_only=True) else ()
            show_report(report, "applied", output, hooks=tried)
            failed = [hook for hook in tried if hook.error is not None]
            if failed and output is Output.TABLE:
                show_hooks(failed, output)
            leave(EXIT_REFUSED if failed else 0)

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
        lose_data: Annotated[
            bool, typer.Option("--lose-data", help="Also what takes away tables or columns that hold data.")
        ] = False,
        lock_timeout: LockTimeout = 5.0,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Revert the latest revisions, last applied first, wholly or not at all; refuse to lose data."""
        with answering(output):
            chosen = options(lock_timeout=lock_timeout, wait=wait, actor=actor, lose_data=lose_data)
            place = defaults.place(dsn, directory)
            report = migrate.down(*place, to=to, steps=steps, everything=everything, options=chosen)
            show_report(report, "reverted", output)

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
        with answering(output):
            found = migrate.verify(*defaults.place(dsn, directory), only=only, options=options(wait=wait, actor=actor))
            show_verification(found, output)
            leave(0 if found.ok else EXIT_VERIFY_FAILED)

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
        with answering(output):
            report = migrate.seed(
                *defaults.place(dsn, directory),
                force=force,
                environment_variable=defaults.environment_variable,
                options=options(wait=wait, actor=actor),
            )
            show_report(report, "seeded", output)

    @app.command()
    def hooks(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        run: Annotated[bool, typer.Option("--run", help="Do now what is waiting, also what failed before.")] = False,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Show what follows applications outside of their transactions. Exit code 1: one failed."""
        with answering(output):
            place = defaults.place(dsn, directory)
            if run:
                _followed(place, options(actor=actor), again=True)
            found = migrate.hooks(place[0])
            show_hooks(found, output)
            leave(EXIT_REFUSED if any(hook.error is not None for hook in found) else 0)


def _followed(place: tuple[str, Path], chosen: migrate.Options, *, again: bool = False) -> tuple[migrate.Hook, ...]:
    """Do what is to follow applications; what it prints is no part of our answer."""
    with redirect_stdout(sys.stderr):
        return migrate.run_hooks(*place, again=again, options=chosen)
