"""Reputation and attestations on the command line, for operators."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from hansa.infra.db import Actor, Tx
from hansa.proof import commands, queries
from hansa.proof.models import AttestationPolicy

app = typer.Typer(name="reputation", help="Check reputations against their evidence.", no_args_is_help=True)
attestations = typer.Typer(
    name="attestations", help="How settled work is attested by committees.", no_args_is_help=True
)

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


@attestations.command()
def policy(ctx: typer.Context) -> None:
    """Show how settled work is attested."""
    with transaction(ctx) as tx:
        show(queries.attestation_policy(tx))


@attestations.command()
def change(
    ctx: typer.Context,
    k: Annotated[int | None, typer.Option("--k", help="Audits that must pass.")] = None,
    m: Annotated[int | None, typer.Option("--m", help="Seats of a committee.")] = None,
    window_s: Annotated[int | None, typer.Option(help="Seconds in which a receipt can be attested.")] = None,
    min_trust: Annotated[float | None, typer.Option(help="Least trust of a member, above 0 to 1.")] = None,
    stake_min: Annotated[int | None, typer.Option(help="Least stake of a member, units of 1/1000 credit.")] = None,
    reward_units: Annotated[int | None, typer.Option(help="Most that an audit earns, units of 1/1000 credit.")] = None,
    slash_bps: Annotated[int | None, typer.Option(help="What a wrong audit costs of a stake, basis points.")] = None,
    unbonding_s: Annotated[int | None, typer.Option(help="Seconds until a stake comes back.")] = None,
) -> None:
    """Change numbers of the attestation policy, for the receipts to come; what is left out stays."""
    with transaction(ctx) as tx:
        adopted = commands.set_attestation_policy(
            tx,
            k=k,
            m=m,
            window_s=window_s,
            min_trust=min_trust,
            stake_min=stake_min,
            reward_units=reward_units,
            slash_bps=slash_bps,
            unbonding_s=unbonding_s,
        )
    show(adopted)


def show(adopted: AttestationPolicy) -> None:
    for name, value in asdict(adopted).items():
        typer.echo(f"{name} {value}")


@contextmanager
def transaction(ctx: typer.Context) -> Generator[Tx]:
    with ctx.obj.services() as services, services.db.transaction(OPERATOR) as tx:
        yield tx
