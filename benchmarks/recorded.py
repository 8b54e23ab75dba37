"""The SQL of a command as a pgbench script: recorded once from the real command, with what is drawn anew replaced.

The ids that earlier statements return and the two agents of a client become variables; everything else stays as it was
sent. So pgbench sends the same statements in the same transactions, and does nothing of what Python does around them.
"""

import re
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from uuid import UUID

import psycopg

from hansa.infra.db import Db, Tx, announcement

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
LITERAL = re.compile(r"^\s*(E?)'(.*)'(::.+)?$", re.DOTALL)


class Recorder:
    """Writes down what transactions send while it is on."""

    def __init__(self, names):
        self.lines = []
        self.variables = dict(names)
        """Text of a value -> name of the variable that holds it in the script."""

    @contextmanager
    def on(self):
        """Record every statement of every transaction meanwhile."""
        recorder, plain_all, plain_run, plain_transaction = self, Tx.all, Tx.run, Db.transaction

        def recorded_all(tx, query, **params):
            text = recorder.written(tx, query, params)
            rows = plain_all(tx, query, **params)
            recorder.send(text, drawn_in(rows, text))
            return rows

        def recorded_run(tx, query, **params):
            recorder.send(recorder.written(tx, query, params))
            return plain_run(tx, query, **params)

        @contextmanager
        def recorded_transaction(db, *actor):
            with plain_transaction(db, *actor) as tx:
                recorder.send("BEGIN")
                recorder.send(recorder.announced(tx))
                yield tx
            recorder.send("COMMIT")

        Tx.all, Tx.run, Db.transaction = recorded_all, recorded_run, recorded_transaction
        try:
            yield
        finally:
            Tx.all, Tx.run, Db.transaction = plain_all, plain_run, plain_transaction

    def written(self, tx, query, params):
        """A statement with its values in their places."""
        client = psycopg.ClientCursor(tx.connection)

        def literal(found):
            value = params[found.group(1)]
            return self.value(f"'{value}'::uuid" if isinstance(value, UUID) else client.mogrify("%s", [value]))

        text = PLACEHOLDER.sub(literal, query.text)
        return " ".join(re.sub(r"--.*", "", text).split()).replace("%%", "%")

    def announced(self, tx):
        return re.sub(
            r"'[^']*'", lambda found: self.value(found.group()), " ".join(announcement(tx.connection, tx.actor).split())
        )

    def value(self, literal):
        """A literal for pgbench: variables for what is drawn anew, no colon that pgbench would take for its own."""
        found = LITERAL.match(literal)
        if not found:
            return literal
        text = found[2].replace("''", "'")
        text = text.replace("\\\\", "\\") if found[1] else text
        known = "|".join(re.escape(value) for value in self.variables if value in text)
        pieces = [piece for piece in re.split(f"({known})" if known else "$^", text) if piece] or [""]
        parts = [f":{self.variables[piece]}" if piece in self.variables else quoted(piece) for piece in pieces]
        whole = (
            parts[0]
            if len(parts) == 1
            else "(" + " || ".join(part if "'" in part else f"{part}::text" for part in parts) + ")"
        )
        return whole + (found[3] or ("::text" if len(parts) == 1 and whole.startswith(":") else ""))

    def send(self, text, drawn=()):
        number = len(self.lines)
        new = {value: f"s{number}_{name}" for name, value in drawn if value not in self.variables}
        self.variables.update(new)
        self.lines.append(f"{text} \\gset s{number}_" if new else f"{text};")

    def script(self, first):
        """A run of it begins with the statement that draws its client's variables."""
        return "\n".join([first, *self.lines, ""])


def drawn_in(rows, text):
    """Column and text of every id in the one row of a statement. A single column is named for its function."""
    if len(rows) != 1:
        return []
    row, function = rows[0], re.match(r"SELECT (?:\w+\.)?(\w+)\(", text)
    found = [(field.name, getattr(row, field.name)) for field in fields(row)] if is_dataclass(row) else []
    found += [(function[1], row)] if function and isinstance(row, UUID) else []
    return [(name, str(value)) for name, value in found if isinstance(value, UUID)]


def quoted(text):
    inside = text.replace("\\", "\\\\").replace("'", "''").replace(":", "\\003A")
    return f"U&'{inside}'" if "\\" in inside else f"'{inside}'"
