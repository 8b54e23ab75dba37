"""Commands that write revisions, or take what others made as one: new, baseline."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate import drafts
from hansa.migrate.cli.arguments import (
    EXIT_DRIFT,
    Actor,
    Defaults,
    Directory,
    Dsn,
    Out,
    Scratch,
    Wait,
    answering,
    leave,
    options,
)
from hansa.migrate.cli.showing import Output, show_differences, write
from hansa.migrate.errors import BadRequest


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount them."""

    @app.command()
    def new(
        name: Annotated[str, typer.Argument(help="Small letters, digits and underscores.")],
        *,
        directory: Directory = None,
        description: Annotated[str, typer.Option(help="One line for meta.toml.")] = "",
        with_seed: Annotated[bool, typer.Option("--seed", help="Also make a seed.sql.")] = False,
        from_database: Annotated[
            bool, typer.Option("--from-database", help="The first revision: the schema of the database as it is.")
        ] = False,
        dsn: Dsn = None,
        scratch: Scratch = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Make the folder of a new revision."""
        with answering(output):
            where, at = directory or defaults.directory(), datetime.now(UTC)
            if from_database:
                if with_seed:
                    raise BadRequest("--seed and --from-database do not go together")
                folder = drafts.new_from_database(
                    dsn or defaults.dsn(),
                    where,
                    name,
                    at=at,
                    description=description,
                    scratch_dsn=scratch or defaults.scratch_dsn(),
                )
            else:
                folder = drafts.new(where, name, at=at, description=description, seed=with_seed)
            write(output, {"revision": folder.name, "folder": str(folder)}, [(str(folder),)])

    @app.command()
    def baseline(
        *,
        dsn: Dsn = None,
        directory: Directory = None,
        to: Annotated[
            str | None, typer.Option("--to", metavar="ID", help="Adopt only this revision and what it requires.")
        ] = None,
        ignore: Annotated[
            list[str] | None,
            typer.Option(metavar="PATTERN", help="Objects to leave out, as in 'table public.alembic_version*'."),
        ] = None,
        scratch: Scratch = None,
        wait: Wait = None,
        actor: Actor = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Adopt a database made without this engine, if its catalog is what the revisions would make.

        Exit code 3: it is not, and nothing was recorded.
        """
        with answering(output):
            adoption = migrate.baseline(
                *defaults.place(dsn, directory),
                to=to,
                scratch_dsn=scratch or defaults.scratch_dsn(),
                ignoring=ignore or (),
                options=options(wait=wait, actor=actor),
            )
            if adoption.ok:
                rows = [("adopted", name) for name in adoption.adopted]
                write(output, {"adopted": adoption.adopted, "differences": []}, rows)
            else:
                show_differences(adoption.differences, output, none="no difference")
            leave(0 if adoption.ok else EXIT_DRIFT)
