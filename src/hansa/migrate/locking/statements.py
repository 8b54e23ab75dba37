"""Which locks a statement takes, by PostgreSQL's documented rules.

Locks by which a query only reads (ACCESS SHARE) are left out: they keep nobody waiting. What depends on the catalog,
such as the table of an index, is told by how it is reached. What a routine does only running it can tell.
"""

from collections.abc import Callable, Iterator, Mapping

from hansa.migrate.lint.reader import NotUnderstood, Reader, by_comma, has_words
from hansa.migrate.lint.tokens import Kind, tokenize, without_comments
from hansa.migrate.locking.altering import alter_table, references, set_parameters
from hansa.migrate.locking.lock import Lock, Reach, everybody, on, reached, relation, strongest, unknown
from hansa.migrate.locking.modes import (
    ACCESS_EXCLUSIVE,
    EXCLUSIVE,
    MODES,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from hansa.migrate.locking.rows import change_rows, copy, select
from hansa.migrate.splitter import Statement

Locks = Iterator[Lock]

_MODIFIERS = frozenset(
    ("GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "UNIQUE", "MATERIALIZED", "RECURSIVE", "CONSTRAINT", "FOREIGN")
)
_RELATIONS = frozenset(("TABLE", "VIEW", "SEQUENCE"))
_ON_A_TABLE = frozenset(("TRIGGER", "POLICY", "RULE"))
_CASCADE = "CASCADE drops and locks whatever depends on it"


def locks_of(statement: Statement) -> tuple[Lock, ...]:
    """The strongest lock on each relation that a statement takes; empty when it keeps nobody waiting."""
    return _locks(statement.text)


def _locks(text: str) -> tuple[Lock, ...]:
    tokens = without_comments(tokenize(text))
    if not tokens:
        return ()
    reader = Reader(tokens, "")
    grammar = _GRAMMAR.get(reader.take().word)
    if grammar is None:
        return ()
    try:
        return strongest(grammar(reader))
    except NotUnderstood:
        return (unknown("this form of the statement is not known here"),)


# --- CREATE -----------------------------------------------------------------------------------------------------------


def _create(reader: Reader) -> Locks:
    replace = reader.accept("OR", "REPLACE")
    modifiers: set[str] = set()
    while reader.next.word in _MODIFIERS:
        modifiers.add(reader.take().word)
    kind = reader.take().word
    if kind == "TABLE":
        yield from _create_table(reader)
    elif kind == "INDEX":
        yield from _create_index(reader)
    elif kind == "VIEW" and replace:
        yield everybody(relation(reader), "the view is replaced, if it is there")
    elif kind == "TRIGGER":
        reader.until("ON")
        reader.expect("ON")
        yield on(relation(reader), SHARE_ROW_EXCLUSIVE, "a trigger is added")
    elif kind == "POLICY":
        reader.until("ON")
        reader.expect("ON")
        yield everybody(relation(reader), "row-level security changes what statements see")
    elif kind == "RULE":
        reader.until("TO")
        reader.expect("TO")
        yield everybody(relation(reader), "statements are rewritten from here on")
    elif kind == "STATISTICS":
        reader.until("FROM")
        reader.expect("FROM")
        yield on(relation(reader), SHARE_UPDATE_EXCLUSIVE, "only the planner's statistics change")
    elif kind == "PUBLICATION":
        yield from _publication(reader)


def _create_table(reader: Reader) -> Locks:
    reader.accept("IF", "NOT", "EXISTS")
    relation(reader)
    if reader.accept("PARTITION", "OF"):
        parent = relation(reader)
        yield everybody(parent, "it gets a partition; CREATE TABLE and ATTACH PARTITION lock it less")
        why = "its rows are compared with the new bounds"
        yield reached(parent, ACCESS_EXCLUSIVE, Reach.DEFAULT_PARTITION, why)
    items = reader.group() if reader.next.text == "(" else ()
    yield from references(reader.inside(items))
    if reader.accept("INHERITS"):
        for part in by_comma(reader.group()):
            yield on(relation(reader.inside(part)), SHARE_UPDATE_EXCLUSIVE, "it gets a child")


def _create_index(reader: Reader) -> Locks:
    concurrently = reader.accept("CONCURRENTLY")
    reader.until("ON")
    reader.expect("ON")
    reader.accept("ONLY")
    table = relation(reader)
    if concurrently:
        yield on(table, SHARE_UPDATE_EXCLUSIVE, "the index is built while everybody goes on")
    else:
        yield on(table, SHARE, "nobody writes while the index is built")


def _publication(reader: Reader) -> Locks:
    """CREATE or ALTER PUBLICATION; tables by schema are not locked."""
    reader.until("TABLE")
    if reader.accept("TABLE"):
        for part in by_comma(reader.rest()):
            inner = reader.inside(part)
            inner.accept("TABLE")
            inner.accept("ONLY")
            if not inner.sees("TABLES"):
                yield on(relation(inner), SHARE_UPDATE_EXCLUSIVE, "its changes are published, or no longer")


# --- ALTER, DROP ------------------------------------------------------------------------------------------------------


def _alter(reader: Reader) -> Locks:
    reader.accept("FOREIGN")
    materialized = reader.accept("MATERIALIZED")
    kind = reader.take().word
    if kind == "TABLE" or (kind == "VIEW" and materialized):
        yield from alter_table(reader)
    elif kind == "INDEX":
        yield from _alter_index(reader)
    elif kind == "VIEW":
        reader.accept("IF", "EXISTS")
        yield everybody(relation(reader), "the view changes")
    elif kind == "SEQUENCE":
        yield _alter_sequence(reader)
    elif kind in _ON_A_TABLE:
        reader.until("ON")
        reader.expect("ON")
        yield everybody(relation(reader), f"a {kind.lower()} of it changes")
    elif kind == "PUBLICATION":
        yield from _publication(reader)
    elif kind == "DOMAIN":
        yield from _alter_domain(reader)
    elif kind == "TYPE":
        yield from _alter_type(reader)
    elif kind == "EXTENSION" and has_words(reader.tokens, "UPDATE"):
        yield unknown("what the scripts of an extension lock is known to them")


def _alter_index(reader: Reader) -> Locks:
    if reader.accept("ALL", "IN", "TABLESPACE"):
        yield unknown("every index of a tablespace is written anew, one after the other")
        return
    reader.accept("IF", "EXISTS")
    index = relation(reader)
    if reader.accept("RENAME"):
        yield on(index, SHARE_UPDATE_EXCLUSIVE, "only its name changes")
    elif reader.accept("ATTACH", "PARTITION"):
        yield on(index, SHARE_UPDATE_EXCLUSIVE, "it gets a partition")
        yield everybody(relation(reader), "it becomes a part of another index")
    elif (reader.accept("SET") or reader.accept("RESET")) and reader.next.text == "(":
        yield set_parameters(reader, index, index=True)
    elif has_words(reader.tokens, "SET", "STATISTICS"):
        yield on(index, SHARE_UPDATE_EXCLUSIVE, "only the planner's statistics change")
    else:
        yield everybody(index, "the index changes")


def _alter_sequence(reader: Reader) -> Lock:
    reader.accept("IF", "EXISTS")
    sequence = relation(reader)
    if reader.next.word in ("RENAME", "SET", "OWNER"):
        return everybody(sequence, "what statements rely on changes")
    return on(sequence, SHARE_ROW_EXCLUSIVE, "nobody takes numbers meanwhile")


def _alter_domain(reader: Reader) -> Locks:
    domain = relation(reader)
    compares = reader.accept("VALIDATE") or reader.accept("SET", "NOT") or reader.accept("ADD")
    if compares and not has_words(reader.tokens, "NOT", "VALID"):
        yield reached(domain, SHARE, Reach.COLUMNS_OF_IT, "every value of the domain is compared")


def _alter_type(reader: Reader) -> Locks:
    """Only a composite type is a relation; its attributes, unlike the labels of an enum, may be columns of tables."""
    kind = relation(reader)
    for part in by_comma(reader.rest()):
        inner = reader.inside(part)
        if inner.take().word in ("ADD", "DROP", "ALTER", "RENAME") and inner.accept("ATTRIBUTE"):
            yield everybody(kind, "an attribute of the composite type changes")
            if has_words(part, "CASCADE"):
                yield unknown("CASCADE changes and locks the tables made from the type")


def _drop(reader: Reader) -> Locks:
    reader.accept("FOREIGN")
    reader.accept("MATERIALIZED")
    kind = reader.take().word
    if kind == "OWNED":
        yield unknown("everything that a role owns is dropped")
        return
    if kind == "INDEX":
        yield from _drop_index(reader)
    reader.accept("IF", "EXISTS")
    if kind in _RELATIONS:
        for part in by_comma(reader.until("CASCADE", "RESTRICT")):
            name = relation(reader.inside(part))
            yield everybody(name, "it is dropped")
            if kind == "TABLE":
                why = "triggers of a foreign key are dropped"
                yield reached(name, ACCESS_EXCLUSIVE, Reach.REFERENCED, why)
                yield reached(name, ACCESS_EXCLUSIVE, Reach.PARENT, "it loses a partition")
    elif kind in _ON_A_TABLE:
        reader.until("ON")
        reader.expect("ON")
        yield everybody(relation(reader), f"a {kind.lower()} of it is dropped")
    if reader.tokens[-1].word == "CASCADE":
        yield unknown(_CASCADE)


def _drop_index(reader: Reader) -> Locks:
    concurrently = reader.accept("CONCURRENTLY")
    reader.accept("IF", "EXISTS")
    mode = SHARE_UPDATE_EXCLUSIVE if concurrently else ACCESS_EXCLUSIVE
    why = "the index goes" + (" when nobody uses it any more" if concurrently else "; CONCURRENTLY stops nobody")
    for part in by_comma(reader.until("CASCADE", "RESTRICT")):
        index = relation(reader.inside(part))
        yield on(index, mode, why)
        yield reached(index, mode, Reach.ITS_TABLE, why)


# --- upkeep -----------------------------------------------------------------------------------------------------------


def _reindex(reader: Reader) -> Locks:
    if reader.next.text == "(":
        reader.group()
    kind = reader.take().word
    concurrently = reader.accept("CONCURRENTLY") or has_words(reader.tokens[:6], "CONCURRENTLY")
    if kind not in ("TABLE", "INDEX"):
        yield unknown("every table of a schema or the database, one after the other")
        return
    name = relation(reader)
    table, index = (Reach.ITSELF, Reach.ITS_INDEXES) if kind == "TABLE" else (Reach.ITS_TABLE, Reach.ITSELF)
    if concurrently:
        why = "the index is built beside the old one"
        yield reached(name, SHARE_UPDATE_EXCLUSIVE, table, why)
        if kind == "INDEX":
            yield on(name, SHARE_UPDATE_EXCLUSIVE, why)
        return
    yield reached(name, SHARE, table, "nobody writes while the index is built anew")
    yield reached(name, ACCESS_EXCLUSIVE, index, "planning any query of the table waits for its indexes")


def _cluster(reader: Reader) -> Locks:
    if reader.next.text == "(":
        reader.group()
    reader.accept("VERBOSE")
    if reader.at_end:
        yield unknown("every table that was clustered before, one after the other")
    else:
        yield everybody(relation(reader), "every row is written anew")


def _vacuum(reader: Reader) -> Locks:
    words: set[str] = set()
    if reader.next.text == "(":
        words = {token.word for token in reader.group()}
    while reader.next.word in ("FULL", "FREEZE", "VERBOSE", "ANALYZE", "SKIP_LOCKED"):
        words.add(reader.take().word)
    full = "FULL" in words
    mode = ACCESS_EXCLUSIVE if full else SHARE_UPDATE_EXCLUSIVE
    why = "every row is written anew" if full else "only upkeep waits for upkeep"
    if reader.at_end:
        yield unknown(f"every table of the database, one after the other: {why}")
    for part in by_comma(reader.rest()):
        inner = reader.inside(part)
        inner.accept("ONLY")
        yield on(relation(inner), mode, why)


def _refresh(reader: Reader) -> Locks:
    reader.expect("MATERIALIZED", "VIEW")
    if reader.accept("CONCURRENTLY"):
        yield on(relation(reader), EXCLUSIVE, "its rows are compared and changed; reading goes on")
    else:
        yield everybody(relation(reader), "it is filled anew; CONCURRENTLY lets reading go on")


def _truncate(reader: Reader) -> Locks:
    reader.accept("TABLE")
    cascade, restart = has_words(reader.tokens, "CASCADE"), has_words(reader.tokens, "RESTART", "IDENTITY")
    for part in by_comma(reader.until("RESTART", "CONTINUE", "CASCADE", "RESTRICT")):
        inner = reader.inside(part)
        inner.accept("ONLY")
        table = relation(inner)
        yield everybody(table, "all its rows go")
        if cascade:
            yield reached(table, ACCESS_EXCLUSIVE, Reach.REFERENCING, "CASCADE takes all its rows too")
        if restart:
            yield reached(table, ACCESS_EXCLUSIVE, Reach.SEQUENCES, "nobody takes numbers meanwhile")


def _lock(reader: Reader) -> Locks:
    reader.accept("TABLE")
    tables = by_comma(reader.until("IN", "NOWAIT"))
    mode = ACCESS_EXCLUSIVE
    if reader.accept("IN"):
        mode = " ".join(token.word for token in reader.until("MODE"))
    if mode not in MODES:
        raise NotUnderstood
    for part in tables:
        inner = reader.inside(part)
        inner.accept("ONLY")
        yield on(relation(inner), mode, "the statement says so")


# --- routines, words about things ----------------------------------------------------------------------------------------


def _run(reader: Reader) -> Locks:
    """DO, CALL, EXECUTE. The statements in a DO block that stand there as they are can be told."""
    for body in (token.body for token in reader.tokens if token.kind is Kind.BODY):
        for piece in body.split(";"):
            text = _statement_in(piece)
            yield from (lock for lock in _locks(text) if lock.relation)
    yield unknown("a routine may do and lock anything")


def _statement_in(piece: str) -> str:
    """What follows BEGIN, THEN, ELSE or LOOP."""
    tokens = without_comments(tokenize(piece))
    for index in range(len(tokens), 0, -1):
        if tokens[index - 1].word in ("BEGIN", "THEN", "ELSE", "LOOP"):
            tokens = tokens[index:]
            break
    return " ".join(token.text for token in tokens)


def _comment(reader: Reader) -> Locks:
    """COMMENT and SECURITY LABEL; those on constraints, triggers and the like keep no lock."""
    reader.until("ON")
    reader.expect("ON")
    reader.accept("MATERIALIZED")
    reader.accept("FOREIGN")
    kind = reader.take().word
    why = "only words about it change"
    if kind in (*_RELATIONS, "INDEX"):
        yield on(relation(reader), SHARE_UPDATE_EXCLUSIVE, why)
    elif kind == "COLUMN":
        yield on(_table_of_column(reader), SHARE_UPDATE_EXCLUSIVE, why)


def _table_of_column(reader: Reader) -> str:
    parts = reader.until("IS")
    return relation(reader.inside(parts[:-2]))


_GRAMMAR: Mapping[str, Callable[[Reader], Locks]] = {
    "ALTER": _alter,
    "ANALYZE": _vacuum,
    "CALL": _run,
    "CLUSTER": _cluster,
    "COMMENT": _comment,
    "COPY": copy,
    "CREATE": _create,
    "DELETE": change_rows,
    "DO": _run,
    "DROP": _drop,
    "EXECUTE": _run,
    "INSERT": change_rows,
    "LOCK": _lock,
    "MERGE": change_rows,
    "REFRESH": _refresh,
    "REINDEX": _reindex,
    "SECURITY": _comment,
    "SELECT": select,
    "TRUNCATE": _truncate,
    "UPDATE": change_rows,
    "VACUUM": _vacuum,
    "WITH": change_rows,
}
