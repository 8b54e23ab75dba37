"""Locks of ALTER TABLE: most forms stop everybody, and the ones that do not are worth knowing."""

from collections.abc import Iterator, Sequence

from hansa.migrate.lint.reader import NotUnderstood, Reader, by_comma, has_words
from hansa.migrate.lint.tokens import Token
from hansa.migrate.locking.lock import Lock, Reach, everybody, on, reached, relation, unknown
from hansa.migrate.locking.modes import (
    ACCESS_EXCLUSIVE,
    ROW_SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)

CONSTRAINTS = ("CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "FOREIGN", "EXCLUDE", "NOT")
# Storage parameters that change nothing a reader relies on; every other one stops everybody.
_GENTLE_PARAMETERS = (
    "fillfactor",
    "toast_tuple_target",
    "parallel_workers",
    "vacuum_",
    "log_autovacuum",
    "autovacuum_",
)
_GENTLE_PARAMETERS_OF_INDEXES = ("fillfactor", "deduplicate_items")


def alter_table(reader: Reader) -> Iterator[Lock]:
    """After ALTER TABLE or ALTER FOREIGN TABLE."""
    if reader.accept("ALL", "IN", "TABLESPACE"):
        yield unknown("every table of a tablespace is rewritten, one after the other")
        return
    reader.accept("IF", "EXISTS")
    reader.accept("ONLY")
    table = relation(reader)
    reader.accept_mark("*")
    actions = by_comma(reader.rest())
    if not actions:
        raise NotUnderstood
    for action in actions:
        yield from _action(reader.inside(action), table)


def set_parameters(reader: Reader, name: str, *, index: bool = False) -> Lock:
    """After SET or RESET, where the parameters stand in parentheses."""
    gentle = _GENTLE_PARAMETERS_OF_INDEXES if index else _GENTLE_PARAMETERS
    if all(_parameter(part).startswith(gentle) for part in by_comma(reader.group())):
        return on(name, SHARE_UPDATE_EXCLUSIVE, "these storage parameters stop nobody")
    return everybody(name, "a storage parameter that statements rely on changes")


def references(reader: Reader) -> Iterator[Lock]:
    """Locks on the tables that the rest of a definition references."""
    while not reader.at_end:
        if reader.accept("REFERENCES"):
            why = "the foreign key puts triggers on the table it references"
            yield on(relation(reader), SHARE_ROW_EXCLUSIVE, why)
        else:
            reader.take()


def _action(reader: Reader, table: str) -> Iterator[Lock]:
    word = reader.take().word
    match word:
        case "ADD":
            yield from _add(reader, table)
        case "DROP":
            yield from _drop(reader, table)
        case "ALTER":
            yield _alter_column(reader, table)
        case "VALIDATE":
            reader.expect("CONSTRAINT")
            yield on(table, SHARE_UPDATE_EXCLUSIVE, "rows are compared while everybody goes on")
            yield reached(table, ROW_SHARE, Reach.REFERENCED, "its keys are read", part=reader.identifier())
        case "ENABLE" | "DISABLE":
            yield _enable(reader, table)
        case "ATTACH" | "DETACH":
            yield from _partition(reader, table, word)
        case "SET" | "RESET" | "CLUSTER":
            yield _set(reader, table)
        case "RENAME" | "FORCE" | "NO" | "OF" | "NOT" | "OWNER" | "REPLICA" | "OPTIONS" | "INHERIT":
            yield everybody(table, "what statements rely on changes")
            if word == "INHERIT":
                yield on(relation(reader), SHARE_UPDATE_EXCLUSIVE, "it gets a child")
        case _:
            raise NotUnderstood


def _add(reader: Reader, table: str) -> Iterator[Lock]:
    if reader.next.word not in CONSTRAINTS:
        yield everybody(table, "a column is added")
        yield from references(reader)
        return
    if reader.accept("CONSTRAINT"):
        reader.identifier()
    if reader.sees("FOREIGN"):
        yield on(table, SHARE_ROW_EXCLUSIVE, "the foreign key puts triggers on the table")
        yield from references(reader)
    elif has_words(reader.tokens, "NOT", "VALID"):
        yield everybody(table, "a constraint is added, for a moment: no row is read")
    else:
        yield everybody(table, "a constraint is added while every row is compared or indexed")


def _drop(reader: Reader, table: str) -> Iterator[Lock]:
    constraint = reader.accept("CONSTRAINT")
    if not constraint:
        reader.accept("COLUMN")
    reader.accept("IF", "EXISTS")
    yield everybody(table, f"a {'constraint' if constraint else 'column'} is dropped")
    why = "triggers of a foreign key are dropped"
    yield reached(table, ACCESS_EXCLUSIVE, Reach.REFERENCED, why, part=reader.identifier())
    if reader.accept("CASCADE"):
        yield unknown("CASCADE drops and locks whatever depends on it")


def _alter_column(reader: Reader, table: str) -> Lock:
    if reader.accept("CONSTRAINT"):
        return everybody(table, "a constraint changes")
    reader.accept("COLUMN")
    reader.take()
    if reader.accept("SET", "STATISTICS"):
        return on(table, SHARE_UPDATE_EXCLUSIVE, "only the planner's statistics change")
    if (reader.accept("SET") or reader.accept("RESET")) and reader.next.text == "(":
        return on(table, SHARE_UPDATE_EXCLUSIVE, "only the planner's statistics change")
    if has_words(reader.tokens, "TYPE"):
        return everybody(table, "a column's type changes, and with most types every row is written anew")
    return everybody(table, "a column changes")


def _enable(reader: Reader, table: str) -> Lock:
    if not reader.accept("REPLICA"):
        reader.accept("ALWAYS")
    if reader.accept("TRIGGER"):
        return on(table, SHARE_ROW_EXCLUSIVE, "a trigger is switched")
    return everybody(table, "rules or row-level security are switched")


def _partition(reader: Reader, table: str, word: str) -> Iterator[Lock]:
    reader.expect("PARTITION")
    part = relation(reader)
    if word == "ATTACH":
        yield on(table, SHARE_UPDATE_EXCLUSIVE, "it gets a partition")
        yield everybody(part, "it becomes a partition, and its rows are compared unless a CHECK says the same")
        yield reached(table, ACCESS_EXCLUSIVE, Reach.DEFAULT_PARTITION, "its rows are compared with the new bounds")
    elif reader.accept("CONCURRENTLY") or reader.accept("FINALIZE"):
        yield on(table, SHARE_UPDATE_EXCLUSIVE, "a partition goes while everybody goes on")
        yield everybody(part, "it is a table of its own from here on")
    else:
        yield everybody(table, "a partition goes; DETACH ... CONCURRENTLY stops nobody")
        yield everybody(part, "it is a table of its own from here on")
        yield reached(table, ACCESS_EXCLUSIVE, Reach.DEFAULT_PARTITION, "its bounds change")


def _set(reader: Reader, table: str) -> Lock:
    if reader.next.text == "(":
        return set_parameters(reader, table)
    if reader.accept("ON") or reader.accept("WITHOUT", "CLUSTER"):
        return on(table, SHARE_UPDATE_EXCLUSIVE, "only a mark for the next CLUSTER")
    return everybody(table, "what statements rely on changes")


def _parameter(tokens: Sequence[Token]) -> str:
    """Name of a storage parameter, without the `toast.` before it."""
    names = [token.name or "" for token in tokens]
    return names[2] if len(tokens) > 2 and tokens[1].text == "." else names[0]
