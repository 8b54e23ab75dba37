"""The books, for operators, on the database."""

from typing import Annotated

import typer

from hansa.credits import commands, queries
from hansa.credits.cli.output import (
    Output,
    OutputOption,
    account_name,
    console,
    credits_text,
    operator,
    positive_amount,
    print_json,
    print_table,
)
from hansa.kernel.money import Credits

app = typer.Typer()


@app.command()
def reconcile(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Compare every account, movement and hold with the postings; exit 1 and name what is wrong."""
    with console(context).services() as services, services.db.transaction() as tx:
        wrong = queries.reconcile(tx)
        held = queries.live_holds(tx)
        system = queries.system_balances(tx)
    if output is Output.JSON:
        balances = {account.account: account.balance for account in system}
        print_json({"balanced": not wrong, "discrepancies": wrong, "live_holds": held, "system": balances})
    else:
        for one in wrong:
            print(f"WRONG {one.kind} {one.subject}: {one.finding}")
        for account in system:
            print(f"{account.account:<18}{credits_text(account.balance)}")
        print(f"{'live holds':<18}{held}")
        print("books balanced" if not wrong else f"{len(wrong)} discrepancies")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def reconciliations(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=2160, help="How many, newest first.")] = 24,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what the hourly comparisons of the books found; exit 1 when the latest found something wrong."""
    with console(context).services() as services, services.db.transaction() as tx:
        found = queries.reconciliations(tx, limit=limit)
    if output is Output.JSON:
        print_json(found)
    elif not found:
        print("the books have not been compared yet: a worker does it every hour")
    else:
        print_table(
            ("at", "accounts", "movements", "holds", "result"),
            (
                (
                    f"{one.at:%Y-%m-%d %H:%M:%S}",
                    str(one.accounts),
                    str(one.movements),
                    str(one.holds),
                    "balanced" if one.balanced else f"WRONG: {len(one.discrepancies)} discrepancies",
                )
                for one in found
            ),
        )
    raise typer.Exit(1 if found and not found[0].balanced else 0)


@app.command()
def deposit(
    context: typer.Context,
    account: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT",
            parser=account_name,
            help="DID of an agent, or system:treasury, system:pool, system:escrow",
        ),
    ],
    units: Annotated[
        Credits, typer.Argument(metavar="AMOUNT", parser=positive_amount, help="12.345 credits, or 12345u units")
    ],
    reason: Annotated[str, typer.Option(help="Why; the holder sees it on the statement.")],
    key: Annotated[str, typer.Option(help="What makes it happen once, e.g. the number of an invoice.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Issue new credits to an account, once per key."""
    if not reason.strip() or not key.strip():
        raise typer.BadParameter("say why, and give a key under which this happens once")
    with console(context).services() as services, services.db.transaction(operator()) as tx:
        movement = commands.mint(tx, account, units, key=key, reason=reason)
    if output is Output.JSON:
        print_json({"movement": movement, "account": account, "amount": units})
    else:
        print(f"issued {credits_text(units)} to {account}")
