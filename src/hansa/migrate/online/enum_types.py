"""Makes an enum type again with fewer labels, with everything that hangs on it: columns, arrays, defaults, CHECKs.

PostgreSQL can rename a type and change the type of a column, but not take a label away. So the old type steps aside
under another name, a new one takes its name, and what speaks of it is dropped and made again in the same words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import InTheWay, spelled_out, verbatim


class LabelInUse(OperationRefused):
    """Rows, a default, a constraint or an index still use a label that is to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedColumn:
    """A column of the type, or of arrays of it."""

    oid: int
    table: str
    """Qualified and quoted where needed."""
    name: str
    array: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """A default that speaks of the type, of a column of it or of another."""

    table: str
    column: str
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A CHECK constraint or an index that speaks of the type."""

    table: str
    name: str
    definition: str
    """What follows the name of a constraint; all of CREATE INDEX."""
    comment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Everything that has to be made again when a type is."""

    type: str
    """Qualified and quoted where needed."""
    columns: tuple[TypedColumn, ...]
    defaults: tuple[Default, ...]
    checks: tuple[Part, ...]
    indexes: tuple[Part, ...]
    size: int
    """Bytes of all tables with such columns."""


def use_of(run: Run, name: str) -> Use:
    """Where an enum type is used. Raises InTheWay with a list of what cannot be made again from here."""
    with spelled_out(run):
        others = run.execute(_OTHERS, [name])
        if others:
            listing = "; ".join(text for (text,) in others)
            raise InTheWay(f"{name} is used by: {listing}. Drop what is listed before, and make it again afterwards")
        columns = run.execute(_COLUMNS, [name])
        return Use(
            type=name,
            columns=tuple(
                TypedColumn(oid=oid, table=table, name=column, array=array) for oid, table, column, array, _ in columns
            ),
            defaults=tuple(
                Default(table=table, column=column, expression=expression)
                for table, column, expression in run.execute(_DEFAULTS, [name])
            ),
            checks=tuple(_parts(run, _CHECKS, name)),
            indexes=tuple(_parts(run, _INDEXES, name)),
            size=sum({oid: size for oid, *_, size in columns}.values()),
        )


def refuse_used(run: Run, use: Use, labels: Sequence[str]) -> None:
    """Raises LabelInUse with every place that uses one of the labels."""
    wanted = sql.Literal(list(labels))
    found: list[str] = []
    for column in use.columns:
        value = sql.SQL("t.{}").format(sql.Identifier(column.name))
        count = run.one(
            sql.SQL("SELECT count(*) FROM {} AS t WHERE {}").format(
                verbatim(column.table), _uses(value, wanted, array=column.array)
            )
        )
        found += [f"{count} rows of {column.table} in {column.name}"] if count else []
    texts = [(f"the default of {default.table}.{default.column}", default.expression) for default in use.defaults]
    texts += [(f"{part.name} on {part.table}", part.definition) for part in (*use.checks, *use.indexes)]
    found += [where for where, text in texts if _speaks_of(run, text, use, labels)]
    if found:
        raise LabelInUse(f"{', '.join(labels)} of {use.type}: used by {'; '.join(found)}; change that first")


def lock(run: Run, use: Use) -> None:
    """Keep everybody from the tables, in the order of their names."""
    for table in sorted({column.table for column in use.columns}):
        run.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(verbatim(table)))


def rebuild(run: Run, use: Use, labels: Sequence[str]) -> None:
    """Make the type again with these labels, in the current transaction, which has locked the tables."""
    _take_off(run, use)
    aside = _step_aside(run, use)
    run.execute(
        sql.SQL("CREATE TYPE {} AS ENUM ({})").format(
            verbatim(use.type), sql.SQL(", ").join(sql.Literal(label) for label in labels)
        )
    )
    _dress(run, use.type, aside)
    for table in sorted({column.table for column in use.columns}):
        changes = [_retype(column, use.type) for column in use.columns if column.table == table]
        run.execute(sql.SQL("ALTER TABLE {} {}").format(verbatim(table), sql.SQL(", ").join(changes)))
    _put_on(run, use)
    run.execute(sql.SQL("DROP TYPE {}").format(verbatim(aside)))


