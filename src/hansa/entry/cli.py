"""The command line. User commands go to the API, signed; operator commands use the database of this home.

Exit codes: 0 done, 1 refused or a check failed, 2 wrong usage.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import _click as click
from typer.core import TyperGroup

from hansa import __version__

if TYPE_CHECKING:
    from hansa.client import Hansa
    from hansa.infra.services import Services
    from hansa.infra.settings import Settings

GROUPS = {
    "accounts": "hansa.identity.cli:app",
    "agents": "hansa.entry.commands:agents",
    "attestations": "hansa.proof.cli:attestations",
    "audit": "hansa.governance.cli:app",
    "backup": "hansa.entry.backups:app",
    "credits": "hansa.credits.cli:app",
    "deal": "hansa.entry.commands:deal",
    "discovery": "hansa.discovery.cli:app",
    "jobs": "hansa.entry.commands:jobs",
    "keys": "hansa.entry.commands:keys",
    "leaderboard": "hansa.market.cli:app",
    "migrate": "hansa.entry.commands:migrate",
    "negotiate": "hansa.entry.negotiate:negotiate",
    "reputation": "hansa.proof.cli:app",
}
"""Groups of commands and where they are defined."""


class Groups(TyperGroup):
    """Imports a group of commands when it is asked for: most of the program is not needed to run one of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *GROUPS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = GROUPS[cmd_name].partition(":")
        group = typer.main.get_group(getattr(import_module(module), attribute))
        group.name = cmd_name
        return group


app = typer.Typer(
    name="hansa",
    cls=Groups,
    help="The trading house for AI agents.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Output(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How results are written.")]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of this Hansa; default HANSA_HOME or ~/.hansa.")
]


@dataclass(frozen=True, slots=True)
class Console:
    """What every command works with."""

    settings: Settings

    @contextmanager
    def services(self) -> Generator[Services]:
        """The database and keys of this home, for operator commands."""
        from hansa.entry.runtime import open_services

        with open_services(self.settings, name="hansa-cli") as services:
            yield services

    def client(self, *, signed: bool = True) -> Hansa:
        """The API as this user's agent. Raises KeyFileMissing, HouseDown."""
        from hansa.client import Hansa
        from hansa.infra.keys import AgentKey

        key = AgentKey.load(self.key_path()) if signed else None
        return Hansa(self.url(), key, patience_s=5)

    def key_path(self) -> Path:
        return self.settings.key or self.settings.home / "keys" / "default.json"

    def url(self) -> str:
        """HANSA_URL, else the house that runs in this home."""
        from hansa.entry.house import HouseDown, running_in

        if self.settings.url:
            return self.settings.url
        found = running_in(self.settings.home)
        if found is None:
            raise HouseDown("nothing runs in this home: start it with `hansa up`, or set HANSA_URL")
        return found.url


@app.callback()
def root(context: typer.Context, home: HomeOption = None) -> None:
    """Reads the settings once; every command below works with them."""
    from hansa.infra import log
    from hansa.infra.settings import Settings

    log.configure()
    if home:
        os.environ["HANSA_HOME"] = str(home.absolute())  # also for the processes that a command starts
    context.obj = Console(Settings())


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@app.command()
def up(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(help="Port of the API; 0 takes a free one.")] = None,
    slot_ms: Annotated[int, typer.Option(help="Milliseconds per slot of the local chain.")] = 400,
    output: OutputOption = Output.TABLE,
) -> None:
    """Start everything: database, schema, local chain, API and worker. Ctrl-C or `hansa down` stops it."""
    from hansa.entry.house import House, Running

    console: Console = context.obj
    settings = console.settings if port is None else console.settings.model_copy(update={"port": port})

    def ready(running: Running) -> None:
        if output is Output.JSON:
            print(json.dumps({"url": running.url, "chain": running.chain, "pid": running.pid}), flush=True)
            return
        print(f"Hansa is ready at {running.url}")
        print(f"  API docs     {running.url}/docs")
        print(f"  local chain  {running.chain}")
        print(f"  home         {running.home}")
        print("  stop         Ctrl-C, or `hansa down`", flush=True)

    def step(what: str) -> None:
        if output is Output.TABLE and sys.stderr.isatty():
            print(f"starting {what} ...", file=sys.stderr)

    House(settings, slot_ms=slot_ms, report=step).run(ready)


@app.command()
def down(context: typer.Context) -> None:
    """Stop what `hansa up` started in this home."""
    from hansa.entry import house

    stopped = house.down(context.obj.settings.home)
    print(f"stopped {stopped.url}")


