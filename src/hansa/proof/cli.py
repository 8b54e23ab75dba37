"""Reputation, attestations and rewards on the command line, for operators."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from hansa.infra.db import Actor, Tx
from hansa.kernel.dids import parse_did
from hansa.kernel.money import Asset, BasisPoints, Money
from hansa.proof import commands, queries
from hansa.proof.models import AttestationPolicy, RewardEpoch, RewardPolicy

app = typer.Typer(
    name="reputation", help="Check reputations against their evidence, and reward usefulness.", no_args_is_help=True
)
attestations = typer.Typer(
    name="attestations", help="How settled work is attested by committees.", no_args_is_help=True
)

OPERATOR = Actor(kind="operator", did="cli")


def points(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as strange:
        raise typer.BadParameter(f"{text} is not a number such as 10") from strange


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


@app.command()
def reward(
    ctx: typer.Context,
    epoch: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="UTC day, over and at most 30 days ago; else yesterday."),
    ] = None,
) -> None:
    """Pay the rewards of one day from the pool, or what an interrupted run left of them; the second time nothing."""
    with ctx.obj.services() as services:
        with services.db.transaction(OPERATOR) as tx:
            day = epoch.date() if epoch else commands.epoch_before(tx.at)
        paid = commands.reward(services.db, OPERATOR, day)
        with services.db.transaction(OPERATOR) as tx:
            whole = queries.reward_epoch(tx, day)
    typer.echo(f"{paid} rewards paid for {day}" if paid else f"nothing to pay for {day}")
    typer.echo(line_of(whole))


@app.command()
def rewards(
    ctx: typer.Context,
    agent: Annotated[str | None, typer.Option(help="DID: what this agent got, by day.")] = None,
    after: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Days before this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 30,
) -> None:
    """List what the pool paid for usefulness, newest day first."""
    before: date | None = after.date() if after else None
    with transaction(ctx) as tx:
        if agent is None:
            lines = [line_of(epoch) for epoch in queries.reward_epochs(tx, before=before, limit=limit).items]
        else:
            given = queries.rewards_of(tx, parse_did(agent), before=before, limit=limit).items
            lines = [
                f"{one.epoch}  {credit(one.units)} for {one.score} points" + ("" if one.movement else ", to be paid")
                for one in given
            ]
    typer.echo("\n".join(lines) or "no rewards")


@app.command("reward-policy")
def reward_policy(
    ctx: typer.Context,
    share_bps: Annotated[int | None, typer.Option(help="Share of the pool that a day offers, 0 to 10000.")] = None,
    score_min: Annotated[
        Decimal | None, typer.Option(parser=points, help="Least usefulness that is rewarded, e.g. 10.")
    ] = None,
) -> None:
    """Show how much of the pool a day offers and to whom, or change it for later days."""
    with transaction(ctx) as tx:
        current = commands.reward_policy(tx)
        wanted = RewardPolicy(
            share_bps=current.share_bps if share_bps is None else BasisPoints(share_bps),
            score_min=current.score_min if score_min is None else score_min,
        )
        current = current if wanted == current else commands.set_reward_policy(tx, wanted)
    typer.echo(f"a day offers {current.share_bps} basis points of the pool to agents with {current.score_min} or more")


def line_of(epoch: RewardEpoch) -> str:
    """An epoch in one line."""
    state = "" if epoch.closed_at else ", some of it to be paid"
    return (
        f"{epoch.epoch}  {credit(epoch.reward_units)} of {credit(epoch.offered_units)} offered "
        f"to {epoch.agents} agents{state}"
    )


def credit(units: int) -> Money:
    return Money(units=units, asset=Asset.CREDIT)


@contextmanager
def transaction(ctx: typer.Context) -> Generator[Tx]:
    with ctx.obj.services() as services, services.db.transaction(OPERATOR) as tx:
        yield tx
