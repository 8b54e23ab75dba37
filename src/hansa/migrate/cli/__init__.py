"""The command line of the engine.

Exit codes: 0 done, 1 refused, 2 something is pending, 3 the catalog or a rehearsal differs, 4 a verification failed.
A program that has its own idea of database and folder mounts `make_app(Defaults(...))`; `app` is the one for everybody
else.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer
from typer._click.core import Context
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from hansa.migrate.cli import applying, drafting, looking, partitioning, proving, repairing
from hansa.migrate.cli.arguments import EXIT_REFUSED, Defaults

__all__ = ["Defaults", "app", "make_app"]


class Commands(TyperGroup):
    """Wrong usage is refused like everything else, because exit code 2 says that something is pending."""

    def make_context(self, *args: Any, **kwargs: Any) -> Context:  # handed on as they came
        with _refused():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Context) -> Any:  # what the command returns
        with _refused():
            return super().invoke(ctx)


@contextmanager
def _refused() -> Generator[None]:
    try:
        yield
    except UsageError as error:
        error.exit_code = EXIT_REFUSED
        raise


def make_app(defaults: Defaults) -> typer.Typer:
    """The commands, with a program's own defaults."""
    app = typer.Typer(cls=Commands, no_args_is_help=True, help="Migrate a PostgreSQL database by folders of plain SQL.")
    for commands in (looking, applying, proving, repairing, drafting, partitioning):
        commands.add(app, defaults)
    return app


app = make_app(Defaults())
