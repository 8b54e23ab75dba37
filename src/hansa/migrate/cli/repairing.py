"""Commands for when something did not go as planned: resolve, cancel, reset."""

from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate.cli.arguments import (
    Actor,
    Defaults,
    Directory,
    Dsn,
    Out,
    Revision,
    Wait,
    answering,
    options,
)
from hansa.migrate.cli.showing import Output, show_report, write
from hansa.migrate.errors import BadRequest
from hansa.migrate.options import current_actor


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount them."""

    @app.command()
    def resolve(
        revision: Revision,
        *,
        applied: Annotated[bool, typer.Option("--applied", help="Somebody finished it by hand.")] = False,
        rolled_back: Annotated[bool, typer.Option("--rolled-back", help="Somebody undid it by hand.")] = False,
        dsn: Dsn = None,
        directory: Directory = None,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Say what state a revision is in that was finished or undone by hand; nothing is run."""
        with answering(output):
            if applied == rolled_back:
                raise BadRequest("say exactly one of --applied and --rolled-back")
            work = migrate.resolve_applied if applied else migrate.resolve_rolled_back
            work(*defaults.place(dsn, directory), revision, options=options(wait=wait, actor=actor))
            state = "applied" if applied else "rolled back"
            write(output, {"revision": revision, "state": state}, [(state, revision)])

    @app.command()
    def cancel(revision: Revision, *, dsn: Dsn = None, actor: Actor = None, output: Out = Output.TABLE) -> None:
        """Ask a running online operation to stop after its batch; `up` goes on with it, `down` takes it back."""
        with answering(output):
            migrate.cancel(dsn or defaults.dsn(), revision, by=actor or current_actor())
            write(output, {"revision": revision, "state": "cancelled"}, [("cancelled", revision)])

    @app.command()
    def reset(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Drop everything in a development database and apply all revisions."""
        with answering(output):
            place = defaults.place(dsn, directory)
            if not yes:
                typer.confirm("Everything in this database will be lost. Go on?", abort=True, err=True)
            report = migrate.reset(
                *place, environment_variable=defaults.environment_variable, options=options(actor=actor)
            )
            show_report(report, "applied", output)
