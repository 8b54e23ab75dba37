"""Makes a partitioned table beside an ordinary one, like it in everything, and keeps each in step with the other.

A unique key that lacks the partition column cannot be one of a partitioned table. Such a key is kept in a side table,
by a trigger that refuses a second one in the words of the constraint that was there, so no client hears the difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online import indexes
from hansa.migrate.online.operation import Row, Run
from hansa.migrate.online.relations import OURS, InTheWay, spelled_out, verbatim
from hansa.migrate.online.tables import Column, Table, listed, table_of
from hansa.migrate.partitions import ONCE

IDENTITY_SINCE = 170000
"""The server version that takes identity columns of partitioned tables."""
PRIMARY, UNIQUE, PLAIN = "primary", "unique", "plain"
_INCLUDING = (
    "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING IDENTITY INCLUDING STORAGE "
    "INCLUDING COMPRESSION INCLUDING COMMENTS INCLUDING STATISTICS"
)
ENABLED = {"O": "ENABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER", "R": "ENABLE REPLICA TRIGGER"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index of the old table, and what becomes of it."""

    name: str
    kind: str
    """PRIMARY or UNIQUE for a constraint, PLAIN for an index of its own; of the old table."""
    unique: bool
    columns: tuple[str, ...]
    """Of the key; empty for an index with expressions or a condition."""
    definition: str
    """What follows the table."""
    comment: str | None
    note: str | None
    """Comment on the constraint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A trigger of users."""

    name: str
    definition: str
    enabled: str
    """As pg_trigger.tgenabled."""
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Everything that makes the old table what it is, and that the new one gets."""

    owner: str
    comment: str | None
    secured: bool
    forced: bool
    columns: tuple[str, ...]
    """That can be written."""
    key: tuple[str, ...]
    indexes: tuple[Index, ...]
    references: tuple[tuple[str, str, str | None], ...]
    """Its foreign keys: name, definition, comment."""
    triggers: tuple[Trigger, ...]
    policies: tuple[str, ...]
    """CREATE POLICY and COMMENT ON POLICY, with a placeholder for the table."""
    grants: tuple[str, ...]
    """GRANT, with a placeholder for the table."""
    sequences: tuple[tuple[str, str], ...]
    """Sequences that its columns own: name, column."""
    identities: tuple[str, ...]
    """Identity columns."""

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Shape":
        """The value that `facts` came from."""
        entries: dict[str, Any] = {name: _frozen(value) for name, value in facts.items()}
        indexes, triggers = entries.pop("indexes"), entries.pop("triggers")
        return cls(
            **entries,
            indexes=tuple(Index(**entry) for entry in indexes),
            triggers=tuple(Trigger(**entry) for entry in triggers),
        )

    def sided(self, by: str) -> tuple[Index, ...]:
        """The unique keys that need a side table."""
        return tuple(index for index in self.indexes if index.unique and by not in index.columns)


def shape_of(run: Run, table: Table) -> Shape:
    """What a table is like now. Two looks at an unchanged table are equal."""
    with spelled_out(run):
        [(owner, comment, secured, forced)] = run.execute(
            """
            SELECT pg_catalog.pg_get_userbyid(relowner), pg_catalog.obj_description(oid, 'pg_class'),
                   relrowsecurity, relforcerowsecurity
            FROM pg_catalog.pg_class WHERE oid = %s
            """,
            [table.oid],
        )
        return Shape(
            owner=owner,
            comment=comment,
            secured=secured,
            forced=forced,
            columns=tuple(column.name for column in table.columns if not column.generated),
            key=table.key,
            indexes=tuple(_indexes(run, table)),
            references=tuple(tuple(row) for row in run.execute(_REFERENCES, [table.oid])),
            triggers=tuple(
                Trigger(name=name, definition=definition, enabled=enabled, comment=note)
                for name, definition, enabled, note in run.execute(_TRIGGERS, [table.oid, OURS])
            ),
            policies=tuple(_policies(run, table)),
            grants=tuple(grant for (grant,) in run.execute(_GRANTS, [table.oid, table.oid])),
            sequences=tuple((name, column) for name, column in run.execute(_SEQUENCES, [table.oid])),
            identities=tuple(column.name for column in table.columns if column.identity),
        )


def refuse_unfit(run: Run, table: Table, shape: Shape, by: Column) -> None:
    """Raises InTheWay with everything that a partitioned table could not be or keep."""
    found: list[str] = []
    if not table.key:
        found.append("it has no primary key")
    if by.type != "timestamp with time zone" or not by.not_null:
        found.append(f"{by.name} is not timestamptz NOT NULL")
    if shape.identities and run.connection.info.server_version < IDENTITY_SINCE:
        found.append("identity columns of partitioned tables need PostgreSQL 17")
    found += [
        f"{index.name} is unique over expressions or under a condition"
        for index in shape.indexes
        if index.unique and not index.columns
    ]
    with spelled_out(run):
        found += [text for (text,) in run.execute(_UNFIT, [table.oid] * 5)]
        found += [text for (text,) in run.execute(_DEPENDENTS, [table.oid, table.oid])]
    if found:
        raise InTheWay(f"{table.label} cannot be partitioned as it is: {'; '.join(found)}")


def references_to(run: Run, table: Table) -> list[Row]:
    """Foreign keys that point at the table: qualified name, table, name, definition, whether valid, comment."""
    with spelled_out(run):
        return run.execute(_REFERENCES_TO, [table.oid])


def make(run: Run, table: Table, shape: Shape, by: str, new: str) -> Table:
    """Make the new table with all that belongs to it but its triggers' power; returns it."""
    name = table.sibling(new)
    run.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} {}) PARTITION BY RANGE ({})").format(
            name, table.identifier, sql.SQL(_INCLUDING), sql.Identifier(by)
        )
    )
    for index in shape.indexes:
        _make_index(run, table, index, by, new)
    _dress(run, table, shape, name)
    for index in shape.sided(by):
        _keep_once(run, table, shape, index, new)
    run.execute(_alter(name, "OWNER TO {}", sql.Identifier(shape.owner)))
    return table_of(run, name.as_string(run.connection))


