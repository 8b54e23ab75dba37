"""Gives renamed objects their names back."""

import re
from collections.abc import Iterator, Mapping

from hansa.migrate.session import Connection
from hansa.migrate.undoing.attempts import Failed, attempt
from hansa.migrate.undoing.identities import Called, Identity, identities
from hansa.migrate.undoing.things import KEYWORDS, thing

_LABEL = re.compile(r"label (?P<label>'(?:[^']|'')*') of (?P<type>.+)", re.DOTALL)


def rename_back(connection: Connection, before: Mapping[Identity, Called]) -> tuple[list[str], list[Failed]]:
    """Undo all renames and moves to other schemas, in the current transaction; what worked, in order, and what not.

    The names are read anew after each, because with a table those of its parts change.
    """
    worked: list[str] = []
    while True:
        failed: list[Failed] = []
        for statement in _wanted(before, identities(connection)):
            reason = attempt(connection, statement)
            if reason is None:
                worked.append(statement)
                break
            failed.append(Failed(statement=statement, reason=reason))
        else:
            return worked, failed


def _wanted(before: Mapping[Identity, Called], now: Mapping[Identity, Called]) -> Iterator[str]:
    """The statements that give back one name each. Each may stand in the way of another, so all are offered."""
    for identity, called in now.items():
        old = before.get(identity)
        if old is None or (old.own, old.schema) == (called.own, called.schema):
            continue
        label = _LABEL.fullmatch(called.whole)
        if label is not None:
            yield f"ALTER TYPE {label['type']} RENAME VALUE {label['label']} TO {old.own}"
            continue
        what = thing(called.whole)
        if what is None:
            continue
        if old.schema != called.schema:
            yield f"ALTER {KEYWORDS[what.kind]} {what.name} SET SCHEMA {old.schema}"
        elif what.kind == "column":
            yield f"ALTER TABLE {what.of} RENAME COLUMN {what.name} TO {old.own}"
        elif what.kind == "constraint":
            yield from (
                f"ALTER {keyword} {what.of} RENAME CONSTRAINT {what.name} TO {old.own}"
                for keyword in ("TABLE", "DOMAIN")
            )
        else:
            place = f"{what.name} ON {what.of}" if what.of else what.name
            yield f"ALTER {KEYWORDS[what.kind]} {place} RENAME TO {old.own}"