def _take_off(run: Run, use: Use) -> None:
    for check in use.checks:
        run.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(verbatim(check.table), sql.Identifier(check.name))
        )
    for index in use.indexes:
        run.execute(sql.SQL("DROP INDEX {}").format(verbatim(index.name)))
    for default in use.defaults:
        run.execute(
            sql.SQL("ALTER TABLE {} ALTER {} DROP DEFAULT").format(
                verbatim(default.table), sql.Identifier(default.column)
            )
        )


def _put_on(run: Run, use: Use) -> None:
    for default in use.defaults:
        run.execute(
            sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(
                verbatim(default.table), sql.Identifier(default.column), verbatim(default.expression)
            )
        )
    for check in use.checks:
        name = sql.Identifier(check.name)
        run.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                verbatim(check.table), name, verbatim(check.definition)
            )
        )
        _comment(run, sql.SQL("CONSTRAINT {} ON {}").format(name, verbatim(check.table)), check.comment)
    for index in use.indexes:
        run.execute(verbatim(index.definition))
        _comment(run, sql.SQL("INDEX {}").format(verbatim(index.name)), index.comment)


def _step_aside(run: Run, use: Use) -> str:
    """Rename the old type; returns its name from then on."""
    [(schema, name)] = run.execute(
        """
        SELECT n.nspname, t.typname
        FROM pg_catalog.pg_type AS t
        JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
        WHERE t.oid = %s::pg_catalog.regtype
        """,
        [use.type],
    )
    aside = fitting(name, "__old")
    run.execute(sql.SQL("ALTER TYPE {} RENAME TO {}").format(verbatim(use.type), sql.Identifier(aside)))
    return sql.Identifier(schema, aside).as_string(run.connection)


def _dress(run: Run, name: str, like: str) -> None:
    """Owner, comment and grants of another type."""
    [(owner, comment, granted)] = run.execute(
        """
        SELECT pg_catalog.pg_get_userbyid(typowner), pg_catalog.obj_description(oid, 'pg_type'), typacl IS NOT NULL
        FROM pg_catalog.pg_type
        WHERE oid = %s::pg_catalog.regtype
        """,
        [like],
    )
    run.execute(sql.SQL("ALTER TYPE {} OWNER TO {}").format(verbatim(name), sql.Identifier(owner)))
    _comment(run, sql.SQL("TYPE {}").format(verbatim(name)), comment)
    if not granted:
        return
    run.execute(sql.SQL("REVOKE ALL ON TYPE {} FROM PUBLIC").format(verbatim(name)))
    grants = run.execute(
        """
        SELECT p.privilege_type, CASE p.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END,
               CASE WHEN p.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
        FROM pg_catalog.pg_type AS t
        CROSS JOIN pg_catalog.aclexplode(t.typacl) AS p
        LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = p.grantee
        WHERE t.oid = %s::pg_catalog.regtype AND p.grantee <> t.typowner
        """,
        [like],
    )
    for privilege, grantee, grantable in grants:
        run.execute(f"GRANT {privilege} ON TYPE {name} TO {grantee}{grantable}")


def _retype(column: TypedColumn, name: str) -> sql.Composed:
    identifier = sql.Identifier(column.name)
    ending = sql.SQL("[]" if column.array else "")
    return sql.SQL("ALTER {0} TYPE {1}{2} USING {0}::text{2}::{1}{2}").format(identifier, verbatim(name), ending)


def _uses(value: sql.Composable, labels: sql.Literal, *, array: bool) -> sql.Composed:
    if array:
        return sql.SQL("{}::text[] && {}::text[]").format(value, labels)
    return sql.SQL("{}::text = ANY ({}::text[])").format(value, labels)


def _speaks_of(run: Run, text: str, use: Use, labels: Sequence[str]) -> bool:
    """Whether an expression has one of the labels as a constant, alone or in an array."""
    arrays = f"::{use.type}[]"
    for label in labels:
        literal = sql.Literal(label).as_string(run.connection).strip()
        if f"{literal}::{use.type}" in text:
            return True
    for piece in text.split(arrays)[:-1]:
        constant = piece[piece.rfind("'{") :]
        if constant.startswith("'{") and run.one(
            sql.SQL("SELECT {}::text[] && {}::text[]").format(verbatim(constant), sql.Literal(list(labels)))
        ):
            return True
    return False


