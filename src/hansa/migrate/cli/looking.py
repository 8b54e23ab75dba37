"""Commands that only look: status, plan, drift, diff, lint, locks, metrics."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate.cli.arguments import (
    EXIT_DRIFT,
    EXIT_PENDING,
    EXIT_REFUSED,
    Actor,
    Defaults,
    Directory,
    Dsn,
    Out,
    Scratch,
    Target,
    answering,
    leave,
    options,
)
from hansa.migrate.cli.showing import (
    Output,
    show_differences,
    show_locks,
    show_plan,
    show_status,
    show_waiting,
    write,
)
from hansa.migrate.errors import BadRequest
from hansa.migrate.locking import locks as planned_locks
from hansa.migrate.locking import waiting

NOT_RUN = "nothing was run on a server; name one where databases may be made: --scratch"


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount them."""
    _add_foresight(app, defaults)

    @app.command()
    def status(*, dsn: Dsn = None, directory: Directory = None, output: Out = Output.TABLE) -> None:
        """Show what is applied, pending, edited or missing. Exit code 2: something is pending."""
        with answering(output):
            found = migrate.status(*defaults.place(dsn, directory))
            show_status(found, output)
            leave(EXIT_REFUSED if found.problems else EXIT_PENDING if found.pending else 0)

    @app.command()
    def drift(
        *,
        dsn: Dsn = None,
        accept: Annotated[bool, typer.Option("--accept", help="Expect from now on what is there.")] = False,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Show what others changed in the catalog since the last revision. Exit code 3: something."""
        with answering(output):
            database = dsn or defaults.dsn()
            if accept:
                migrate.accept_drift(database, options=options(actor=actor))
            found = migrate.drift(database)
            show_differences((*found.differences, *found.soft), output, none="no drift")
            leave(0 if found.ok else EXIT_DRIFT)

    @app.command()
    def diff(
        other: Annotated[str, typer.Argument(metavar="DSN", help="The other database.")],
        *,
        dsn: Dsn = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Show how the catalog of another database differs from this one. Exit code 3: somehow."""
        with answering(output):
            found = migrate.diff(dsn or defaults.dsn(), other)
            show_differences(found, output, none="no difference")
            leave(EXIT_DRIFT if any(not difference.soft for difference in found) else 0)

    @app.command()
    def lint(
        *,
        directory: Directory = None,
        scratch: Scratch = None,
        without_server: Annotated[
            bool, typer.Option("--without-server", help="Only read the files; do not run them on a scratch database.")
        ] = False,
        without_squawk: Annotated[bool, typer.Option("--without-squawk", help="Only our own rules.")] = False,
        output: Out = Output.TABLE,
    ) -> None:
        """Find what is dangerous in the revisions before they run. Exit code 1: an error."""
        with answering(output):
            server = None if without_server else scratch or defaults.scratch_dsn()
            if server is None and not without_server and output is Output.TABLE:
                print(
                    "notice: nothing is run on a server; name one where databases may be made: --scratch",
                    file=sys.stderr,
                )
            report = migrate.lint(directory or defaults.directory(), scratch_dsn=server, squawk=not without_squawk)
            write(output, dataclasses.asdict(report) | {"ok": report.ok}, report.as_rows() or [("nothing found",)])
            if output is Output.TABLE:
                _say(*report.notices, *(() if server or without_server else (NOT_RUN,)))
            leave(0 if report.ok else EXIT_REFUSED)

    @app.command()
    def metrics(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to_file: Annotated[
            Path | None, typer.Option("--to-file", help="Write there, in one piece, instead of to the terminal.")
        ] = None,
    ) -> None:
        """Write what a monitoring system wants to know, in the format of Prometheus."""
        with answering(Output.TABLE):
            text = migrate.metrics(*defaults.place(dsn, directory))
            if to_file is None:
                print(text, end="")
            else:
                _write_whole(to_file, text)


def _write_whole(path: Path, text: str) -> None:
    """Write a file in one piece: who reads it sees all of the old one or all of the new one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror}") from error


def _add_foresight(app: typer.Typer, defaults: Defaults) -> None:
    """What `up` would do."""

    @app.command()
    def plan(*, dsn: Dsn = None, directory: Directory = None, to: Target = None, output: Out = Output.TABLE) -> None:
        """Show what `up` would run, in which order. Exit code 2: something."""
        with answering(output):
            found = migrate.plan(*defaults.place(dsn, directory), to=to)
            show_plan(found, output)
            leave(EXIT_PENDING if found.steps else 0)

    @app.command()
    def locks(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to: Target = None,
        now: Annotated[bool, typer.Option("--waiting", help="Who waits for whom at this moment, instead.")] = False,
        output: Out = Output.TABLE,
    ) -> None:
        """Show which tables `up` would lock, how strongly, and how much they hold; measured if it was rehearsed."""
        with answering(output):
            if now:
                show_waiting(waiting(dsn or defaults.dsn()), output)
            else:
                show_locks(planned_locks(*defaults.place(dsn, directory), to=to), output)


def _say(*notices: str) -> None:
    for notice in notices:
        print(f"notice: {notice}", file=sys.stderr)
