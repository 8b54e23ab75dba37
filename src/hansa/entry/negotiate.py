"""`hansa negotiate`: an agent's negotiations from a terminal, over HTTP, signed with its key.

Prices are credits as people write them. `-o json` prints what the API said; of a stream one line for each event.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from hansa.client import Hansa
from hansa.client.haggling import KEPT
from hansa.entry import deal_lines
from hansa.entry.arguments import seconds, share, split, units
from hansa.entry.cli import Console, Output, OutputOption
from hansa.negotiation.models import NegotiationState

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

negotiate = typer.Typer(no_args_is_help=True, help="Negotiate with other agents, and watch it happen.")

Json = dict[str, Any]
Ident = Annotated[str, typer.Argument(metavar="ID", help="Id of the negotiation")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Key file of the agent; default: this home's.")]
Price = typer.Option("--price", parser=units, metavar="CREDITS", help="Price in credits, e.g. 90 or 90.5.")
Delivery = typer.Option("--delivery", parser=seconds, metavar="TIME", help="From acceptance to delivery, e.g. 1h.")
Quality = typer.Option("--quality", parser=share, metavar="0..1", help="Promised quality, e.g. .95.")
Shares = typer.Option("--split", parser=split, metavar="A/B/V/P", help="Agent/broker/validator/pool in percent.")


class Until(StrEnum):
    """When watching ends."""

    ACCEPTED = "accepted"
    SETTLED = "settled"


@contextmanager
def agent(context: typer.Context, key: Path | None) -> Generator[Hansa]:
    """The API as the agent of a key."""
    console: Console = context.obj
    if key:
        console = Console(console.settings.model_copy(update={"key": key}))
    with console.client() as hansa:
        yield hansa


@negotiate.command("start")
def start(
    context: typer.Context,
    responder: Annotated[str, typer.Argument(help="Agent that shall work: its DID or its name in URLs")],
    want: Annotated[str, typer.Option(help="What you want done.")],
    price: Annotated[int, Price],
    budget: Annotated[int, typer.Option("--budget", parser=units, metavar="CREDITS", help="Most you would pay.")],
    delivery: Annotated[int | None, Delivery] = None,
    quality: Annotated[Any, Quality] = None,
    shares: Annotated[Any, Shares] = None,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Most proposals; the opening offer is the first.")] = 10,
    ttl: Annotated[Any, typer.Option("--ttl", parser=seconds, metavar="TIME", help="Time to agree.")] = "1h",
    watch: Annotated[bool, typer.Option("--watch", help="Stay and show what happens.")] = False,
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say what you want, and open a negotiation about it with an offer."""
    terms = stated(price=price, delivery_s=delivery, quality=quality, split=shares)
    with agent(context, key) as hansa:
        did = responder if responder.startswith("did:") else hansa.agent(responder)["agent"]["did"]
        intent = hansa.intend(want, budget=budget)
        opened = hansa.negotiate(did, intent=intent["id"], terms=terms, max_rounds=rounds, ttl_s=ttl)
        if watch:
            if output is Output.TABLE:
                print(f"{opened['id']}  (Ctrl-C stops watching; the negotiation goes on)")
            raise typer.Exit(follow(hansa, opened["id"], output))
        show(hansa, opened["id"], output)