def make_ordinary(run: Run, table: Table, shape: Shape, old: str) -> Table:
    """Make the old table again beside the partitioned one, empty, as it stands aside after the swap; returns it."""
    name = table.sibling(old)
    run.execute(sql.SQL("CREATE TABLE {} (LIKE {} {})").format(name, table.identifier, sql.SQL(_INCLUDING)))
    for index in shape.indexes:
        _make_ordinary_index(run, table, index, old)
    _dress(run, table, shape, name)
    if shape.secured:
        run.execute(_alter(name, "ENABLE ROW LEVEL SECURITY"))
    run.execute(_alter(name, "OWNER TO {}", sql.Identifier(shape.owner)))
    return table_of(run, name.as_string(run.connection))


def follow(run: Run, source: Table, target: Table, shape: Shape, key: Sequence[str], name: str) -> None:
    """From now on every write to the source reaches the target, in the same transaction.

    As the owner, because who writes the source may have no right to the target.
    """
    columns, place = listed(shape.columns), target.identifier
    function = sql.Identifier("mig", name)
    same = sql.SQL("({}) = ({})").format(listed(tuple(key)), _of("old", key))
    body = sql.SQL("""BEGIN
  IF TG_OP = 'TRUNCATE' THEN TRUNCATE {place}; RETURN NULL; END IF;
  IF TG_OP <> 'INSERT' THEN DELETE FROM {place} WHERE {same}; END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO {place} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values});
  END IF;
  RETURN NULL;
END""").format(place=place, same=same, columns=columns, values=_of("new", shape.columns))
    _function(run, function, body, shape.owner)
    for trigger, event in (
        (OURS + name, "INSERT OR UPDATE OR DELETE"),
        (OURS + fitting(name, "_truncate"), "TRUNCATE"),
    ):
        each = "STATEMENT" if event == "TRUNCATE" else "ROW"
        run.execute(
            sql.SQL("CREATE TRIGGER {} AFTER {} ON {} FOR EACH {} EXECUTE FUNCTION {}()").format(
                sql.Identifier(trigger), verbatim(event), source.identifier, verbatim(each), function
            )
        )
        run.execute(_alter(source.identifier, "ENABLE ALWAYS TRIGGER {}", sql.Identifier(trigger)))


