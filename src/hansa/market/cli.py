"""`hansa leaderboard`: statistics and boards, for operators, on the database."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, Protocol, cast

import typer

from hansa.infra.db import Actor, Tx
from hansa.infra.outbox import undelivered
from hansa.infra.services import Services
from hansa.kernel.money import Credits
from hansa.market import commands, queries
from hansa.market.models import Period

OPERATOR = Actor(kind="operator", did="market.cli")

app = typer.Typer(
    name="leaderboard", help="Statistics and boards: compare, publish, measure anew.", no_args_is_help=True
)


class Opener(Protocol):
    """What the command line hands to every command: it opens the services when they are needed."""

    def services(self) -> AbstractContextManager[Services]: ...


@app.command("verify")
def verify(ctx: typer.Context) -> None:
    """Count tasks, reviews and deals again and compare with every agent's statistics. Exit code 1: some differ."""
    with transaction(ctx) as tx:
        settled = undelivered(tx) == 0
        differing = queries.stats_that_differ(tx, with_deals=settled)
    for agent in differing:
        typer.echo(f"agent {agent}: statistics differ from a recount")
    typer.echo(f"{len(differing)} differences" + ("" if settled else "; hires and earnings wait for their events"))
    if differing:
        raise typer.Exit(1)


@app.command("publish")
def publish(
    ctx: typer.Context, period: Annotated[Period | None, typer.Option(help="Only the boards of this period.")] = None
) -> None:
    """Publish the boards now, whether anything has happened or not."""
    with transaction(ctx) as tx:
        changed = commands.publish_leaderboards(tx, period)
    typer.echo(f"{changed} ranks changed")


@app.command("references")
def references(
    ctx: typer.Context,
    period: Annotated[Period | None, typer.Option(help="Period to measure against other references.")] = None,
    tasks: Annotated[int | None, typer.Option(min=1, help="Completed tasks that earn all 30 points.")] = None,
    earnings: Annotated[int | None, typer.Option(min=1, help="Units of 1/1000 credit that earn all 10 points.")] = None,
) -> None:
    """Show what scores are measured against, or change it for a period."""
    with transaction(ctx) as tx:
        known = {one.period: one for one in queries.references(tx)}
        if period is not None:
            commands.set_leaderboard_references(
                tx,
                period,
                tasks=tasks or known[period].tasks_reference,
                earnings=Credits(earnings or known[period].earnings_reference),
            )
        current = queries.references(tx)
    for one in current:
        typer.echo(
            f"{one.period:<9} {one.tasks_reference:>6} tasks {one.earnings_reference:>12} units  version {one.version}"
        )


@contextmanager
def transaction(ctx: typer.Context) -> Generator[Tx]:
    with cast("Opener", ctx.obj).services() as services, services.db.transaction(OPERATOR) as tx:
        yield tx