@negotiate.command("ls")
def list_negotiations(
    context: typer.Context,
    state: Annotated[NegotiationState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Your negotiations, newest first."""
    with agent(context, key) as hansa:
        found = [one for one, _ in zip(hansa.negotiations(state=state), range(limit), strict=False)]
        me = hansa.did
    if output is Output.JSON:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for one in found:
        print(deal_lines.row(one, me))
    if not found:
        print("no negotiations" + (f" are {state}" if state else "; hansa negotiate start opens one"))


@negotiate.command("show")
def show_negotiation(
    context: typer.Context, negotiation: Ident, key: KeyOption = None, output: OutputOption = Output.TABLE
) -> None:
    """One negotiation with its rounds, whose turn it is, and what was paid."""
    with agent(context, key) as hansa:
        show(hansa, negotiation, output)


@negotiate.command("propose")
def propose(
    context: typer.Context,
    negotiation: Ident,
    price: Annotated[int, Price],
    delivery: Annotated[int | None, Delivery] = None,
    quality: Annotated[Any, Quality] = None,
    shares: Annotated[Any, Shares] = None,
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Answer the proposal on the table with another one; what you leave out stays as it is there."""
    mine = stated(price=price, delivery_s=delivery, quality=quality, split=shares)
    with agent(context, key) as hansa:
        table = hansa.negotiation(negotiation)["negotiation"]["current_proposal"]
        hansa.propose(negotiation, stated(**{name: table.get(name) for name in KEPT}) | mine)
        show(hansa, negotiation, output)


@negotiate.command("accept")
def accept(
    context: typer.Context,
    negotiation: Ident,
    seen: Annotated[
        int | None, typer.Option("--round", min=1, help="The round you saw; another one is not accepted.")
    ] = None,
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Accept the proposal on the table; its price is held on the payer's account."""
    with agent(context, key) as hansa:
        seen_round = seen or hansa.negotiation(negotiation)["negotiation"]["round"]
        hansa.accept(negotiation, seen_round=seen_round)
        show(hansa, negotiation, output)


@negotiate.command("reject")
def reject(
    context: typer.Context,
    negotiation: Ident,
    reason: Annotated[str, typer.Option(help="What the other side is told.")] = "",
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """End a negotiation without a deal."""
    with agent(context, key) as hansa:
        hansa.reject(negotiation, reason=reason)
        show(hansa, negotiation, output)


@negotiate.command("settle")
def settle(
    context: typer.Context,
    negotiation: Ident,
    validator: Annotated[
        str | None, typer.Option(metavar="DID", help="Who validated the work and earns for it.")
    ] = None,
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Pay the shares of an accepted deal that no task fulfils."""
    with agent(context, key) as hansa:
        settlement = hansa.settle(negotiation, validator=validator)
    if output is Output.JSON:
        print(json.dumps(settlement, indent=2, ensure_ascii=False))
        return
    paid = settlement["paid"]
    print(f"settled  {deal_lines.credit(paid['amount'])}: {deal_lines.shares(paid)}")


@negotiate.command("watch")
def watch_negotiation(
    context: typer.Context,
    negotiation: Ident,
    until: Annotated[Until, typer.Option(help="Whether to stay for the settlement.")] = Until.SETTLED,
    key: KeyOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what happened so far and what happens, line by line, to the end.

    Exits with 0 after a settlement (or an acceptance, with --until accepted), and with 1 when there is no deal.
    """
    with agent(context, key) as hansa:
        raise typer.Exit(follow(hansa, negotiation, output, until))


def follow(hansa: Hansa, negotiation: str, output: Output, until: Until = Until.SETTLED) -> int:
    """Print events as they happen; the exit status that their end means."""
    last = ""
    try:
        with closing(hansa.watch(negotiation)) as events:
            for event in events:
                last = event.name
                document = {"id": event.id, "event": event.name, **event.data}
                line = json.dumps(document) if output is Output.JSON else deal_lines.happening(event, hansa.did)
                print(line, flush=True)
                if event.agrees and until is Until.ACCEPTED:
                    break
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0 if last in ("negotiation.deal_settled", "negotiation.deal_accepted") else 1


def show(hansa: Hansa, negotiation: str, output: Output) -> None:
    """Print a negotiation as it stands."""
    detail = hansa.negotiation(negotiation)
    if output is Output.JSON:
        print(json.dumps(detail, indent=2, ensure_ascii=False))
        return
    for line in deal_lines.page(detail, hansa.did):
        print(line)


def stated(**terms: object) -> Json:
    """Terms without those that are not stated; quality as text, which keeps its decimals."""
    return cast(
        "Json", {name: str(value) if name == "quality" else value for name, value in terms.items() if value is not None}
    )
