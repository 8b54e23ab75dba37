"""The command that proves a migration before it runs: rehearse."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate.cli.arguments import (
    EXIT_DRIFT,
    Actor,
    Defaults,
    Directory,
    Dsn,
    Out,
    Target,
    answering,
    leave,
    options,
)
from hansa.migrate.cli.showing import Output, clear_progress, show_rehearsal
from hansa.migrate.rehearsal import CloneKind


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount it."""

    @app.command()
    def rehearse(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to: Target = None,
        clone: Annotated[
            CloneKind | None, typer.Option(help="How to copy the database.", show_default="the first way that works")
        ] = None,
        workspace: Annotated[
            str | None, typer.Option(metavar="DSN", help="Server for a copy table by table, of a database far away.")
        ] = None,
        probes: Annotated[
            Path | None, typer.Option(help="TOML file of application statements that run beside the migration.")
        ] = None,
        staircase: Annotated[
            bool, typer.Option("--staircase", help="Each revision up, down and up on its own.")
        ] = False,
        no_record: Annotated[bool, typer.Option("--no-record", help="Keep no certificate: only read.")] = False,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Run what is pending on a copy: up, verify, down, all as it was, up again. Exit code 3: it did not go well."""
        with answering(output):
            certificate = migrate.rehearse(
                *defaults.rehearsal_place(dsn, directory),
                to=to,
                clone=clone,
                workspace_dsn=workspace,
                probes=probes,
                staircase=staircase,
                keep_record=not no_record,
                options=options(actor=actor),
            )
            clear_progress()
            if output is Output.JSON:
                print(json.dumps(json.loads(certificate.to_json()), indent=2))
            else:
                show_rehearsal(certificate)
            leave(0 if certificate.ok else EXIT_DRIFT)
