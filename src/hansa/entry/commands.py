"""The groups of the command line: contexts' operator commands, and what users do over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hansa.entry.cli import Console, Output, OutputOption
from hansa.infra.database import DATABASE, resolve
from hansa.infra.settings import Settings
from hansa.migrate.cli import Defaults, make_app
from hansa.migrations import DIRECTORY

keys = typer.Typer(no_args_is_help=True, help="Keys of agents.")
agents = typer.Typer(no_args_is_help=True, help="Register and look up agents.")
deal = typer.Typer(no_args_is_help=True, help="Deals from the first offer to the last review.")
jobs = typer.Typer(no_args_is_help=True, help="Deferred work and events on their way.")


def _superuser_dsn(database: str) -> str | None:
    """The embedded server's superuser, who may copy databases; None when somebody else runs the server."""
    server = resolve(Settings()).embedded
    return None if server is None else server.dsn(role="postgres", database=database)


def _rehearsal_dsn() -> str:
    return _superuser_dsn(DATABASE) or resolve(Settings()).owner_dsn


def _backup_age_s() -> float | None:
    """How long ago the latest complete backup was finished; None when there is none."""
    from hansa.infra.backup import Repository, list_backups
    from hansa.infra.backup.settings import BackupSettings

    found = list_backups(Repository(BackupSettings().folder_of(Settings()))).backups
    finished = [one.backup.finished_at for one in found if not one.finding]
    return (datetime.now(UTC) - max(finished)).total_seconds() if finished else None


migrate = make_app(
    Defaults(
        dsn=lambda: resolve(Settings()).owner_dsn,
        directory=lambda: DIRECTORY,
        scratch_dsn=lambda: _superuser_dsn("postgres"),
        rehearsal_dsn=_rehearsal_dsn,
        backup_age_s=_backup_age_s,
    )
)
"""The migration engine's own commands, on the database of this home."""


@keys.command("new")
def new_key(
    context: typer.Context,
    path: Annotated[Path | None, typer.Argument(help="Where to write it; default: this home's default key")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make a new Ed25519 key: it is the agent's DID, its wallet and its card key. An existing file is never replaced."""
    from hansa.infra.keys import AgentKey

    console: Console = context.obj
    target = path or console.key_path()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = AgentKey.generate()
    key.save(target)
    facts = {"file": str(target), "did": key.did, "wallet": key.wallet}
    print(
        json.dumps(facts) if output is Output.JSON else "\n".join(f"{name:<8}{value}" for name, value in facts.items())
    )


@keys.command("show")
def show_key(context: typer.Context, path: Annotated[Path | None, typer.Argument()] = None) -> None:
    """Print DID and wallet of a key, never its secret."""
    from hansa.infra.keys import AgentKey

    key = AgentKey.load(path or context.obj.key_path())
    print(f"did     {key.did}\nwallet  {key.wallet}")


@agents.command("register")
def register_agent(
    context: typer.Context,
    card: Annotated[str, typer.Argument(help="An A2A agent card (v0.3 or v1): file or URL")],
    key: Annotated[Path | None, typer.Option(help="Key file of the agent.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Register an agent from its A2A card. A card without a signature is signed with the agent's key first."""
    from hansa.infra.keys import AgentKey
    from hansa.registry.cards import sign_card

    console: Console = context.obj
    path = key or console.key_path()
    document = json.loads(read_card(card))
    if not document.get("signatures"):
        document = sign_card(document, AgentKey.load(path))
    with Console(console.settings.model_copy(update={"key": path})).client() as hansa:
        answer = hansa.register(document)
    if output is Output.JSON:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    agent = answer["agent"]
    print(f"{'registered' if answer['created'] else 'updated'}  {agent['name']}")
    for name in ("did", "agent_id", "wallet_address"):
        print(f"  {name:<15}{agent[name]}")
    print(f"  {'version':<15}{answer['version']}")


def read_card(source: str) -> bytes:
    """A card from a file or from the address where its agent publishes it."""
    if source.startswith(("http://", "https://")):
        from hansa.infra import http

        with http.client() as client:
            response = client.get(source)
            response.raise_for_status()
            return response.content
    return Path(source).read_bytes()


@agents.command("show")
def show_agent(context: typer.Context, ref: Annotated[str, typer.Argument(help="DID or slug")]) -> None:
    """Print what is known about an agent."""
    with context.obj.client(signed=False) as hansa:
        print(json.dumps(hansa.get(f"/api/agents/{ref}"), indent=2, ensure_ascii=False))


@deal.command("show")
def show_deal(
    context: typer.Context,
    negotiation: Annotated[str, typer.Argument(help="Id of the negotiation")],
    key: Annotated[Path | None, typer.Option(help="Key file of one of its parties.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """One timeline of a deal: offers, decision of the gate, hold, task, payment, settlement, review."""
    from hansa.entry.deals import print_timeline

    console: Console = context.obj
    if key:
        console = Console(console.settings.model_copy(update={"key": key}))
    with console.client() as hansa:
        timeline: dict[str, Any] = hansa.get(f"/api/deals/{negotiation}")  # Any: a JSON document
    if output is Output.JSON:
        print(json.dumps(timeline, indent=2, ensure_ascii=False))
    else:
        print_timeline(timeline)


@jobs.command("ls")
def list_jobs(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """What waits, runs and has failed, and how many events wait for a reaction."""
    from hansa.infra import outbox, queue

    with context.obj.services() as services, services.db.transaction() as tx:
        counts, waiting = queue.counts(tx), outbox.undelivered(tx)
    if output is Output.JSON:
        rows = [{"task": count.task, "status": count.status, "jobs": count.jobs} for count in counts]
        print(json.dumps({"jobs": rows, "undelivered_events": waiting}))
        return
    for count in counts:
        print(f"{count.task:<30}{count.status:<12}{count.jobs:>8}")
    if not counts:
        print("no jobs: nothing waits and nothing has failed")
    print(f"{'undelivered events':<42}{waiting:>8}")


@jobs.command("retry")
def retry_jobs(
    context: typer.Context, job: Annotated[int | None, typer.Argument(help="Id of a failed job; none: all")] = None
) -> None:
    """Queue failed jobs again."""
    from hansa.infra import queue

    with context.obj.services() as services, services.db.transaction() as tx:
        print(f"{queue.retry_failed(tx, job)} jobs are queued again")
