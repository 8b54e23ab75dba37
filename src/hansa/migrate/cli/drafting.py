"""Commands that write revisions, or take what others made as one: new, squash, baseline."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from hansa import migrate
from hansa.migrate import drafts, squashing
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
from hansa.migrate.repeatables import Frozen, freeze
from hansa.migrate.undoing import DownDraft


def add(app: typer.Typer, defaults: Defaults) -> None:
    """Mount them."""

    @app.command()
    def new(
        name: Annotated[
            str | None, typer.Argument(help="Small letters, digits and underscores.", show_default=False)
        ] = None,
        *,
        directory: Directory = None,
        description: Annotated[str, typer.Option(help="One line for meta.toml.")] = "",
        with_seed: Annotated[bool, typer.Option("--seed", help="Also make a seed.sql.")] = False,
        from_database: Annotated[
            bool, typer.Option("--from-database", help="The first revision: the schema of the database as it is.")
        ] = False,
        repeatables: Annotated[
            bool, typer.Option("--repeatables", help="Freeze the views and routines of `repeatable` that changed.")
        ] = False,
        derive_down: Annotated[
            str | None,
            typer.Option(metavar="ID", help="Write the down.sql of a revision, derived from what its up.sql does."),
        ] = None,
        dsn: Dsn = None,
        scratch: Scratch = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Make the folder of a new revision, or the part of one that can be derived."""
        with answering(output):
            wanted = (from_database, repeatables, derive_down is not None)
            if sum(wanted) > 1 or (with_seed and any(wanted)) or (name is None) != (derive_down is not None):
                raise BadRequest(
                    "give a name and at most one of --seed, --from-database, --repeatables; or --derive-down"
                )
            where, at = directory or defaults.directory(), datetime.now(UTC)

            def server() -> str:
                return scratch or defaults.scratch_dsn() or dsn or defaults.dsn()

            if derive_down is not None:
                _show_derived(drafts.write_derived_down(where, derive_down, scratch_dsn=server()), output)
                return
            assert name is not None
            if repeatables:
                _show_frozen(freeze(where, name, at=at, scratch_dsn=server(), description=description), output)
                return
            if from_database:
                database = dsn or defaults.dsn()
                folder = drafts.new_from_database(
                    database, where, name, at=at, description=description, scratch_dsn=server()
                )
            else:
                folder = drafts.new(where, name, at=at, description=description, seed=with_seed)
            write(output, {"revision": folder.name, "folder": str(folder)}, [(str(folder),)])

    @app.command()
    def squash(
        to: Annotated[str, typer.Argument(metavar="ID", help="The last revision to go into the new one.")],
        name: Annotated[str, typer.Argument(help="Of the new one: small letters, digits and underscores.")],
        *,
        directory: Directory = None,
        unproved: Annotated[
            bool, typer.Option("--unproved", help="Do not run both ways on empty databases first.")
        ] = False,
        dsn: Dsn = None,
        scratch: Scratch = None,
        output: Out = Output.TABLE,
    ) -> None:
        """Make one revision of all up to this one; databases that have them all take it as applied."""
        with answering(output):
            server = None if unproved else scratch or defaults.scratch_dsn() or dsn or defaults.dsn()
            where = directory or defaults.directory()
            folder = squashing.squash(where, to=to, name=name, at=datetime.now(UTC), scratch_dsn=server)
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


def _show_derived(draft: DownDraft, output: Output) -> None:
    """Exit code 3: the catalog is not what it was before."""
    value = {"revision": draft.revision, "proved": draft.proved, "not_derivable": draft.not_derivable}
    rows = [("derived" if draft.proved else "incomplete", draft.revision)]
    write(output, value, rows + [("not derivable", remark) for remark in draft.not_derivable])
    leave(0 if draft.proved else EXIT_DRIFT)


def _show_frozen(frozen: Frozen, output: Output) -> None:
    name, folder = (frozen.folder.name, str(frozen.folder)) if frozen.folder is not None else (None, None)
    rows = [(folder,)] if folder is not None else [("no repeatable has changed",)]
    write(output, {"revision": name, "folder": folder, "files": frozen.files}, rows)