def stop_following(run: Run, source: Table, name: str) -> None:
    for trigger in (OURS + name, OURS + fitting(name, "_truncate")):
        run.execute(sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(trigger), source.identifier))
    run.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier("mig", name)))


def copy(run: Run, source: Table, target: Table, shape: Shape, key: Sequence[str], span: sql.Composed) -> None:
    """Copy the rows of a span that are not there yet; `key` tells the rows of the target apart.

    They are locked meanwhile: a client that changed or deleted one between our look and our write would find its change
    undone. What clients wrote since the trigger is there already, and is left alone.
    """
    run.execute(
        sql.SQL("""
          INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE
          SELECT {columns} FROM (SELECT * FROM {source} AS t WHERE {span} FOR SHARE) AS rows
          ON CONFLICT ({key}) DO NOTHING
        """).format(
            target=target.identifier,
            columns=listed(shape.columns),
            source=source.rows_of_its_own,
            span=span,
            key=listed(tuple(key)),
        )
    )


def different(run: Run, one: Table, other: Table, shape: Shape) -> bool:
    """Whether two tables hold different rows, seen at one instant."""
    values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in shape.columns)
    digest = sql.SQL(
        "(SELECT ARRAY[count(*)::numeric, sum(pg_catalog.hashtextextended(ROW({})::text, 0)::numeric)] FROM {})"
    )
    return bool(
        run.one(
            sql.SQL("SELECT {} IS DISTINCT FROM {}").format(
                digest.format(values, one.rows_of_its_own), digest.format(values, other.rows_of_its_own)
            )
        )
    )


def missing(run: Run, source: Table, target: Table, shape: Shape) -> int:
    """How many rows of the source the target does not have as they are."""
    values = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in shape.columns)
    return run.one(
        sql.SQL(
            "SELECT count(*) FROM (SELECT ROW({0})::text FROM {1} EXCEPT SELECT ROW({0})::text FROM {2}) AS m"
        ).format(values, source.rows_of_its_own, target.rows_of_its_own)
    )


def exchange_names(run: Run, table: Table, shape: Shape, by: str, *, leaving: str, coming: str) -> None:
    """The table that has the name steps aside under `leaving`, and `coming` takes it; with all their indexes.

    The table and its indexes carry the endings of these names while they are not in force.
    """
    for index in shape.indexes:
        _rename_index(run, table.identifier, table.schema, index, index.name, aside(index.name, leaving), by, leaving)
    run.execute(_alter(table.identifier, "RENAME TO {}", sql.Identifier(leaving)))
    arriving = table.sibling(coming)
    for index in shape.indexes:
        _rename_index(run, arriving, table.schema, index, aside(index.name, coming), index.name, by, coming)
    run.execute(_alter(arriving, "RENAME TO {}", sql.Identifier(table.name)))


def aside(index: str, table: str) -> str:
    """Name of an index while its table, named so, does not have the name."""
    return fitting(index, f"__{table.rpartition('__')[2]}")


def extended(key: Sequence[str], by: str) -> tuple[str, ...]:
    """A key with the partition column."""
    return (*key, *([] if by in key else [by]))


def silence(run: Run, table: Table, shape: Shape) -> None:
    """Disable the triggers of users on a table that is only written by ours; row security would hide rows from ours."""
    for trigger in shape.triggers:
        run.execute(_alter(table.identifier, "DISABLE TRIGGER {}", sql.Identifier(trigger.name)))
    if shape.forced:
        run.execute(_alter(table.identifier, "NO FORCE ROW LEVEL SECURITY"))


def wake(run: Run, table: Table, shape: Shape) -> None:
    """Give a table that clients write the triggers and the row security that were meant for it."""
    for trigger in shape.triggers:
        if trigger.enabled in ENABLED:
            run.execute(_alter(table.identifier, ENABLED[trigger.enabled] + " {}", sql.Identifier(trigger.name)))
    if shape.secured:
        run.execute(_alter(table.identifier, "ENABLE ROW LEVEL SECURITY"))
    if shape.forced:
        run.execute(_alter(table.identifier, "FORCE ROW LEVEL SECURITY"))


