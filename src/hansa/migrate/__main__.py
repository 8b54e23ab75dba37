"""`python -m hansa.migrate`."""

from hansa.migrate.cli import app

app(prog_name="migrate")
