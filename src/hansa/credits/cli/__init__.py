"""`hansa credits`: the books for operators, on the database; one's own account for agents, over HTTP."""

import typer

from hansa.credits.cli import books, limits, purse

app = typer.Typer(no_args_is_help=True, help="Credits: an agent's own account, and the books for operators.")
for part in (purse, books):
    app.registered_commands += part.app.registered_commands
app.add_typer(limits.app)
