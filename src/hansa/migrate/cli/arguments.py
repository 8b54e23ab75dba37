"""What the commands share: their options, their exit codes, and how a refusal becomes a message."""

import dataclasses
import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hansa.migrate.cli.showing import Output, clear_progress, tell
from hansa.migrate.errors import NoDatabase, Refusal
from hansa.migrate.options import Options, current_actor

EXIT_REFUSED = 1
EXIT_PENDING = 2
EXIT_DRIFT = 3
EXIT_VERIFY_FAILED = 4


def _no_database() -> str:
    raise NoDatabase("say which database: --dsn, MIGRATE_DATABASE_URL or DATABASE_URL")


def _migrations_here() -> Path:
    return Path("migrations")


def _no_scratch() -> str | None:
    return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds when the command line says nothing; asked only then, so a database may be started by the asking."""

    dsn: Callable[[], str] = _no_database
    directory: Callable[[], Path] = _migrations_here
    scratch_dsn: Callable[[], str | None] = _no_scratch
    """A server where databases may be made and dropped, for lint and baseline; None: that of the database itself."""
    rehearsal_dsn: Callable[[], str] | None = None
    """As whom to copy the database for a rehearsal; None: as for everything else."""
    backup_age_s: Callable[[], float | None] | None = None
    """Tells how old the latest backup is; None: this program knows nothing of backups, and none is asked for."""
    backup_within_s: float = 24 * 3600.0
    """How fresh a backup a contract needs."""
    environment_variable: str = "HANSA_ENV"
    """Names the environment variable that says `production` where seeds and resets are refused."""

    def place(self, dsn: str | None, directory: Path | None) -> tuple[str, Path]:
        return dsn or self.dsn(), directory or self.directory()

    def rehearsal_place(self, dsn: str | None, directory: Path | None) -> tuple[str, Path]:
        return dsn or (self.rehearsal_dsn or self.dsn)(), directory or self.directory()


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
Scratch = Annotated[
    str | None,
    typer.Option("--scratch", help="Server where a database may be made and dropped.", show_default="none"),
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
Revision = Annotated[str, typer.Argument(metavar="ID", help="Id of a revision: the name of its folder.")]


@contextmanager
def answering(output: Output) -> Generator[None]:
    """Turn a refusal into its message and exit code."""
    try:
        yield
    except Refusal as refusal:
        clear_progress()
        if output is Output.JSON:
            print(json.dumps({"error": {"code": refusal.code, "message": str(refusal)}}))
        else:
            print(f"{refusal.code}: {refusal}", file=sys.stderr)
        raise typer.Exit(EXIT_REFUSED) from refusal


def leave(code: int) -> None:
    """End with this exit code, unless it is 0."""
    if code:
        raise typer.Exit(code)


def options(
    *, lock_timeout: float = 5.0, wait: float | None = None, actor: str | None = None, lose_data: bool = False
) -> Options:
    return Options(
        lock_timeout_s=lock_timeout,
        deployer_wait_s=wait,
        actor=actor or current_actor(),
        notify=tell,
        lose_data=lose_data,
    )