def hand_over_sequences(run: Run, source: Table, target: Table, shape: Shape) -> None:
    """Sequences belong to the table that has the name; those of identity columns go on where the other's are."""
    for sequence, column in shape.sequences:
        run.execute(
            sql.SQL("ALTER SEQUENCE {} OWNED BY {}.{}").format(
                verbatim(sequence), target.identifier, sql.Identifier(column)
            )
        )
    for column in shape.identities:
        owned = "pg_catalog.pg_get_serial_sequence(%s, %s)"
        before, after = (run.one(f"SELECT {owned}", [each.label, column]) for each in (source, target))
        [(last, called)] = run.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(verbatim(before)))
        run.execute("SELECT pg_catalog.setval(%s::pg_catalog.regclass, %s, %s)", [after, last, called])


def side_name(table: Table, index: Index) -> str:
    """Name of the side table that keeps a key, and of the function that does it."""
    return fitting(f"{table.name}_{'_'.join(index.columns)}", "_once")


def drop_sides(run: Run, table: Table, shape: Shape, by: str) -> None:
    """Drop side tables and their functions, after the triggers went with the new table."""
    for index in shape.sided(by):
        name = table.sibling(side_name(table, index))
        run.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(name))
        run.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))


def _dress(run: Run, table: Table, shape: Shape, name: sql.Identifier) -> None:
    """Foreign keys, policies, grants, comment, and triggers that stay disabled as long as it does not have the name."""
    for reference, definition, comment in shape.references:
        run.execute(_alter(name, "ADD CONSTRAINT {} {}", sql.Identifier(reference), verbatim(definition)))
        _comment(run, sql.SQL("CONSTRAINT {} ON {}").format(sql.Identifier(reference), name), comment)
    for text in (*shape.policies, *shape.grants):
        run.execute(_filled(text, name))
    for trigger in shape.triggers:
        _make_trigger(run, table, name, trigger)
    _comment(run, sql.SQL("TABLE {}").format(name), shape.comment)


def _make_index(run: Run, old: Table, index: Index, by: str, new: str) -> None:
    table, columns = old.sibling(new), index.columns
    name = sql.Identifier(aside(index.name, new))
    kept = index.unique and by in columns
    if index.kind == PRIMARY:
        run.execute(_alter(table, "ADD CONSTRAINT {} PRIMARY KEY ({})", name, listed(extended(columns, by))))
    elif index.kind == UNIQUE and kept:
        run.execute(_alter(table, "ADD CONSTRAINT {} UNIQUE ({})", name, listed(columns)))
    else:
        text = f"CREATE {'UNIQUE ' if kept else ''}INDEX {{}} ON {{}} {{}}"
        run.execute(_filled(text, name, table, verbatim(_without_nulls(index, kept=kept))))
    _comment(run, sql.SQL("INDEX {}").format(old.sibling(aside(index.name, new))), index.comment)
    if index.kind == PRIMARY or (index.kind == UNIQUE and kept):
        _comment(run, sql.SQL("CONSTRAINT {} ON {}").format(name, table), index.note)


def _make_ordinary_index(run: Run, table: Table, index: Index, old: str) -> None:
    name, place = sql.Identifier(aside(index.name, old)), table.sibling(old)
    text = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {{}} ON {{}} {{}}"
    run.execute(_filled(text, name, place, verbatim(index.definition)))
    if index.kind != PLAIN:
        kind = sql.SQL("PRIMARY KEY" if index.kind == PRIMARY else "UNIQUE")
        run.execute(_alter(place, "ADD CONSTRAINT {} {} USING INDEX {}", name, kind, name))
        _comment(run, sql.SQL("CONSTRAINT {} ON {}").format(name, place), index.note)
    _comment(run, sql.SQL("INDEX {}").format(table.sibling(aside(index.name, old))), index.comment)


