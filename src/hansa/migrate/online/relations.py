"""What the catalog says about a table and one of its columns: all that a change of the column has to carry over.

Everything is a frozen value of plain entries, so an operation can keep it among its facts. Names that PostgreSQL spells
out are qualified, whatever the session's search path is.
"""

from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import LiteralString, cast

from psycopg import sql

from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.operation import Row, Run

OURS = "~mig"
"""How names of our triggers begin. Triggers fire by name, and ours must see what those of users made of the row."""
INSERT, DELETE, UPDATE = 4, 8, 16
"""Bits of pg_trigger.tgtype."""


class NoSuchTable(OperationRefused):
    """The named table does not exist, or is not an ordinary table of its own."""


class NoSuchColumn(OperationRefused):
    """The named column does not exist, or is computed from others."""


class NoSuchType(OperationRefused):
    """The named type does not exist, or is not of the kind that is needed."""


class RowsHidden(OperationRefused):
    """Row-level security hides rows from the engine's role, and the revision does not say what lifts it."""


class TriggersWouldFire(OperationRefused):
    """Triggers of users would run for what the engine writes, and change more than the operation says."""


class InTheWay(OperationRefused):
    """Other objects depend on the column in a way that the operation cannot carry over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """An ordinary table."""

    oid: int
    schema: str
    name: str
    label: str
    """Qualified and quoted where needed, as SQL takes it."""
    rows: int
    """Estimate."""
    size: int
    """Bytes, with indexes and what is stored out of line."""
    hides_rows: bool
    """Whether row-level security applies to the engine's role."""

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A privilege on one column."""

    privilege: str
    grantee: str
    """As GRANT takes it."""
    grantable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that is stored."""

    name: str
    number: int
    type: str
    """Qualified, with its length or precision."""
    array: bool
    not_null: bool
    not_null_name: str | None
    """Name of the constraint behind it, where the server has one (18 and later)."""
    not_null_comment: str | None
    default: str | None
    """Expression."""
    comment: str | None
    statistics: int | None
    """Statistics target; None for the server's own."""
    options: tuple[str, ...]
    """As in `n_distinct=5`."""
    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One column or expression of an index."""

    text: str | None
    """None for the column that is being changed."""
    stored: bool
    """Only carried along, by INCLUDE."""
    collation: str
    """With the operator class, as CREATE INDEX takes them; means nothing for another type."""
    order: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index that has the column among its terms, with the constraint it serves."""

    name: str
    unique: bool
    nulls_distinct: bool
    method: str
    terms: tuple[Term, ...]
    options: str
    tablespace: str | None
    predicate: str | None
    comment: str | None
    clustered: bool
    replica_identity: bool
    constraint: str | None
    """What follows UNIQUE USING INDEX, for a constraint of the same name; None for a plain index."""
    constraint_comment: str | None

    def definition(self, name: str, table: Relation, column: str, *, retyped: bool, concurrently: bool) -> sql.Composed:
        """CREATE INDEX with another name, over a column of another name and perhaps of another type."""
        keys = [_term(term, column, retyped=retyped) for term in self.terms if not term.stored]
        stored = [_term(term, column, retyped=retyped) for term in self.terms if term.stored]
        parts: list[sql.Composable] = [
            sql.SQL("CREATE UNIQUE INDEX" if self.unique else "CREATE INDEX"),
            sql.SQL("CONCURRENTLY" if concurrently else ""),
            sql.Identifier(name),
            sql.SQL("ON {} USING {} ({})").format(
                table.identifier, sql.Identifier(self.method), sql.SQL(", ").join(keys)
            ),
        ]
        if stored:
            parts.append(sql.SQL("INCLUDE ({})").format(sql.SQL(", ").join(stored)))
        if not self.nulls_distinct:
            parts.append(sql.SQL("NULLS NOT DISTINCT"))
        if self.options:
            parts.append(sql.SQL("WITH ({})").format(verbatim(self.options)))
        if self.tablespace is not None:
            parts.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(self.tablespace)))
        if self.predicate is not None:
            parts.append(sql.SQL("WHERE {}").format(verbatim(self.predicate)))
        return sql.SQL(" ").join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A CHECK constraint over the column alone."""

    name: str
    definition: str
    """What follows its name, without NOT VALID."""
    expression: str
    valid: bool
    comment: str | None


def verbatim(text: str) -> sql.SQL:
    """Text that is SQL already."""
    return sql.SQL(cast("LiteralString", text))  # it comes from the catalog, or was composed before it was stored


@contextmanager
def spelled_out(run: Run) -> Generator[None]:
    """What PostgreSQL deparses in here is qualified."""
    with run.connection.transaction(force_rollback=True):  # and so the search path is what it was afterwards
        run.execute("SET LOCAL search_path = ''")
        yield


def relation(run: Run, name: str) -> Relation:
    """The ordinary table of that name. Raises NoSuchTable."""
    found = run.execute(
        """
        SELECT c.oid::bigint, n.nspname, c.relname, pg_catalog.format('%%I.%%I', n.nspname, c.relname),
               CASE WHEN c.reltuples >= 0 AND c.relpages > 0
                    THEN (c.reltuples / c.relpages * pg_catalog.pg_relation_size(c.oid) / 8192)::bigint
                    ELSE pg_catalog.pg_relation_size(c.oid) / 80 END,
               pg_catalog.pg_total_relation_size(c.oid), pg_catalog.row_security_active(c.oid), c.relkind::text,
               c.relispartition
               OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent)),
               c.reloftype <> 0
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = pg_catalog.to_regclass(%s)
        """,
        [name],
    )
    if not found:
        raise NoSuchTable(f"there is no table {name}")
    *facts, kind, inherits, typed = found[0]
    if kind != "r" or inherits or typed:
        raise NoSuchTable(f"{name} is a view, or partitioned, inherited or typed; it takes an ordinary table")
    names = ("oid", "schema", "name", "label", "rows", "size", "hides_rows")
    return Relation(**dict(zip(names, facts, strict=True)))


def column(run: Run, table: Relation, name: str) -> Column:
    """A stored column of a table. Raises NoSuchColumn."""
    with spelled_out(run):
        found = run.execute(
            """
            SELECT a.attname, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typcategory = 'A',
                   a.attnotnull, n.conname, pg_catalog.obj_description(n.oid, 'pg_constraint'),
                   pg_catalog.pg_get_expr(d.adbin, d.adrelid),
                   pg_catalog.col_description(a.attrelid, a.attnum), nullif(a.attstattarget, -1),
                   coalesce(a.attoptions, '{}'), a.attgenerated <> '' OR a.attidentity <> ''
            FROM pg_catalog.pg_attribute AS a
            JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_attrdef AS d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
            LEFT JOIN pg_catalog.pg_constraint AS n
                   ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum]
            WHERE a.attrelid = %s AND a.attname = %s AND a.attnum > 0 AND NOT a.attisdropped
            """,
            [table.oid, name],
        )
        if not found or found[0][-1]:
            raise NoSuchColumn(f"{table.label} has no column {name} that is stored as it is written")
        grants = run.execute(
            """
            SELECT p.privilege_type,
                   CASE p.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END, p.is_grantable
            FROM pg_catalog.pg_attribute AS a
            CROSS JOIN pg_catalog.aclexplode(a.attacl) AS p
            LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = p.grantee
            WHERE a.attrelid = %s AND a.attnum = %s
            ORDER BY 1, 2
            """,
            [table.oid, found[0][1]],
        )
    *facts, options, _ = found[0]
    names = (
        *("name", "number", "type", "array", "not_null", "not_null_name", "not_null_comment"),
        *("default", "comment", "statistics"),
    )
    return Column(
        **dict(zip(names, facts, strict=True)),
        options=tuple(options),
        grants=tuple(Grant(privilege=what, grantee=who, grantable=grantable) for what, who, grantable in grants),
    )


def columns(run: Run, table: Relation) -> dict[str, str]:
    """Name and type of all columns that take values, in their order."""
    with spelled_out(run):
        rows = run.execute(
            """
            SELECT attname, pg_catalog.format_type(atttypid, atttypmod)
            FROM pg_catalog.pg_attribute
            WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
            ORDER BY attnum
            """,
            [table.oid],
        )
    return dict(rows)


def has_column(run: Run, table: Relation, name: str) -> bool:
    return name in columns(run, table)


def enum(run: Run, name: str) -> tuple[str, tuple[str, ...]]:
    """Qualified name and labels of an enum type. Raises NoSuchType."""
    oid = run.one(
        "SELECT oid::bigint FROM pg_catalog.pg_type WHERE typtype = 'e' AND oid = pg_catalog.to_regtype(%s)", [name]
    )
    if oid is None:
        raise NoSuchType(f"there is no enum type {name}; make it in up.sql")
    with spelled_out(run):
        qualified = run.one("SELECT pg_catalog.format_type(%s::oid, NULL)", [oid])
    labels = run.execute("SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = %s ORDER BY enumsortorder", [oid])
    return qualified, tuple(label for (label,) in labels)


def indexes(run: Run, table: Relation, of: Column) -> tuple[Index, ...]:
    """The indexes that have the column as a term of their own, unique constraints among them.

    Raises InTheWay when one computes with the column, is broken, or has no counterpart for an enum.
    """
    with spelled_out(run):
        kind = "anyarray" if of.array else "anyenum"
        return tuple(_index(run, of, row) for row in run.execute(_INDEXES, [of.number, kind, table.oid]))


def checks(run: Run, table: Relation, of: Column) -> tuple[Check, ...]:
    """The CHECK constraints over the column and nothing else."""
    with spelled_out(run):
        rows = run.execute(
            """
            SELECT conname, pg_catalog.pg_get_constraintdef(oid), pg_catalog.pg_get_expr(conbin, conrelid),
                   convalidated, pg_catalog.obj_description(oid, 'pg_constraint')
            FROM pg_catalog.pg_constraint
            WHERE conrelid = %s AND contype = 'c' AND conkey = ARRAY[%s::smallint]
            ORDER BY conname
            """,
            [table.oid, of.number],
        )
    return tuple(
        Check(
            name=name,
            definition=definition.removesuffix(" NOT VALID"),
            expression=expression,
            valid=valid,
            comment=comment,
        )
        for name, definition, expression, valid, comment in rows
    )


def refuse_dependents(run: Run, table: Relation, of: Column, *, carried: Collection[str]) -> None:
    """Raise InTheWay with a list of what depends on the column and is none of the carried indexes and constraints."""
    with spelled_out(run):
        rows = run.execute(
            """
            SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
            FROM pg_catalog.pg_depend AS d
            LEFT JOIN pg_catalog.pg_attrdef AS own
                   ON d.classid = 'pg_catalog.pg_attrdef'::regclass
                  AND (own.oid, own.adrelid, own.adnum) = (d.objid, d.refobjid, d.refobjsubid)
            LEFT JOIN pg_catalog.pg_class AS i ON d.classid = 'pg_catalog.pg_class'::regclass AND i.oid = d.objid
            LEFT JOIN pg_catalog.pg_constraint AS c
                   ON d.classid = 'pg_catalog.pg_constraint'::regclass AND c.oid = d.objid AND c.conrelid = d.refobjid
            WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = %s AND d.refobjsubid = %s
              AND own.oid IS NULL
              AND NOT coalesce(i.relkind = 'i' AND i.relname = ANY(%s), false)
              AND NOT coalesce(c.contype IN ('n', 'c', 'u') AND (c.contype = 'n' OR c.conname = ANY(%s)), false)
            ORDER BY 1
            """,
            [table.oid, of.number, list(carried), list(carried)],
        )
    if rows:
        listing = "; ".join(text for (text,) in rows)
        raise InTheWay(
            f"{table.label}.{of.name} is used by: {listing}. Drop what is listed in a revision before this one, "
            "and make it again after it in terms of the new column"
        )


def referencing(run: Run, tables: Iterable[int]) -> set[int]:
    """These tables with all that refer to them by foreign keys, directly or through others."""
    rows = run.execute(
        """
        WITH RECURSIVE reached AS (
          SELECT unnest(%s::oid[]) AS oid
          UNION
          SELECT f.conrelid FROM pg_catalog.pg_constraint AS f
          JOIN reached ON reached.oid = f.confrelid
          WHERE f.contype = 'f' AND f.conparentid = 0
        )
        SELECT oid::bigint FROM reached
        """,
        [list(tables)],
    )
    return {oid for (oid,) in rows}


def refuse_hidden_rows(run: Run, tables: Iterable[int]) -> None:
    """Make sure that the engine sees every row. Raises RowsHidden."""
    hidden = run.execute(
        "SELECT t::regclass::text FROM unnest(%s::oid[]) AS t WHERE pg_catalog.row_security_active(t) ORDER BY 1",
        [list(tables)],
    )
    if hidden and not run.facts.get("settings"):
        listing = ", ".join(name for (name,) in hidden)
        raise RowsHidden(
            f"row-level security of {listing} applies to {run.one('SELECT current_user')}, so rows may be overlooked; "
            "run as a role with BYPASSRLS, or say in [settings] of meta.toml what lets it see all rows"
        )


def silenced(run: Run, tables: Iterable[int], events: int, triggers: str) -> bool:
    """Whether the engine's writes keep triggers of users quiet, because it may; False when they are meant to fire.

    `events` are bits of pg_trigger.tgtype. Raises TriggersWouldFire when they can neither be silenced nor are wanted.
    """
    if triggers == FIRE:
        return False
    may = run.one(
        """
        SELECT rolsuper OR pg_catalog.has_parameter_privilege('session_replication_role', 'SET')
        FROM pg_catalog.pg_roles WHERE rolname = current_user
        """
    )
    firing = run.execute(
        """
        SELECT tgname, tgrelid::regclass::text FROM pg_catalog.pg_trigger
        WHERE tgrelid = ANY(%s::oid[]) AND NOT tgisinternal AND NOT pg_catalog.starts_with(tgname, %s)
          AND tgenabled::text IN ('A', %s) AND tgtype::int & %s <> 0 AND cardinality(tgattr::int2[]) = 0
        ORDER BY 1, 2
        """,
        [list(tables), OURS, "R" if may else "O", events],
    )
    if firing:
        listing = ", ".join(f"{name} on {table}" for name, table in firing)
        raise TriggersWouldFire(
            f"the engine's own writes would fire {listing}; let the role SET session_replication_role, "
            f'or say triggers = "{FIRE}" if they may'
        )
    return bool(may)


SKIP, FIRE = "skip", "fire"
"""What the entry `triggers` of an operation may say."""


def pin(run: Run, *, silent: bool) -> None:
    """For the current transaction: one text form for every value, and no triggers of users if they are to be silent."""
    run.execute(
        """
        SELECT pg_catalog.set_config(name, value, true)
        FROM (VALUES ('datestyle', 'ISO, MDY'), ('intervalstyle', 'postgres'), ('timezone', 'UTC'),
                     ('extra_float_digits', '1'), ('bytea_output', 'hex'), ('lc_monetary', 'C'),
                     ('xmloption', 'content')) AS forms (name, value)
        """
    )
    if silent:
        run.execute("SET LOCAL session_replication_role = replica")


def literals(texts: Iterable[str]) -> sql.Composed:
    """An array of texts."""
    return sql.SQL("{}::text[]").format(sql.Literal(list(texts)))


def _term(term: Term, column: str, *, retyped: bool) -> sql.Composable:
    if term.text is not None:
        return verbatim(term.text + term.collation + term.order)
    return sql.SQL("{}{}").format(sql.Identifier(column), verbatim(("" if retyped else term.collation) + term.order))


def _index(run: Run, of: Column, row: Row) -> Index:
    name, oid, computes, broken, has_class, *facts = row
    if computes:
        raise InTheWay(f"index {name} computes with {of.name}, in an expression or its predicate; drop it before")
    if broken:
        raise InTheWay(f"index {name} is not valid; drop it, or build it again")
    if not has_class:
        raise InTheWay(f"index {name} is of a kind that enums do not have; drop it before")
    terms = run.execute(_TERMS, [of.number, oid])
    names = (
        *("unique", "nulls_distinct", "method", "options", "tablespace", "predicate", "comment"),
        *("clustered", "replica_identity", "constraint", "constraint_comment"),
    )
    return Index(
        name=name,
        terms=tuple(
            Term(text=text, stored=stored, collation=collation, order=order) for text, stored, collation, order in terms
        ),
        **dict(zip(names, facts, strict=True)),
    )


# Variables of the node trees carry the number of their column; 0 is the whole row.
_INDEXES = r"""
    SELECT c.relname, c.oid::bigint,
           coalesce(i.indexprs::text, '') || coalesce(i.indpred::text, '') ~ of.mention,
           NOT i.indisvalid,
           array_position(i.indkey::int2[], of.number) >= i.indnkeyatts OR EXISTS (
             SELECT FROM pg_catalog.pg_opclass AS o
             WHERE o.opcmethod = c.relam AND o.opcdefault AND o.opcintype = of.kind
           ),
           i.indisunique, NOT i.indnullsnotdistinct, m.amname,
           coalesce((SELECT string_agg(pg_catalog.format('%%I=%%L', w.option_name, w.option_value), ', ')
                     FROM pg_catalog.pg_options_to_table(c.reloptions) AS w), ''),
           s.spcname, pg_catalog.pg_get_expr(i.indpred, i.indrelid),
           pg_catalog.obj_description(c.oid, 'pg_class'), i.indisclustered, i.indisreplident,
           CASE WHEN u.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED' WHEN u.condeferrable THEN 'DEFERRABLE'
                WHEN u.oid IS NOT NULL THEN '' END,
           pg_catalog.obj_description(u.oid, 'pg_constraint')
    FROM (SELECT n, k, ':varattno (0|' || n || ') ' FROM (VALUES (%s::int2, %s::regtype)) AS v (n, k))
         AS of (number, kind, mention)
    CROSS JOIN pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
    LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
    LEFT JOIN pg_catalog.pg_constraint AS u ON u.conindid = i.indexrelid AND u.conrelid = i.indrelid
                                           AND u.contype = 'u'
    WHERE i.indrelid = %s AND NOT i.indisprimary AND NOT i.indisexclusion
      AND (of.number = ANY(i.indkey::int2[])
           OR coalesce(i.indexprs::text, '') || coalesce(i.indpred::text, '') ~ of.mention)
    ORDER BY c.relname
