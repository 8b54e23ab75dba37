"""An agent's own account, over HTTP, signed with the key of HANSA_KEY or of this home."""

import re
import sys
from pathlib import Path
from typing import Annotated, Any, TextIO
from uuid import UUID

import typer

from hansa.credits.cli.output import (
    Client,
    Output,
    OutputOption,
    console,
    credits_text,
    did,
    moment,
    positive_amount,
    print_json,
    print_table,
)
from hansa.credits.models import HoldState, TxType
from hansa.credits.queries import month as month_of
from hansa.kernel.money import Credits

app = typer.Typer()

STATEMENT = "/api/credits/statement"


def month_name(text: str) -> str:
    """A month as the API takes it. A wrong one is wrong usage."""
    if not re.fullmatch(r"2[0-9]{3}-(0[1-9]|1[0-2])", text):
        raise typer.BadParameter(f"{text} is not a month such as 2026-11")
    return text


@app.command()
def account(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show what this agent has, and what it may still pay today."""
    with console(context).client() as client:
        found, limits = client.get("/api/credits/account"), client.get("/api/credits/limits")
    if output is Output.JSON:
        print_json(found | {"limits": limits})
        return
    print(f"{'account':<16}{found['account']}")
    for name in ("balance", "reserved", "earned", "spent"):
        print(f"{name:<16}{credits_text(found[name])}")
    print(f"{'available':<16}{credits_text(found['balance'] - found['reserved'])}")
    print(f"{'one payment':<16}{credits_text(limits['transfer_max'])} at most")
    print(f"{'left today':<16}{credits_text(limits['left'])} of {credits_text(limits['day_max'])}")


@app.command()
def statement(
    context: typer.Context,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", parser=month_name, help="Only this month of UTC, with its totals.")
    ] = None,
    tx_type: Annotated[TxType | None, typer.Option("--type", help="Only postings of this type.")] = None,
    intent: Annotated[UUID | None, typer.Option(help="Only what served this intent.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="Lines to show, newest first.")] = 50,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write all of it to this file as CSV; -: print it.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show this agent's postings, newest first, with the balance after each; or write all of them as CSV."""
    since, until = month_of(month) if month else (None, None)
    params: dict[str, object] = {
        "tx_type": tx_type and tx_type.value,
        "intent": intent and str(intent),
        "since": since and since.isoformat(),
        "until": until and until.isoformat(),
    }
    with console(context).client() as client:
        if csv is not None:
            write_csv(client, params, csv)
            return
        page = client.get(STATEMENT, limit=limit, **params)
        totals = client.get(f"{STATEMENT}/summary", month=month) if month else None
    if output is Output.JSON:
        print_json(page | ({"summary": totals} if totals else {}))
        return
    print_lines(page["items"])
    if page["after"]:
        print("there is more: --limit shows up to 500 lines, --csv writes all of them")
    if totals:
        print_totals(totals)


def print_lines(lines: list[dict[str, Any]]) -> None:  # Any: values of a JSON object
    print_table(
        ("at (UTC)", "type", "bucket", "amount", "balance after", "reason"),
        (
            (
                moment(line["at"]),
                line["tx_type"],
                line["bucket"],
                credits_text(line["amount"]),
                credits_text(line["balance_after"]),
                line["reason"],
            )
            for line in lines
        ),
    )


def print_totals(totals: dict[str, Any]) -> None:  # Any: values of a JSON object
    print()
    for name in ("opening", "came", "went", "closing"):
        print(f"{name:<10}{credits_text(totals[name])}")
    for one in totals["by_type"]:
        print(f"  {one['tx_type']:<16}+{credits_text(one['came'])}  -{credits_text(one['went'])}")


def write_csv(client: Client, params: dict[str, object], file: Path) -> None:
    """Read the statement in pieces into a file that appears when it is whole, or onto the terminal."""
    if str(file) == "-":
        read_csv(client, params, sys.stdout)
        return
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            read_csv(client, params, out)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    print(f"the statement is in {file}")


def read_csv(client: Client, params: dict[str, object], out: TextIO) -> None:
    asked = {name: value for name, value in params.items() if value is not None} | {"format": "csv"}
    client.get(STATEMENT, **params, limit=1)  # waits for a house that is not ready, and is refused in its own words
    with client.http.stream("GET", STATEMENT, params=asked) as answer:
        answer.raise_for_status()
        out.writelines(answer.iter_text())


@app.command()
def holds(
    context: typer.Context,
    state: Annotated[HoldState | None, typer.Option(help="Only holds in this state.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many, newest first.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what of this agent's money is set aside, for what, and until when."""
    with console(context).client() as client:
        page = client.get("/api/credits/holds", state=state and state.value, limit=limit)
    if output is Output.JSON:
        print_json(page)
        return
    print_table(
        ("hold", "amount", "state", "until (UTC)", "purpose"),
        (
            (
                one["id"],
                credits_text(one["amount"]),
                one["state"],
                moment(one["expires_at"]),
                f"{one['purpose_kind']} {one['purpose_id'].rpartition('#')[2]}",
            )
            for one in page["items"]
        ),
    )


@app.command()
def transfer(
    context: typer.Context,
    to: Annotated[str, typer.Argument(metavar="TO", parser=did, help="DID of the agent that gets it")],
    units: Annotated[
        Credits, typer.Argument(metavar="AMOUNT", parser=positive_amount, help="12.345 credits, or 12345u units")
    ],
    reason: Annotated[str, typer.Option(help="Both see it on their statements.")] = "",
    once: Annotated[str | None, typer.Option(help="Idempotency-Key: the transfer happens once.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give credits to another agent."""
    with console(context).client() as client:
        made = client.post("/api/credits/transfers", {"to": to, "amount": units, "reason": reason}, once=once)
    if output is Output.JSON:
        print_json(made)
    else:
        print(f"{credits_text(made['amount'])} to {made['receiver']}, movement {made['movement']}")