def _without_nulls(index: Index, *, kept: bool) -> str:
    return index.definition if kept else index.definition.replace(" NULLS NOT DISTINCT", "")


def _make_trigger(run: Run, table: Table, name: sql.Identifier, trigger: Trigger) -> None:
    """Disabled until the swap: until then it fires on the old table."""
    on = f" ON {table.label} "
    before, found, after = trigger.definition.partition(on)
    assert found, trigger.definition
    run.execute(_filled(f"{_braced(before)} ON {{}} {_braced(after)}", name))
    run.execute(_alter(name, "DISABLE TRIGGER {}", sql.Identifier(trigger.name)))
    _comment(run, sql.SQL("TRIGGER {} ON {}").format(sql.Identifier(trigger.name), name), trigger.comment)


def _keep_once(run: Run, table: Table, shape: Shape, index: Index, new: str) -> None:
    side, target = side_name(table, index), table.sibling(new)
    place = table.sibling(side)
    types = sql.SQL(", ").join(sql.Identifier(column) for column in index.columns)
    run.execute(sql.SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(place, types, table.identifier))
    name = sql.Identifier(fitting(side, "_pkey"))
    run.execute(_alter(place, "ADD CONSTRAINT {} PRIMARY KEY ({})", name, types))
    _comment(
        run, sql.SQL("TABLE {}").format(place), f"Keys of {table.label} that are there once, in whatever partition."
    )
    run.execute(_alter(place, "ENABLE ROW LEVEL SECURITY"))
    run.execute(_alter(place, "OWNER TO {}", sql.Identifier(shape.owner)))
    _function(run, place, _once(table, index, place), shape.owner)
    arguments = sql.SQL(", ").join(sql.Literal(text) for text in (table.schema, side, *index.columns))
    for trigger, event in ((ONCE + index.name, "INSERT OR UPDATE OR DELETE"), (OURS + index.name, "TRUNCATE")):
        each = "STATEMENT" if event == "TRUNCATE" else "ROW"
        identifier = sql.Identifier(fitting(trigger))
        run.execute(
            sql.SQL("CREATE TRIGGER {} AFTER {} ON {} FOR EACH {} EXECUTE FUNCTION {}({})").format(
                identifier, verbatim(event), target, verbatim(each), place, arguments
            )
        )
        run.execute(_alter(target, "ENABLE ALWAYS TRIGGER {}", identifier))


def _once(table: Table, index: Index, place: sql.Identifier) -> sql.Composed:
    """Refuses in the words of the constraint, so that whoever knows its name goes on knowing it."""
    present = sql.SQL(" AND ").join(
        sql.SQL("{} IS NOT NULL").format(sql.Identifier("new", column)) for column in index.columns
    )
    return sql.SQL("""BEGIN
  IF TG_OP = 'TRUNCATE' THEN TRUNCATE {place}; RETURN NULL; END IF;
  IF TG_OP = 'UPDATE' AND ({new}) IS NOT DISTINCT FROM ({old}) THEN RETURN NULL; END IF;
  IF TG_OP <> 'INSERT' THEN DELETE FROM {place} WHERE ({columns}) = ({old}); END IF;
  IF TG_OP <> 'DELETE' AND {present} THEN
    INSERT INTO {place} VALUES ({new}) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RAISE EXCEPTION {message} USING ERRCODE = 'unique_violation', SCHEMA = {schema}, TABLE = {table},
        CONSTRAINT = {constraint},
        DETAIL = pg_catalog.format('Key (%s)=(%s) already exists.', {names}, pg_catalog.concat_ws(', ', {new}));
    END IF;
  END IF;
  RETURN NULL;
END""").format(
        place=place,
        new=_of("new", index.columns),
        old=_of("old", index.columns),
        columns=listed(index.columns),
        present=present,
        message=sql.Literal(f'duplicate key value violates unique constraint "{index.name}"'.replace("%", "%%")),
        schema=sql.Literal(table.schema),
        table=sql.Literal(table.name),
        constraint=sql.Literal(index.name),
        names=sql.Literal(", ".join(index.columns)),
    )