def _comment(run: Run, on: sql.Composable, text: str | None) -> None:
    if text is not None:
        run.execute(sql.SQL("COMMENT ON {} IS {}").format(on, sql.Literal(text)))


def _parts(run: Run, query: str, name: str) -> Iterator[Part]:
    for table, part, definition, comment in run.execute(query, [name]):
        yield Part(table=table, name=part, definition=definition, comment=comment)


_TYPES = """
    WITH own AS (
      SELECT oid, typarray FROM pg_catalog.pg_type WHERE oid = %s::pg_catalog.regtype
    ), types AS (
      SELECT oid, false AS array FROM own
      UNION ALL
      SELECT typarray, true FROM own
    ), uses AS (
      SELECT d.classid, d.objid, d.objsubid
      FROM pg_catalog.pg_depend AS d
      JOIN types ON types.oid = d.refobjid
      WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid NOT IN (SELECT oid FROM types)
    )
"""
# Partitions and heirs follow their parents, so only the topmost column, constraint or index counts.
_COLUMNS = f"""{_TYPES}
    SELECT c.oid::bigint, c.oid::pg_catalog.regclass::text, a.attname, types.array,
           coalesce((SELECT sum(pg_catalog.pg_total_relation_size(relid)) FROM pg_catalog.pg_partition_tree(c.oid)),
                    pg_catalog.pg_total_relation_size(c.oid))::bigint
    FROM pg_catalog.pg_attribute AS a
    JOIN types ON types.oid = a.atttypid
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attinhcount = 0
    ORDER BY 2, 3
"""
_DEFAULTS = f"""{_TYPES}
    SELECT DISTINCT c.oid::pg_catalog.regclass::text, a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
    FROM pg_catalog.pg_attrdef AS d
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    JOIN pg_catalog.pg_class AS c ON c.oid = d.adrelid
    WHERE a.attgenerated = ''
      AND (a.atttypid IN (SELECT oid FROM types)
           OR d.oid IN (SELECT objid FROM uses WHERE classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass))
    ORDER BY 1, 2
"""
_CHECKS = f"""{_TYPES}
    SELECT DISTINCT c.conrelid::pg_catalog.regclass::text, c.conname, pg_catalog.pg_get_constraintdef(c.oid),
           pg_catalog.obj_description(c.oid, 'pg_constraint')
    FROM pg_catalog.pg_constraint AS c
    JOIN uses ON uses.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND uses.objid = c.oid
    WHERE c.contype = 'c' AND c.coninhcount = 0
    ORDER BY 1, 2
"""
_INDEXES = f"""{_TYPES}
    SELECT DISTINCT i.indrelid::pg_catalog.regclass::text, i.indexrelid::pg_catalog.regclass::text,
           pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.obj_description(i.indexrelid, 'pg_class')
    FROM pg_catalog.pg_index AS i
    JOIN uses ON uses.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND uses.objid = i.indexrelid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = i.indexrelid)
    ORDER BY 1, 2
"""
_OTHERS = f"""{_TYPES}
    SELECT DISTINCT pg_catalog.pg_describe_object(u.classid, u.objid, u.objsubid)
    FROM uses AS u
    LEFT JOIN pg_catalog.pg_class AS c ON u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = u.objid
    LEFT JOIN pg_catalog.pg_constraint AS k
           ON u.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = u.objid
    LEFT JOIN pg_catalog.pg_attrdef AS d
           ON u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.oid = u.objid
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE NOT coalesce(c.relkind IN ('r', 'p') AND u.objsubid > 0 OR c.relkind IN ('i', 'I'), false)
      AND NOT coalesce(k.contype = 'c' AND k.conrelid <> 0, false)
      AND NOT coalesce(a.attgenerated = '', false)
    UNION
    SELECT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum)
    FROM pg_catalog.pg_attribute AS a
    JOIN types ON types.oid = a.atttypid
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE c.relkind IN ('v', 'm', 'c', 'f') AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY 1
"""
