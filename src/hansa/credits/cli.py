"""`hansa credits`: the books, for operators."""

import json
from typing import Annotated

import typer

from hansa.credits import queries
from hansa.kernel.money import Asset, Money

app = typer.Typer(no_args_is_help=True, help="The books of the house credit.")


@app.command()
def reconcile(
    context: typer.Context, output: Annotated[str, typer.Option("-o", "--output", help="table or json")] = "table"
) -> None:
    """Compare every account, movement and hold with the postings; exit 1 and name what is wrong."""
    with context.obj.services() as services, services.db.transaction() as tx:
        wrong = queries.reconcile(tx)
        held = queries.live_holds(tx)
        system = queries.system_balances(tx)
    if output == "json":
        print(
            json.dumps(
                {
                    "balanced": not wrong,
                    "discrepancies": [{"kind": w.kind, "subject": w.subject, "finding": w.finding} for w in wrong],
                    "live_holds": held,
                    "system": {account.account: account.balance for account in system},
                }
            )
        )
    else:
        for one in wrong:
            print(f"WRONG {one.kind} {one.subject}: {one.finding}")
        for account in system:
            print(f"{account.account:<18}{Money(units=account.balance, asset=Asset.CREDIT)}")
        print(f"{'live holds':<18}{held}")
        print("books balanced" if not wrong else f"{len(wrong)} discrepancies")
    raise typer.Exit(1 if wrong else 0)
