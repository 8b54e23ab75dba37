"""Understands UPDATE and DELETE."""

from hansa.migrate.lint.ddl import Assignment, Delete, Tokens, Update
from hansa.migrate.lint.reader import NotUnderstood, Reader, by_comma

_CLAUSES = ("FROM", "USING", "WHERE", "RETURNING")


def update(reader: Reader) -> Update:
    """After the word UPDATE."""
    reader.accept("ONLY")
    table = reader.name()
    reader.until("SET")
    reader.expect("SET")
    assignments = _assignments(reader, _clause(reader))
    sources = _clause(reader) if reader.accept("FROM") else ()
    return Update(table=table, assignments=assignments, sources=sources, where=_where(reader))


def delete(reader: Reader) -> Delete:
    """After the word DELETE."""
    reader.expect("FROM")
    reader.accept("ONLY")
    table = reader.name()
    _clause(reader)
    if reader.accept("USING"):
        _clause(reader)
    return Delete(table=table, where=_where(reader))


def _where(reader: Reader) -> Tokens:
    return _clause(reader) if reader.accept("WHERE") else ()


def _clause(reader: Reader) -> Tokens:
    """Up to the next clause; the FROM of IS DISTINCT FROM begins none."""
    start = reader.position
    reader.until(*_CLAUSES)
    while reader.sees("FROM") and reader.tokens[reader.position - 1].word == "DISTINCT":
        reader.take()
        reader.until(*_CLAUSES)
    return tuple(reader.tokens[start : reader.position])


def _assignments(reader: Reader, tokens: Tokens) -> tuple[Assignment, ...]:
    found: list[Assignment] = []
    for part in by_comma(tokens):
        one = reader.inside(part)
        columns = (
            [one.inside(piece).identifier() for piece in by_comma(one.group())]
            if one.next.text == "("
            else [_column(one)]
        )
        if not one.accept_mark("="):
            raise NotUnderstood
        expression = one.rest()
        found += [Assignment(column=column, expression=expression) for column in columns]
    return tuple(found)


def _column(reader: Reader) -> str:
    """A column, of which a part or an element may be assigned."""
    name = reader.identifier()
    while not reader.at_end and reader.next.text != "=":
        reader.skip()
    return name
