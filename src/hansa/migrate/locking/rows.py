"""Locks of the statements that read and change rows."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from hansa.migrate.lint.reader import Reader
from hansa.migrate.locking.lock import Lock, on, relation, unknown
from hansa.migrate.locking.modes import ROW_EXCLUSIVE, ROW_SHARE

# Before UPDATE, these say that it is no statement: FOR UPDATE, FOR NO KEY UPDATE, DO UPDATE, THEN UPDATE, AFTER UPDATE.
_NOT_A_STATEMENT = frozenset(("FOR", "KEY", "DO", "THEN", "BEFORE", "AFTER", "OF", "OR", "ON"))


def change_rows(reader: Reader) -> Iterator[Lock]:
    """INSERT, UPDATE, DELETE, MERGE and COPY, also behind WITH: every table that is written to."""
    before = ""
    reader.position = 0
    while not reader.at_end:
        word = reader.next.word
        if reader.accept("INSERT", "INTO") or reader.accept("MERGE", "INTO") or reader.accept("DELETE", "FROM"):
            yield _rows(reader, "rows")
        elif word == "UPDATE" and before not in _NOT_A_STATEMENT:
            reader.take()
            if not reader.sees("SET"):
                yield _rows(reader, "rows")
        elif word == "FROM" and before != "DELETE" and _locks_rows(reader):
            reader.take()
            if reader.next.name is not None:
                yield on(relation(reader), ROW_SHARE, "rows are kept for the transaction")
        else:
            reader.take()
        before = word


def _rows(reader: Reader, what: str) -> Lock:
    reader.accept("ONLY")
    return on(relation(reader), ROW_EXCLUSIVE, f"only others that change the same {what} wait")


def _locks_rows(reader: Reader) -> bool:
    words = [token.word for token in reader.tokens]
    return any(a == "FOR" and b in ("UPDATE", "SHARE", "NO", "KEY") for a, b in pairwise(words))


def select(reader: Reader) -> Iterator[Lock]:
    yield from change_rows(reader)
    for token, following in pairwise(reader.tokens):
        if token.name is not None and following.text == "(":
            yield replace(unknown(f"{token.name}() may do and lock anything"), part=token.name)


def copy(reader: Reader) -> Iterator[Lock]:
    if reader.next.text == "(":
        return
    table = relation(reader)
    if reader.next.text == "(":
        reader.group()
    if reader.accept("FROM"):
        yield on(table, ROW_EXCLUSIVE, "rows are added")
