"""Searches, on a database where it does no harm, for the statements that lead a catalog back to what it was."""

from collections.abc import Iterator, Sequence

from hansa.migrate.catalog import Difference, DifferenceKind, Snapshot, differences, snapshot
from hansa.migrate.catalog.reading import reading
from hansa.migrate.catalog.snapshot import PART_OF
from hansa.migrate.session import Connection
from hansa.migrate.undoing.attempts import attempt, ordered
from hansa.migrate.undoing.changes import back, remade
from hansa.migrate.undoing.creations import Former
from hansa.migrate.undoing.identities import identities
from hansa.migrate.undoing.renames import rename_back
from hansa.migrate.undoing.things import Thing, drop, on_its_own, thing

ROUNDS_MAX = 12
"""What is made again can be changed only then, and its parts come after it: each takes a round."""

_VIEWS_RANK = Thing(kind="view", name="").rank
_VIEWS_ON = """
  WITH RECURSIVE above AS (
    SELECT to_regclass(%s)::oid AS oid, 0 AS distance
    UNION
    SELECT w.ev_class, a.distance + 1
    FROM above AS a
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS w ON w.oid = d.objid AND w.ev_class <> a.oid
  )
  SELECT CASE c.relkind WHEN 'm' THEN 'DROP MATERIALIZED VIEW ' ELSE 'DROP VIEW ' END || c.oid::regclass
  FROM above AS a
  JOIN pg_class AS c ON c.oid = a.oid AND c.relkind IN ('v', 'm')
  WHERE a.distance > 0
  GROUP BY c.oid, c.relkind
  ORDER BY max(a.distance) DESC, c.oid::regclass::text
"""


def way_back(connection: Connection, former: Former) -> tuple[str, ...]:
    """The statements that lead back to the former catalog as far as they can, in an order that works.

    They are run to find out, in a transaction that is undone. What is new goes first, then renamed objects get their
    names back, and then what is missing or changed is made as it was.
    """
    with connection.transaction(force_rollback=True):
        statements = drop_the_new(connection, former)
        statements += rename_back(connection, former.identities)[0]
        statements += _restore(connection, former)
    return tuple(statements)


def left_over(connection: Connection, former: Former, statements: Sequence[str]) -> tuple[Difference, ...]:
    """What differs from the former catalog after these statements; they are undone. Raises psycopg.Error."""
    with connection.transaction(force_rollback=True):
        for statement in statements:
            connection.execute(statement.encode())
        found = differences(former.catalog, snapshot(connection))
    return tuple(difference for difference in found if not difference.soft)


def drop_the_new(connection: Connection, former: Former) -> list[str]:
    """Drop, in the current transaction, what the former catalog does not know; the statements that worked, in order."""
    now = snapshot(connection)
    wanted = _new(connection, former, now)
    worked, failed = ordered(connection, _drops(now, wanted))
    if failed:  # what hangs together in a circle lets go of each other first
        stuck = {each.statement for each in failed}
        left = {name for name in wanted if (what := thing(name)) and drop(what, now.objects[name]) in stuck}
        worked += ordered(connection, _ties(now, left))[0]
        worked += ordered(connection, [each.statement for each in failed])[0]
    return worked


def _new(connection: Connection, former: Former, now: Snapshot) -> frozenset[str]:
    """Names of what was not there before under any name, but for what took the place of something that is gone."""
    present = identities(connection)
    whole = {called.whole: identity for identity, called in present.items()}
    moved = {
        old.whole
        for identity, old in former.identities.items()
        if identity in present and present[identity].whole != old.whole
    }
    return frozenset(
        name
        for name in now.objects
        if (whole[name] not in former.identities if name in whole else name not in former.catalog.objects)
        and (name not in former.catalog.objects or name in moved)
    )


def _drops(catalog: Snapshot, names: frozenset[str]) -> Iterator[str]:
    """Roughly in the right order: triggers before tables before types, and what is named last goes first."""
    found = [(what, name) for name in names if on_its_own(name, catalog, names) and (what := thing(name)) is not None]
    by_name = sorted(found, key=lambda pair: pair[1], reverse=True)
    for what, name in sorted(by_name, key=lambda pair: pair[0].rank):
        yield drop(what, catalog.objects[name])


def _ties(catalog: Snapshot, tables: set[str]) -> Iterator[str]:
    """Drops of whatever on these tables can depend on other tables, views and routines."""
    for name, aspects in catalog.objects.items():
        what = thing(name)
        if what is None or aspects.get(PART_OF) not in tables:
            continue
        is_key = (aspects.get("definition") or "").startswith("FOREIGN KEY")
        if what.kind in ("policy", "trigger", "rule") or (what.kind == "constraint" and is_key):
            yield drop(what, aspects)


def _restore(connection: Connection, former: Former) -> list[str]:
    worked: list[str] = []
    before: tuple[Difference, ...] = ()
    cleared = False
    for _ in range(ROUNDS_MAX):
        now = snapshot(connection)
        found = tuple(difference for difference in differences(former.catalog, now) if not difference.soft)
        if found == before:
            dropped = [] if cleared else _clear_the_way(connection, found)
            if not dropped:
                break
            cleared = True
            worked += dropped
            now = snapshot(connection)
            found = tuple(difference for difference in differences(former.catalog, now) if not difference.soft)
        worked += _round(connection, former, now, found)
        before = found
    return worked


def _clear_the_way(connection: Connection, found: Sequence[Difference]) -> list[str]:
    """Drop the views that keep a column or view from changing; the next round makes them as they were."""
    names = {
        what.of or what.name
        for difference in found
        if (what := thing(difference.object)) is not None and what.kind in ("column", "view")
    }
    return ordered(connection, (statement for name in sorted(names) for statement in _views_on(connection, name)))[0]


def _views_on(connection: Connection, name: str) -> Iterator[str]:
    """Statements that drop the views on a relation, those furthest away first."""
    with reading(connection) as cursor:
        cursor.execute(_VIEWS_ON, [name])
        yield from (statement for (statement,) in cursor.fetchall())


def _round(connection: Connection, former: Former, now: Snapshot, found: Sequence[Difference]) -> list[str]:
    """Undo each difference by the first statement that works."""
    worked: list[str] = []
    for difference in sorted(found, key=_creation_order):
        for statement in _candidates(difference, former, now):
            if statement in worked:
                break
            if attempt(connection, statement) is None:
                worked.append(statement)
                break
    return worked


def _candidates(difference: Difference, former: Former, now: Snapshot) -> Iterator[str]:
    if difference.kind is DifferenceKind.REMOVED and not difference.object.startswith("grant on "):
        statement = former.create(difference.object)
        if statement is not None:
            yield statement
        return
    aspects = now.objects.get(difference.object, {})
    if difference.kind is DifferenceKind.CHANGED or difference.object.startswith("grant on "):
        yield from back(difference, former, aspects)
        yield from remade(difference, former, aspects)


def _creation_order(difference: Difference) -> float:
    """What is made again first is what is dropped last; columns change before views are made on them."""
    what = thing(difference.object)
    if what is None:
        return 1
    changes_column = what.kind == "column" and difference.kind is DifferenceKind.CHANGED
    return -_VIEWS_RANK - 0.5 if changes_column else -what.rank
