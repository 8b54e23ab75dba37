"""Reputation on the command line, for operators: check it against the evidence, work it out anew."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from hansa.infra.db import Actor, Tx
from hansa.proof import commands, queries

app = typer.Typer(name="reputation", help="Check reputations against their evidence.", no_args_is_help=True)

OPERATOR = Actor(kind="operator", did="cli")


@app.command()
def verify(
    ctx: typer.Context, output: Annotated[str, typer.Option("-o", "--output", help="table or json")] = "table"
) -> None:
    """Count all evidence again and compare it with every score, reputation and trust; exit code 1 on a difference."""
    with transaction(ctx) as tx:
        differences, counted, pending = queries.recompute(tx), queries.counted(tx), queries.pending(tx)
    if output == "json":
        found = [asdict(difference) for difference in differences]
        typer.echo(json.dumps({"equal": not found, "differences": found, "counted": counted, "pending": pending}))
    else:
        for difference in differences:
            typer.echo(f"{difference.kind} of {difference.subject}: {difference.finding}")
        typer.echo(f"{counted} settlements counted again, {len(differences)} differences, {pending} wait to be counted")
    if differences:
        raise typer.Exit(1)


@app.command()
def rebuild(
    ctx: typer.Context,
    policy: Annotated[str, typer.Option(help="Reputation policy to adopt: devnet or mainnet.")],
) -> None:
    """Work out every reputation anew from all evidence under a policy, and say which scores changed."""
    with transaction(ctx) as tx:
        rescored = commands.adopt_policy(tx, policy, at=tx.at)
    changed = [row for row in rescored if row.score != row.previous]
    for row in changed:
        typer.echo(f"{row.agent}: {row.previous} -> {row.score}")
    typer.echo(f"{len(rescored)} reputations worked out under {policy}, {len(changed)} changed")


@contextmanager
def transaction(ctx: typer.Context) -> Generator[Tx]:
    with ctx.obj.services() as services, services.db.transaction(OPERATOR) as tx:
        yield tx
