"""`hansa credits limits`: what accounts may pay outside of holds, for operators."""

from typing import Annotated

import typer

from hansa.credits import commands, queries
from hansa.credits.cli.output import (
    Output,
    OutputOption,
    amount,
    console,
    credits_text,
    did,
    operator,
    print_json,
    print_table,
)
from hansa.kernel.money import Credits

app = typer.Typer(name="limits", no_args_is_help=True, help="What accounts may pay outside of holds, for operators.")

AccountOption = Annotated[
    str | None,
    typer.Option("--account", metavar="DID", parser=did, help="DID of one account; none: the whole house."),
]
TransferOption = Annotated[
    Credits | None, typer.Option("--transfer", metavar="AMOUNT", parser=amount, help="Most that one payment may be.")
]
DayOption = Annotated[
    Credits | None, typer.Option("--day", metavar="AMOUNT", parser=amount, help="Most that one UTC day may take.")
]


@app.command("show")
def show_limits(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Show the limits of the house and of the accounts that have their own."""
    with console(context).services() as services, services.db.transaction(operator()) as tx:
        house, accounts = queries.limits(tx), queries.account_limits(tx)
    if output is Output.JSON:
        print_json({"house": house, "accounts": accounts})
        return
    rows = [("every account", credits_text(house.transfer_max), credits_text(house.day_max), "")]
    rows += [(own.account, limit_text(own.transfer_max), limit_text(own.day_max), own.changed_by) for own in accounts]
    print_table(("account", "one payment", "one day", "set by"), rows)


def limit_text(limit: Credits | None) -> str:
    return "as the house" if limit is None else credits_text(limit)


@app.command("set")
def set_limits(
    context: typer.Context,
    account: AccountOption = None,
    transfer: TransferOption = None,
    day: DayOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set the limits of the house, or of one account; what is not named stays."""
    if transfer is None and day is None:
        raise typer.BadParameter("name a limit: --transfer, --day, or both")
    with console(context).services() as services, services.db.transaction(operator()) as tx:
        if account is None:
            changed = commands.set_limits(tx, transfer_max=transfer, day_max=day)
        else:
            changed = commands.set_account_limits(tx, account, transfer_max=transfer, day_max=day)
    if output is Output.JSON:
        print_json(changed)
    else:
        print(
            f"{account or 'every account'}: one payment {limit_text(changed.transfer_max)},"
            f" one day {limit_text(changed.day_max)}"
        )


@app.command("clear")
def clear_limits(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="DID", parser=did, help="DID of the account")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Take an account's own limits away: those of the house hold for it again."""
    with console(context).services() as services, services.db.transaction(operator()) as tx:
        had_its_own = commands.clear_account_limits(tx, account)
    if output is Output.JSON:
        print_json({"account": account, "had_its_own": had_its_own})
    else:
        print(f"{account}: " + ("as the house again" if had_its_own else "had no limits of its own"))