@app.command()
def serve(context: typer.Context) -> None:
    """Run the API alone, on a schema that is there already."""
    from hansa.entry.api import create_app
    from hansa.entry.runtime import open_services
    from hansa.entry.serving import Server
    from hansa.entry.till import open_till

    settings = context.obj.settings
    with open_services(settings, name="hansa-api") as services:
        app_with_sellers = create_app(services)
        open_till(app_with_sellers, services)
        server = Server(app_with_sellers, host=settings.host, port=settings.port)
        with suppress(KeyboardInterrupt):
            server.run()
    raise typer.Exit(0 if server.started else 3)


@app.command()
def worker(context: typer.Context) -> None:
    """Run a worker alone: events, jobs, housekeeping."""
    from hansa.entry.runtime import open_services
    from hansa.entry.worker import Worker

    with open_services(context.obj.settings, name="hansa-worker") as services:
        Worker(services).run()


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def chain(context: typer.Context) -> None:
    """Run a local Solana chain (LiteSVM behind Solana JSON-RPC); `hansa chain --help` lists its options."""
    from hansa.chain.__main__ import main as chain_main

    raise typer.Exit(chain_main(context.args))


demos = typer.Typer(rich_markup_mode=None)
app.add_typer(demos, name="demo")


@demos.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running at the end.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Two agents meet, agree, pay and are rated, for real, in a fresh temporary home; then everything is checked."""
    from hansa.entry.demo import Demo

    if context.invoked_subcommand is None:
        raise typer.Exit(Demo(keep=keep, as_json=output is Output.JSON).run())
    if keep or output is not Output.TABLE:
        raise typer.BadParameter(f"options go behind the name: hansa demo {context.invoked_subcommand} ...")


@demos.command("migrate")
def demo_migrate(
    scale: Annotated[int | None, typer.Option(help="Role agents of the old database, at least 100.", min=100)] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """A dirty database is rehearsed, changed under its users, judged, taken back and changed again."""
    from hansa.entry.demo_migrate import SCALE, MigrationDemo

    raise typer.Exit(MigrationDemo(scale=scale or SCALE, as_json=output is Output.JSON).run())


@app.command()
def doctor(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Say what this installation found and what to do about it."""
    from hansa.entry.doctor import examine

    findings = examine(context.obj.settings)
    if output is Output.JSON:
        print(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        for finding in findings:
            print(finding.line())
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def call(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="GET, POST, ...")],
    path: Annotated[str, typer.Argument(help="Path and query, e.g. /api/credits/account")],
    body: Annotated[str | None, typer.Argument(help="JSON, or @file, or - for standard input")] = None,
    key: Annotated[Path | None, typer.Option(help="Key file to sign with.")] = None,
    once: Annotated[str | None, typer.Option("--once", help="Idempotency-Key: the command happens once.")] = None,
) -> None:
    """Send one signed request and print the answer (curl cannot sign)."""
    console: Console = context.obj
    if key:
        console = Console(console.settings.model_copy(update={"key": key}))
    with console.client() as hansa:
        answer = hansa.call(method.upper(), path, body=read_json(body), once=once)
    print(json.dumps(answer, indent=2, ensure_ascii=False))


@app.command()
def trust(
    context: typer.Context,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="DID of the agent, or its name in URLs")],
    least: Annotated[float, typer.Option("--min", min=0, max=1, help="How much trust is enough, 0 to 1.")] = 0.7,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask whether an agent is trusted enough, and why. Exits with 0 for yes and 1 for no."""
    with context.obj.client(signed=False) as hansa:
        did = agent if agent.startswith("did:") else hansa.agent(agent)["agent"]["did"]
        answer = hansa.trust(did, least=least)
    if output is Output.JSON:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print(f"{'yes' if answer['trusted'] else 'no'}: {answer['reason']}")
    raise typer.Exit(0 if answer["trusted"] else 1)


def read_json(text: str | None) -> Any:  # Any: whatever JSON the user wrote
    """A JSON argument: literal, from a file (@name) or from standard input (-)."""
    if text is None:
        return None
    source = sys.stdin.read() if text == "-" else Path(text[1:]).read_text() if text.startswith("@") else text
    try:
        return json.loads(source)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}") from error


def main() -> None:
    """Entry point: refusals become one line on stderr and exit status 1."""
    try:
        app()
    except Exception as error:
        print(explain(error), file=sys.stderr)
        raise SystemExit(1) from error


def explain(error: Exception) -> str:
    """One line that says what is wrong, and one that says what to do; a surprise keeps its traceback."""
    import traceback

    from hansa.chain.client import ChainUnreachable
    from hansa.client import Refused, Unreachable
    from hansa.infra.embedded import EmbeddedRefused
    from hansa.kernel.errors import Refusal

    if isinstance(error, EmbeddedRefused):
        return f"hansa: {error}\n  {error.hint}"
    if isinstance(error, Refusal):
        return f"hansa: {error.code()}: {error.detail}"
    if isinstance(error, (Refused, Unreachable, ChainUnreachable)):
        return f"hansa: {error}"
    return "".join(traceback.format_exception(error))


if __name__ == "__main__":
    main()
