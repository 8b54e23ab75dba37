"""Understands the statements of a script, as far as some rule asks about them."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from hansa.migrate.lint.columns import alter_table, create_table, index_keys
from hansa.migrate.lint.ddl import (
    AddEnumValue,
    CreateIndex,
    CreateObject,
    CreateRoutine,
    CreateView,
    Ddl,
    Drop,
    Name,
    ObjectKind,
    Other,
    Parsed,
    Rename,
    SetSearchPath,
    SetViewOptions,
    Tokens,
    Truncate,
)
from hansa.migrate.lint.dml import delete, update
from hansa.migrate.lint.reader import NotUnderstood, Reader, by_comma, has_words
from hansa.migrate.lint.tokens import Kind, Token, tokenize, without_comments
from hansa.migrate.revisions import Script

PUBLIC = "public"

_MODIFIERS = frozenset(
    ("GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE", "MATERIALIZED", "RECURSIVE", "CONSTRAINT", "FOREIGN")
)
_KINDS: Mapping[str, ObjectKind] = {
    "SCHEMA": ObjectKind.SCHEMA,
    "TABLE": ObjectKind.TABLE,
    "INDEX": ObjectKind.INDEX,
    "VIEW": ObjectKind.VIEW,
    "TYPE": ObjectKind.TYPE,
    "DOMAIN": ObjectKind.TYPE,
    "FUNCTION": ObjectKind.ROUTINE,
    "PROCEDURE": ObjectKind.ROUTINE,
    "AGGREGATE": ObjectKind.ROUTINE,
    "ROUTINE": ObjectKind.ROUTINE,
    "SEQUENCE": ObjectKind.SEQUENCE,
    "TRIGGER": ObjectKind.TRIGGER,
    "POLICY": ObjectKind.POLICY,
    "EXTENSION": ObjectKind.EXTENSION,
}
_IN_NO_SCHEMA = frozenset((ObjectKind.SCHEMA, ObjectKind.EXTENSION))
_OF_A_TABLE = frozenset((ObjectKind.TRIGGER, ObjectKind.POLICY))
# What stands before a statement inside a DO block.
_CONTROL = frozenset(("BEGIN", "THEN", "ELSE", "LOOP"))
_STATEMENTS = frozenset(("ALTER", "CREATE", "DELETE", "DROP", "SET", "TRUNCATE", "UPDATE", "WITH"))


def parse(script: Script | None) -> tuple[Parsed, ...]:
    """The statements of a script, those inside its DO blocks included; none when there is no script."""
    found: list[Parsed] = []
    schema = PUBLIC
    for statement in script.statements if script else ():
        for tokens in _executed(without_comments(tokenize(statement.text, line=statement.line))):
            parsed = Parsed(what=_understood(tokens, schema), line=tokens[0].line, tokens=tokens)
            found.append(parsed)
            if isinstance(parsed.what, SetSearchPath) and parsed.what.session:
                schema = next(iter(parsed.what.schemas), PUBLIC) or PUBLIC
    return tuple(found)


def _executed(tokens: Tokens) -> Iterator[Tokens]:
    """The statement itself, then those of the body it runs at once."""
    yield tokens
    if tokens[0].word != "DO":
        return
    for body in (token for token in tokens if token.kind is Kind.BODY):
        inner = without_comments(tokenize(body.body, line=body.line))
        for piece in _by_semicolon(inner):
            start = _start_of_statement(piece)
            if start is not None:
                yield tuple(piece[start:])


def _by_semicolon(tokens: Tokens) -> Iterator[list[Token]]:
    piece: list[Token] = []
    for token in tokens:
        if token.text == ";":
            yield piece
            piece = []
        else:
            piece.append(token)
    yield piece


def _start_of_statement(piece: Sequence[Token]) -> int | None:
    for i, token in enumerate(piece):
        if token.word in _STATEMENTS and (i == 0 or piece[i - 1].word in _CONTROL):
            return i
    return None


def _understood(tokens: Tokens, schema: str) -> Ddl:
    try:
        reader = Reader(tokens, schema)
        grammar = _GRAMMAR.get(reader.take().word)
        return grammar(reader) if grammar else Other()
    except NotUnderstood:
        return Other()


# --- CREATE -----------------------------------------------------------------------------------------------------------


def _create(reader: Reader) -> Ddl:
    reader.accept("OR", "REPLACE")
    modifiers: set[str] = set()
    while reader.next.word in _MODIFIERS:
        modifiers.add(reader.take().word)
    kind = reader.take().word
    if kind == "TABLE":
        return create_table(reader, temporary=_temporary(modifiers))
    if kind == "VIEW":
        return _create_view(reader, modifiers)
    if kind == "INDEX":
        return _create_index(reader, unique="UNIQUE" in modifiers)
    if kind not in _KINDS:
        return Other()
    if _KINDS[kind] is ObjectKind.ROUTINE:
        return _create_routine(reader)
    return _create_object(reader, _KINDS[kind])


def _temporary(modifiers: set[str]) -> bool:
    return not modifiers.isdisjoint(("TEMP", "TEMPORARY"))


def _create_view(reader: Reader, modifiers: set[str]) -> CreateView:
    reader.accept("IF", "NOT", "EXISTS")
    name = reader.name()
    before = reader.until("AS")
    options = Reader(before, reader.schema)
    options.until("WITH")
    return CreateView(
        name=name,
        materialized="MATERIALIZED" in modifiers,
        temporary=_temporary(modifiers),
        options=options.group() if options.accept("WITH") and options.next.text == "(" else (),
        mentions=_names(reader.rest()),
    )


def _create_index(reader: Reader, *, unique: bool) -> CreateIndex:
    concurrently = reader.accept("CONCURRENTLY")
    reader.accept("IF", "NOT", "EXISTS")
    name = None if reader.sees("ON") else reader.name().name
    reader.expect("ON")
    reader.accept("ONLY")
    table = reader.name()
    if reader.accept("USING"):
        reader.identifier()
    group = reader.group()
    options = reader.until("WHERE")
    return CreateIndex(
        name=name,
        table=table,
        keys=index_keys(group),
        columns=_names(group),
        unique=unique,
        concurrently=concurrently,
        nulls_not_distinct=has_words(options, "NULLS", "NOT", "DISTINCT"),
        where=reader.rest()[1:],
    )


def _create_routine(reader: Reader) -> CreateRoutine:
    name = reader.name()
    options = reader.rest()[1:]
    outside = Reader(options, reader.schema)
    path: tuple[str, ...] = ()
    while not outside.at_end:
        if outside.accept("SET", "SEARCH_PATH"):
            path = _schemas(outside, single=True)
        else:
            outside.skip()
    words = {token.word for token in options}
    return CreateRoutine(name=name, volatile=words.isdisjoint(("IMMUTABLE", "STABLE")), search_path=path)


def _create_object(reader: Reader, kind: ObjectKind) -> CreateObject:
    if_not_exists = reader.accept("IF", "NOT", "EXISTS")
    if kind is ObjectKind.SCHEMA:
        reader.accept("AUTHORIZATION")
    name = reader.name()
    rest = reader.rest()
    return CreateObject(
        kind=kind,
        name=Name(schema="", name=name.name) if kind in _IN_NO_SCHEMA else name,
        of=_table_after_on(rest, reader.schema) if kind in _OF_A_TABLE else None,
        mentions=_names(rest),
        if_not_exists=if_not_exists,
    )


def _table_after_on(tokens: Tokens, schema: str) -> Name:
    reader = Reader(tokens, schema)
    reader.until("ON")
    reader.expect("ON")
    return reader.name()


# --- ALTER, DROP ------------------------------------------------------------------------------------------------------


def _alter(reader: Reader) -> Ddl:
    materialized = reader.accept("MATERIALIZED")
    kind = reader.take().word
    if kind == "TABLE":
        return alter_table(reader)
    if kind in ("ROLE", "USER", "DATABASE"):
        reader.until("SET")
        return _set_search_path(reader, session=False) if reader.accept("SET") else Other()
    if kind not in _KINDS:
        return Other()
    reader.accept("IF", "EXISTS")
    name = reader.name()
    if kind == "VIEW" and not materialized and reader.accept("SET"):
        return SetViewOptions(name=name, options=reader.group())
    if kind == "TYPE" and reader.accept("ADD", "VALUE"):
        reader.accept("IF", "NOT", "EXISTS")
        return AddEnumValue(type=name, value=reader.take().literal or "")
    return _rename(reader, _KINDS[kind], name)


def _rename(reader: Reader, kind: ObjectKind, name: Name) -> Ddl:
    if kind is ObjectKind.ROUTINE and reader.next.text == "(":
        reader.group()
    of = reader.name() if kind in _OF_A_TABLE and reader.accept("ON") else None
    if kind in _IN_NO_SCHEMA:
        name = Name(schema="", name=name.name)
    if reader.accept("RENAME", "TO"):
        return Rename(kind=kind, name=name, to=Name(schema=name.schema, name=reader.identifier()), of=of)
    if reader.accept("SET", "SCHEMA") and kind not in _IN_NO_SCHEMA:
        return Rename(kind=kind, name=name, to=Name(schema=reader.identifier(), name=name.name))
    return Other()


def _drop(reader: Reader) -> Drop:
    reader.accept("FOREIGN")
    reader.accept("MATERIALIZED")
    kind = _KINDS.get(reader.take().word)
    cascade = reader.tokens[-1].word == "CASCADE"
    if kind is None:
        return Drop(kind=None, names=(), of=None, cascade=cascade)
    reader.accept("CONCURRENTLY")
    reader.accept("IF", "EXISTS")
    names: list[Name] = []
    for part in by_comma(reader.until("ON", "CASCADE", "RESTRICT")):
        name = reader.inside(part).name()
        names.append(Name(schema="", name=name.name) if kind in _IN_NO_SCHEMA else name)
    of = reader.name() if reader.accept("ON") else None
    return Drop(kind=kind, names=tuple(names), of=of, cascade=cascade)


# --- settings, data ---------------------------------------------------------------------------------------------------


def _set(reader: Reader) -> Ddl:
    if not reader.accept("LOCAL"):
        reader.accept("SESSION")
    if reader.accept("SCHEMA"):
        return SetSearchPath(schemas=(reader.take().literal or "",), session=True)
    return _set_search_path(reader, session=True)


def _set_search_path(reader: Reader, *, session: bool) -> Ddl:
    if not reader.accept("SEARCH_PATH"):
        return Other()
    return SetSearchPath(schemas=_schemas(reader), session=session)


def _schemas(reader: Reader, *, single: bool = False) -> tuple[str, ...]:
    """The list after SET search_path; `single` when other options may follow without a comma."""
    if not (reader.accept("TO") or reader.accept_mark("=")):
        return ()
    if reader.sees("DEFAULT") or reader.sees("FROM"):
        return ()
    found: list[str] = []
    while True:
        token = reader.take()
        found.append(token.name if token.name is not None else token.literal or "")
        if not reader.accept_mark(","):
            break
    if not single and not reader.at_end:
        raise NotUnderstood
    return tuple(found)


def _select(reader: Reader) -> Ddl:
    """SELECT set_config('search_path', 'a, b', ...): here one string holds the whole list."""
    if reader.next.name == "pg_catalog":
        reader.name()
    elif reader.next.name == "set_config":
        reader.take()
    arguments = by_comma(reader.group())
    if len(arguments) < 2 or arguments[0][0].literal != "search_path":
        return Other()
    path = arguments[1][0].literal or ""
    return SetSearchPath(schemas=tuple(part.strip().strip('"') for part in path.split(",")), session=True)


def _truncate(reader: Reader) -> Truncate:
    return Truncate(cascade=reader.tokens[-1].word == "CASCADE")


def _with(reader: Reader) -> Ddl:
    """A statement behind common table expressions."""
    reader.until("UPDATE", "DELETE")
    if reader.accept("UPDATE"):
        return update(reader)
    return delete(reader) if reader.accept("DELETE") else Other()


def _names(tokens: Sequence[Token]) -> frozenset[str]:
    return frozenset(token.name for token in tokens if token.name is not None)


_GRAMMAR: Mapping[str, Callable[[Reader], Ddl]] = {
    "ALTER": _alter,
    "CREATE": _create,
    "DELETE": delete,
    "DROP": _drop,
    "SELECT": _select,
    "SET": _set,
    "TRUNCATE": _truncate,
    "UPDATE": update,
    "WITH": _with,
}
