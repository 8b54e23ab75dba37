"""`hansa discovery`: the search index, for operators, on the database."""

from contextlib import AbstractContextManager
from decimal import Decimal, InvalidOperation
from typing import Annotated, Protocol, cast

import typer

from hansa.discovery import commands, queries
from hansa.discovery.models import RankingWeights
from hansa.infra.db import Actor
from hansa.infra.services import Services

OPERATOR = Actor(kind="operator", did="discovery.cli")

app = typer.Typer(name="discovery", help="The search index: compare it, rebuild it, weigh it.", no_args_is_help=True)


class Opener(Protocol):
    """What the command line hands to every command: it opens the services when they are needed."""

    def services(self) -> AbstractContextManager[Services]: ...


@app.command("rebuild")
def rebuild(ctx: typer.Context) -> None:
    """Work the index out anew from the contexts below; searches go on meanwhile."""
    with cast("Opener", ctx.obj).services() as services, services.db.transaction(OPERATOR) as tx:
        agents = commands.rebuild(tx)
    typer.echo(f"{agents} agents in the index")


@app.command("differences")
def differences(
    ctx: typer.Context, limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="Lines to show.")] = 100
) -> None:
    """Say where the index is not what the contexts below say. Exit code 1: somewhere."""
    with cast("Opener", ctx.obj).services() as services, services.db.transaction(OPERATOR) as tx:
        found = queries.differences(tx, limit=limit)
    for difference in found:
        typer.echo(f"{difference.kind} {difference.subject}: {difference.finding}")
    if found:
        raise typer.Exit(1)
    typer.echo("the index is right")


def share(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as strange:
        raise typer.BadParameter(f"{text} is not a number such as 0.6") from strange


@app.command("weights")
def weights(
    ctx: typer.Context,
    relevance: Annotated[Decimal | None, typer.Option(parser=share, help="Weight of relevance, e.g. 0.6.")] = None,
    trust: Annotated[Decimal | None, typer.Option(parser=share, help="Weight of trust, e.g. 0.3.")] = None,
    usefulness: Annotated[Decimal | None, typer.Option(parser=share, help="Weight of usefulness, e.g. 0.1.")] = None,
) -> None:
    """Show what counts how much in the order of results, or change it; the three sum to 1."""
    with cast("Opener", ctx.obj).services() as services, services.db.transaction(OPERATOR) as tx:
        current = queries.ranking_weights(tx)
        wanted = RankingWeights(
            relevance=current.relevance if relevance is None else relevance,
            trust=current.trust if trust is None else trust,
            usefulness=current.usefulness if usefulness is None else usefulness,
        )
        current = current if wanted == current else commands.set_ranking_weights(tx, wanted)
    typer.echo(f"relevance {current.relevance}, trust {current.trust}, usefulness {current.usefulness}")