"""
_TERMS = """
    SELECT CASE WHEN i.indkey[k.n - 1] <> %s THEN pg_catalog.pg_get_indexdef(i.indexrelid, k.n, false) END,
           k.n > i.indnkeyatts,
           CASE WHEN k.n > i.indnkeyatts THEN '' ELSE
             coalesce((SELECT pg_catalog.format(' COLLATE %%I.%%I', n.nspname, l.collname)
                       FROM pg_catalog.pg_collation AS l JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace
                       WHERE l.oid = i.indcollation[k.n - 1]), '')
             || (SELECT pg_catalog.format(' %%I.%%I', n.nspname, o.opcname)
                 FROM pg_catalog.pg_opclass AS o JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace
                 WHERE o.oid = i.indclass[k.n - 1])
             || coalesce((SELECT ' (' || string_agg(pg_catalog.format('%%I=%%L', w.option_name, w.option_value), ', ')
                                 || ')'
                          FROM pg_catalog.pg_attribute AS a
                          CROSS JOIN pg_catalog.pg_options_to_table(a.attoptions) AS w
                          WHERE a.attrelid = i.indexrelid AND a.attnum = k.n), '') END,
           CASE WHEN k.n > i.indnkeyatts OR NOT pg_catalog.pg_indexam_has_property(c.relam, 'can_order') THEN ''
                ELSE CASE WHEN i.indoption[k.n - 1] & 1 = 1 THEN ' DESC' ELSE ' ASC' END
                  || CASE WHEN i.indoption[k.n - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END END
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    CROSS JOIN LATERAL generate_series(1, i.indnatts::int) AS k (n)
    WHERE i.indexrelid = %s
    ORDER BY k.n
"""
