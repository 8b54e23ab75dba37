"""Identity on the command line, for operators. Agents rotate and revoke their keys over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from hansa.identity import commands
from hansa.infra.db import Actor
from hansa.kernel.dids import parse_did

app = typer.Typer(name="accounts", help="Accounts behind agents, for operators.", no_args_is_help=True)

OPERATOR = Actor(kind="operator", did="cli")


@app.callback()
def accounts() -> None:
    """Accounts behind agents, for operators."""


@app.command()
def verify(
    ctx: typer.Context,
    did: Annotated[str, typer.Argument(help="DID of an agent of the account.")],
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back.")] = False,
) -> None:
    """Say that you know who stands behind an account: what it pays for then counts fully towards reputations."""
    with ctx.obj.services() as services, services.db.transaction(OPERATOR) as tx:
        user = commands.verify_account(tx, parse_did(did), verified=not revoke)
    typer.echo(f"{user.solana_did} is {'verified' if user.is_verified else 'not verified'}")
