"""Keeps what the new shape has no place for: whole rows in mig.quarantine, old values in mig.preimages.

A row never goes alone. Everything that refers to it through foreign keys goes with it, however far, and all of it comes
back in one statement, so that foreign keys hold whatever their order or circles. Values are kept by the output function
of their type, with settings that make it lossless, and by the name of their column.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online.backfill import Key
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import Relation, columns, literals, verbatim


class NoWayBack(OperationRefused):
    """A row that was set aside cannot come back: its table, a column or a row that it refers to is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """A foreign key."""

    child: str
    """The referring table, qualified."""
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]

    def matches(self, child: str, parent: str) -> sql.Composed:
        pairs = zip(self.columns, self.parent_columns, strict=True)
        return sql.SQL(" AND ").join(
            sql.SQL("{} = {}").format(sql.Identifier(child, ours), sql.Identifier(parent, theirs))
            for ours, theirs in pairs
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """A table that rows physically are in, and the one that they belong to when it is partitioned."""

    stored: str
    belongs: str


_Rows = dict[str, None]
"""Places of rows within their table, in the order in which they were found."""


def set_aside(
    run: Run, table: Relation, condition: sql.Composable, reason: str, *, without: Collection[str] = ()
) -> int:
    """Move the rows `t` for which the condition holds, with all that refers to them; returns how many rows went.

    To be called in the transaction of a batch, after `pin`. The columns `without` are not kept.
    """
    locked = sql.SQL("SELECT t.ctid::text FROM {} AS t WHERE {} FOR UPDATE").format(table.identifier, condition)
    own = _Place(table.label, table.label)
    found = {own: {ctid: None for (ctid,) in run.execute(locked)}}
    if not found[own]:
        return 0
    _collect(run, found, found)
    for place, rows in found.items():
        kept = columns(run, _named(run, place.belongs))
        _keep(run, place, rows, [name for name in kept if place != own or name not in without], reason)
    _delete(run, found)
    return sum(len(rows) for rows in found.values())


def put_back(run: Run, *, silent: bool) -> int:
    """Put all rows that the operation set aside where they were; returns how many came back.

    To be called in a transaction, after `pin`. With silent triggers PostgreSQL does not look at foreign keys, so they
    are looked at here. Raises NoWayBack.
    """
    shapes = run.execute(
        "SELECT DISTINCT relation, columns FROM mig.quarantine WHERE revision = %s AND operation = %s ORDER BY 1, 2",
        [run.revision, run.number],
    )
    if not shapes:
        return 0
    inserts = [_insertion(run, relation, names) for relation, names in shapes]
    steps = [sql.SQL("p{} AS ({} RETURNING 1)").format(verbatim(str(n)), each) for n, each in enumerate(inserts)]
    counts = [sql.SQL("(SELECT pg_catalog.count(*) FROM p{})").format(verbatim(str(n))) for n in range(len(inserts))]
    back = run.one(sql.SQL("WITH {} SELECT {}").format(sql.SQL(", ").join(steps), sql.SQL(" + ").join(counts)))
    if silent:
        for relation, names in shapes:
            _refuse_orphans(run, relation, names)
    run.execute(
        "DELETE FROM mig.quarantine WHERE revision = %s AND operation = %s",
        [run.revision, run.number],
    )
    return back


def keep_originals(
    run: Run,
    table: Relation,
    key: Key,
    condition: sql.Composable,
    *,
    original: sql.Composable,
    converted: sql.Composable,
    reproduced: sql.Composable,
    of: tuple[str, int],
) -> int:
    """Keep the old values of the rows `t` that cannot be told from the new ones; returns how many.

    All three are texts: the value as it was, what it became, and what it would be made into on the way back.
    `of` is the revision and the operation that changed it.
    """
    revision, number = of
    return run.changed(
        sql.SQL(
            """
            INSERT INTO mig.preimages AS p (revision, operation, key, original, converted)
            SELECT {revision}, {number}, {key}, {original}, {converted}
            FROM {table} AS t
            WHERE ({condition}) AND ({original}) COLLATE "C" IS DISTINCT FROM ({reproduced}) COLLATE "C"
            ON CONFLICT (revision, operation, key) DO UPDATE
            SET original = excluded.original, converted = excluded.converted
            """
        ).format(
            revision=sql.Literal(revision),
            number=sql.Literal(number),
            key=key.text(),
            original=original,
            converted=converted,
            reproduced=reproduced,
            table=table.identifier,
            condition=condition,
        )
    )


def forget_originals(run: Run, of: tuple[str, int]) -> None:
    run.execute("DELETE FROM mig.preimages WHERE revision = %s AND operation = %s", of)


def _collect(run: Run, found: dict[_Place, _Rows], latest: Mapping[_Place, _Rows]) -> None:
    """Add and lock whatever refers to the latest rows, then whatever refers to that, until nothing new turns up."""
    more: dict[_Place, _Rows] = {}
    for place, rows in list(latest.items()):
        for reference in _references(run, "confrelid", place.belongs):
            for child, ctid in _referring(run, reference, place, rows):
                if ctid not in found.setdefault(child, {}):
                    found[child][ctid] = more.setdefault(child, {})[ctid] = None
    if more:
        _collect(run, found, more)


def _referring(run: Run, reference: _Reference, parent: _Place, rows: Collection[str]) -> Iterable[tuple[_Place, str]]:
    query = sql.SQL(
        """
        SELECT pg_catalog.format('%I.%I', n.nspname, r.relname), c.ctid::text
        FROM {parent} AS p
        JOIN {child} AS c ON {matches}
        JOIN pg_catalog.pg_class AS r ON r.oid = c.tableoid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
        WHERE p.ctid = ANY({rows}::tid[])
        FOR UPDATE OF c
        """
    ).format(
        parent=verbatim(parent.stored),
        child=verbatim(reference.child),
        matches=reference.matches("c", "p"),
        rows=literals(rows),
    )
    return [(_Place(stored, reference.child), ctid) for stored, ctid in run.execute(query)]


def _references(run: Run, side: str, table: str) -> Sequence[_Reference]:
    """Foreign keys that refer to a table (side confrelid), or that it has itself (side conrelid)."""
    rows = run.execute(
        """
        SELECT pg_catalog.format('%%I.%%I', cn.nspname, c.relname),
               (SELECT array_agg(a.attname::text ORDER BY k.n)
                FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, n)
                JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
               pg_catalog.format('%%I.%%I', pn.nspname, p.relname),
               (SELECT array_agg(a.attname::text ORDER BY k.n)
                FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, n)
                JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.confrelid AND a.attnum = k.attnum)
        FROM pg_catalog.pg_constraint AS f
        JOIN pg_catalog.pg_class AS c ON c.oid = f.conrelid
        JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
        JOIN pg_catalog.pg_class AS p ON p.oid = f.confrelid
        JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE f.contype = 'f' AND f.conparentid = 0
          AND CASE %s WHEN 'confrelid' THEN f.confrelid ELSE f.conrelid END = pg_catalog.to_regclass(%s)
        ORDER BY f.oid
        """,
        [side, table],
    )
    return [
        _Reference(child=child, columns=tuple(ours), parent=parent, parent_columns=tuple(theirs))
        for child, ours, parent, theirs in rows
    ]


def _keep(run: Run, place: _Place, rows: Collection[str], names: Sequence[str], reason: str) -> None:
    """Write rows to the quarantine. `format` uses a type's output function, where a cast to text may say less."""
    texts = [
        sql.SQL("CASE WHEN {c} IS NOT DISTINCT FROM NULL THEN NULL ELSE pg_catalog.format('%s', {c}) END").format(
            c=sql.Identifier("t", name)
        )
        for name in names
    ]
    run.execute(
        sql.SQL(
            """
            INSERT INTO mig.quarantine (revision, operation, relation, reason, columns, contents)
            SELECT {revision}, {number}, {relation}, {reason}, {names}, ARRAY[{texts}]::text[]
            FROM {stored} AS t
            WHERE t.ctid = ANY({rows}::tid[])
            """
        ).format(
            revision=sql.Literal(run.revision),
            number=sql.Literal(run.number),
            relation=sql.Literal(place.belongs),
            reason=sql.Literal(reason),
            names=literals(names),
            texts=sql.SQL(", ").join(texts),
            stored=verbatim(place.stored),
            rows=literals(rows),
        )
    )


def _delete(run: Run, found: Mapping[_Place, Collection[str]]) -> None:
    """Delete in one statement, at whose end foreign keys are looked at: their order, and circles, do not matter."""
    steps = [
        sql.SQL("d{} AS (DELETE FROM {} AS t WHERE t.ctid = ANY({}::tid[]))").format(
            verbatim(str(n)), verbatim(place.stored), literals(rows)
        )
        for n, (place, rows) in enumerate(found.items())
    ]
    run.execute(sql.SQL("WITH {} SELECT 1").format(sql.SQL(", ").join(steps)))


def _insertion(run: Run, relation: str, names: Sequence[str]) -> sql.Composed:
    types = columns(run, _named(run, relation))
    if missing := [name for name in names if name not in types]:
        raise NoWayBack(f"rows of {relation} were set aside with a column {missing[0]} that is gone; bring it back")
    values = [
        sql.SQL("q.contents[{}]::{}").format(verbatim(str(n)), verbatim(types[name])) for n, name in _counted(names)
    ]
    return sql.SQL(
        """
        INSERT INTO {relation} ({names}) OVERRIDING SYSTEM VALUE
        SELECT {values} FROM mig.quarantine AS q WHERE {mine}
        """
    ).format(
        relation=verbatim(relation),
        names=sql.SQL(", ").join(sql.Identifier(name) for name in names),
        values=sql.SQL(", ").join(values),
        mine=_of_shape(run, relation, names),
    )


def _refuse_orphans(run: Run, relation: str, names: Sequence[str]) -> None:
    """Make sure that what came back finds what it refers to, and hold on to it until the end of the transaction."""
    places = {name: n for n, name in _counted(names)}
    for reference in _references(run, "conrelid", relation):
        if not set(reference.columns) <= places.keys():
            continue
        types = columns(run, _named(run, reference.parent))
        pairs = [
            (sql.SQL("q.contents[{}]").format(verbatim(str(places[ours]))), theirs)
            for ours, theirs in zip(reference.columns, reference.parent_columns, strict=True)
        ]
        refers = sql.SQL(" AND ").join(sql.SQL("{} IS NOT NULL").format(text) for text, _ in pairs)
        finds = sql.SQL(" AND ").join(
            sql.SQL("{} = {}::{}").format(sql.Identifier("p", theirs), text, verbatim(types[theirs]))
            for text, theirs in pairs
        )
        mine = _of_shape(run, relation, names)
        wanted = run.one(
            sql.SQL("SELECT pg_catalog.count(*) FROM mig.quarantine AS q WHERE {} AND {}").format(mine, refers)
        )
        held = run.execute(
            sql.SQL("SELECT 1 FROM mig.quarantine AS q JOIN {} AS p ON {} WHERE {} FOR KEY SHARE OF p").format(
                verbatim(reference.parent), finds, mine
            )
        )
        if len(held) < wanted:
            raise NoWayBack(
                f"{wanted - len(held)} rows of {relation} that were set aside refer to rows of {reference.parent} "
                "that are gone; bring those back, or delete them from mig.quarantine"
            )


def _of_shape(run: Run, relation: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL("q.revision = {} AND q.operation = {} AND q.relation = {} AND q.columns = {}").format(
        sql.Literal(run.revision), sql.Literal(run.number), sql.Literal(relation), literals(names)
    )


def _counted(names: Sequence[str]) -> Iterable[tuple[int, str]]:
    return enumerate(names, start=1)


def _named(run: Run, label: str) -> Relation:
    """A table that rows were in, perhaps partitioned. Raises NoWayBack."""
    rows = run.execute(
        """
        SELECT c.oid::bigint, n.nspname, c.relname
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = pg_catalog.to_regclass(%s)
        """,
        [label],
    )
    if not rows:
        raise NoWayBack(f"{label}, from which rows were set aside, is gone; bring it back")
    [(oid, schema, name)] = rows
    return Relation(oid=oid, schema=schema, name=name, label=label, rows=0, size=0, hides_rows=False)
