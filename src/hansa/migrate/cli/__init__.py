"""The command line of the engine.

Exit codes: 0 done, 1 refused, 2 something is pending, 3 the catalog or a rehearsal differs, 4 a verification failed.
A program that has its own idea of database and folder mounts `make_app(Defaults(...))`; `app` is the one for everybody
else.
"""

import typer

from hansa.migrate.cli import applying, drafting, looking, proving, repairing
from hansa.migrate.cli.arguments import Defaults

__all__ = ["Defaults", "app", "make_app"]


def make_app(defaults: Defaults) -> typer.Typer:
    """The commands, with a program's own defaults."""
    app = typer.Typer(no_args_is_help=True, help="Migrate a PostgreSQL database by folders of plain SQL.")
    for commands in (looking, applying, proving, repairing, drafting):
        commands.add(app, defaults)
    return app


app = make_app(Defaults())