def _function(run: Run, name: sql.Identifier, body: sql.Composed, owner: str) -> None:
    run.execute(
        sql.SQL(
            "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS {}"
        ).format(name, sql.Literal(body.as_string(run.connection)))
    )
    run.execute(sql.SQL("ALTER FUNCTION {}() OWNER TO {}").format(name, sql.Identifier(owner)))


def _rename_index(
    run: Run, table: sql.Identifier, schema: str, index: Index, name: str, to: str, by: str, whose: str
) -> None:
    """A constraint's index by its constraint, so that both have the name."""
    partitioned = whose.endswith("__new")
    constrained = index.kind == PRIMARY or (index.kind == UNIQUE and (not partitioned or by in index.columns))
    if constrained:
        run.execute(_alter(table, "RENAME CONSTRAINT {} TO {}", sql.Identifier(name), sql.Identifier(to)))
    else:
        run.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(sql.Identifier(schema, name), sql.Identifier(to)))


def _indexes(run: Run, table: Table) -> Iterator[Index]:
    rows = run.execute(_INDEXES, [table.oid])
    for name, kind, columns, comment, note in rows:
        found = indexes.find(run, table.schema, name)
        assert found is not None
        yield Index(
            name=name,
            kind=kind,
            unique=found.unique,
            columns=tuple(columns or ()),
            definition=found.definition,
            comment=comment,
            note=note,
        )


def _policies(run: Run, table: Table) -> Iterator[str]:
    for name, permissive, roles, command, qual, check, comment in run.execute(_POLICIES, [table.oid]):
        quoted = _braced(sql.Identifier(name).as_string(run.connection))
        text = f"CREATE POLICY {quoted} ON {{}} AS {permissive} FOR {command} TO {_braced(roles)}"
        text += f" USING ({_braced(qual)})" if qual is not None else ""
        yield text + (f" WITH CHECK ({_braced(check)})" if check is not None else "")
        if comment is not None:
            yield f"COMMENT ON POLICY {quoted} ON {{}} IS {_braced(sql.Literal(comment).as_string(run.connection))}"


def _frozen(value: Any) -> Any:  # lists of JSON were tuples
    if isinstance(value, dict):
        return {name: _frozen(entry) for name, entry in value.items()}
    return tuple(_frozen(entry) for entry in value) if isinstance(value, list) else value


def _filled(template: str, *parts: sql.Composable) -> sql.Composed:
    return verbatim(template).format(*parts)


def _braced(text: str) -> str:
    """Text inside of a template."""
    return text.replace("{", "{{").replace("}", "}}")


def _of(row: str, columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(row, column) for column in columns)


def _alter(table: sql.Identifier, what: str, *arguments: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} {}").format(table, _filled(what, *arguments))


def _comment(run: Run, on: sql.Composable, text: str | None) -> None:
    if text is not None:
        run.execute(sql.SQL("COMMENT ON {} IS {}").format(on, sql.Literal(text)))


_INDEXES = """
    SELECT c.relname, CASE k.contype WHEN 'p' THEN 'primary' WHEN 'u' THEN 'unique' ELSE 'plain' END,
           CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL THEN
             ARRAY(SELECT a.attname FROM pg_catalog.unnest(i.indkey::smallint[]) WITH ORDINALITY AS p (attnum, n)
                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = p.attnum
                   WHERE p.n <= i.indnkeyatts ORDER BY p.n)::text[] END,
           pg_catalog.obj_description(c.oid, 'pg_class'), pg_catalog.obj_description(k.oid, 'pg_constraint')
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
    WHERE i.indrelid = %s AND NOT i.indisexclusion
    ORDER BY c.relname
"""
_REFERENCES = """
    SELECT conname, pg_catalog.pg_get_constraintdef(oid), pg_catalog.obj_description(oid, 'pg_constraint')
    FROM pg_catalog.pg_constraint
    WHERE conrelid = %s AND contype = 'f' AND confrelid <> conrelid
    ORDER BY conname
"""
_REFERENCES_TO = """
    SELECT c.conrelid::pg_catalog.regclass::text || '.' || pg_catalog.quote_ident(c.conname),
           c.conrelid::pg_catalog.regclass::text, c.conname, pg_catalog.pg_get_constraintdef(c.oid),
           c.convalidated, pg_catalog.obj_description(c.oid, 'pg_constraint')
    FROM pg_catalog.pg_constraint AS c
    WHERE c.confrelid = %s AND c.contype = 'f' AND c.conparentid = 0
    ORDER BY 1
"""
_TRIGGERS = """
    SELECT tgname, pg_catalog.pg_get_triggerdef(oid), tgenabled, pg_catalog.obj_description(oid, 'pg_trigger')
    FROM pg_catalog.pg_trigger
    WHERE tgrelid = %s AND NOT tgisinternal AND NOT pg_catalog.starts_with(tgname, %s)
    ORDER BY tgname
"""
_POLICIES = """
    SELECT p.polname, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           (SELECT pg_catalog.string_agg(CASE r WHEN 0 THEN 'PUBLIC'
                     ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) END, ', ' ORDER BY r)
            FROM pg_catalog.unnest(p.polroles) AS r),
           CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                ELSE 'ALL' END,
           pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid),
           pg_catalog.obj_description(p.oid, 'pg_policy')
    FROM pg_catalog.pg_policy AS p
    WHERE p.polrelid = %s
    ORDER BY p.polname
"""
_GRANTS = """
    SELECT 'GRANT ' || a.privilege_type || ' ON {} TO '
           || CASE a.grantee WHEN 0 THEN 'PUBLIC'
              ELSE pg_catalog.replace(pg_catalog.replace(
                     pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)), '{', '{{'), '}', '}}') END
           || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM pg_catalog.pg_class AS c
    CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
    WHERE c.oid = %s AND a.grantee <> c.relowner
    UNION ALL
    SELECT 'GRANT ' || a.privilege_type || ' ('
           || pg_catalog.replace(pg_catalog.replace(pg_catalog.quote_ident(t.attname), '{', '{{'), '}', '}}')
           || ') ON {} TO '
           || CASE a.grantee WHEN 0 THEN 'PUBLIC'
              ELSE pg_catalog.replace(pg_catalog.replace(
                     pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)), '{', '{{'), '}', '}}') END
           || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM pg_catalog.pg_attribute AS t
    CROSS JOIN pg_catalog.aclexplode(t.attacl) AS a
    WHERE t.attrelid = %s AND NOT t.attisdropped
    ORDER BY 1
"""
_SEQUENCES = """
    SELECT s.oid::pg_catalog.regclass::text, a.attname
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'a'
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = %s
    ORDER BY 1
"""
_UNFIT = """
    SELECT 'it is unlogged or temporary' FROM pg_catalog.pg_class WHERE oid = %s AND relpersistence <> 'p'
    UNION ALL
    SELECT 'its REPLICA IDENTITY is not the default' FROM pg_catalog.pg_class WHERE oid = %s AND relreplident <> 'd'
    UNION ALL
    SELECT conname || CASE WHEN condeferrable THEN ' is deferrable' WHEN contype = 'x' THEN ' is an exclusion constraint'
                      ELSE ' is not validated' END
    FROM pg_catalog.pg_constraint
    WHERE conrelid = %s AND (contype = 'x' OR contype IN ('p', 'u') AND condeferrable OR NOT convalidated)
    UNION ALL
    SELECT c.relname || ' takes one NULL only'
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = %s AND i.indisunique AND i.indnullsnotdistinct
    UNION ALL
    SELECT 'publication ' || p.pubname || ' has it'
    FROM pg_catalog.pg_publication_rel AS r
    JOIN pg_catalog.pg_publication AS p ON p.oid = r.prpubid
    WHERE r.prrelid = %s
"""
# What names the table or its row type by its number would go on speaking of the old one.
_DEPENDENTS = """
    SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = %s
      AND d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass)
    UNION
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_type AS t ON t.oid = c.reltype
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
                                  AND d.refobjid IN (t.oid, t.typarray)
    WHERE c.oid = %s AND d.deptype = 'n'
    ORDER BY 1
"""
