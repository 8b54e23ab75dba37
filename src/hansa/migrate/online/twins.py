"""A second column that always holds the same as the first, whichever of both is written.

While a rename rolls out, the old application knows one name and the new one the other. A trigger decides which of both a
client meant: the one that changed, and in a new row the one that is not what its default says.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from hansa.migrate.naming import fitting
from hansa.migrate.online import indexes, rebuilding, relations
from hansa.migrate.online.backfill import key_of, through
from hansa.migrate.online.defaults import is_constant
from hansa.migrate.online.errors import OperationRefused
from hansa.migrate.online.indexes import Wanted
from hansa.migrate.online.operation import Batch, Done, Run
from hansa.migrate.online.relations import OURS, InTheWay, pin, spelled_out, verbatim
from hansa.migrate.online.tables import Column, Table, table_of


class NoTwin(OperationRefused):
    """The column is of a kind that cannot be written under two names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinIndex:
    """An index over the twin, as there is one over the column."""

    name: str
    definition: str
    """What follows the table."""
    unique: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """Two columns that hold the same."""

    table: str
    """Qualified and quoted where needed."""
    real: str
    """The column that carries constraints, and wins when a client writes both."""
    twin: str
    type: str
    """With its collation."""
    default: str | None
    """What both have in a new row that says nothing; None: NULL, or a default that is computed for each row."""
    computed: bool
    """Whether the column's default is computed for each row; then the twin has none."""
    indexes: tuple[TwinIndex, ...]

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> "Twin":
        """The value that `facts` came from."""
        rest = {name: value for name, value in facts.items() if name != "indexes"}
        return cls(**rest, indexes=tuple(TwinIndex(**entry) for entry in facts["indexes"]))


def twin_of(run: Run, table: Table, column: Column, name: str) -> Twin:
    """The twin that a column would have under an interim name. Raises NoTwin, InTheWay."""
    if column.generated or column.identity:
        raise NoTwin(f"{table.label}.{column.name} is generated, so clients do not write it; rename it in an up.sql")
    computed = column.default is not None and not is_constant(run, column.type, column.default)
    if computed and not column.not_null:
        raise NoTwin(
            f"{table.label}.{column.name} takes NULL, and its default {column.default} is another one for each row: "
            "nobody could tell a NULL that a client means from one that says nothing; drop the default first"
        )
    _refuse_triggers(run, table, column)
    return Twin(
        table=table.label,
        real=column.name,
        twin=name,
        type=_type(run, table, column),
        default=None if computed else column.default,
        computed=computed,
        indexes=_indexes(run, table, column, name),
    )


def add(run: Run, twin: Twin, table: Table) -> None:
    """Add the twin, empty, in a short moment."""
    like = relations.column(run, table.relation, twin.real)
    name = sql.Identifier(twin.twin)
    run.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(table.identifier, name, verbatim(twin.type)))
    if twin.default is not None:  # for new rows only: a command of its own touches no old row
        run.execute(
            sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT {}").format(table.identifier, name, verbatim(twin.default))
        )
    rebuilding.dress(run, table.relation, twin.twin, like)


def follow(run: Run, twin: Twin, table: Table, name: str) -> None:
    """From now on each follows the other, by a trigger and a function of this name. Can be repeated."""
    real, other = sql.Identifier("new", twin.real), sql.Identifier("new", twin.twin)
    default = sql.SQL("({})::text").format(verbatim(twin.default or "NULL"))
    wins = sql.SQL("{}::text IS NOT DISTINCT FROM {} AND {}::text IS DISTINCT FROM {}").format(
        real, default, other, default
    )
    if twin.computed:
        wins = sql.SQL("{} IS NOT NULL").format(other)
    body = sql.SQL("""BEGIN
  IF TG_OP = 'INSERT' THEN
    IF {wins} THEN {real} := {other}; ELSE {other} := {real}; END IF;
  ELSIF {real}::text IS DISTINCT FROM {before}::text THEN {other} := {real};
  ELSIF {other}::text IS DISTINCT FROM {other_before}::text THEN {real} := {other};
  END IF;
  RETURN NEW;
END""").format(
        wins=wins,
        real=real,
        other=other,
        before=sql.Identifier("old", twin.real),
        other_before=sql.Identifier("old", twin.twin),
    )
    function, trigger = sql.Identifier("mig", name), sql.Identifier(OURS + name)
    run.execute(
        sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS {}").format(
            function, sql.Literal(body.as_string(run.connection))
        )
    )
    run.execute(
        sql.SQL("CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()").format(
            trigger, table.identifier, function
        )
    )
    run.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table.identifier, trigger))


def part(run: Run, twin: Twin, table: Table, name: str) -> None:
    """Drop the trigger, its function and the twin with its indexes, as far as they are there."""
    run.execute(sql.SQL("DROP TRIGGER IF EXISTS {} ON {}").format(sql.Identifier(OURS + name), table.identifier))
    run.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(sql.Identifier("mig", name)))
    run.execute(sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}").format(table.identifier, sql.Identifier(twin.twin)))


def fill(run: Run, twin: Twin, batch: Batch, *, silent: bool) -> Done:
    """Give the twin of the next rows what the column holds."""
    table = table_of(run, twin.table)
    pin(run, silent=silent)
    real, other = sql.Identifier("t", twin.real), sql.Identifier("t", twin.twin)
    return through(
        run,
        table.relation,
        key_of(run, table.relation),
        batch,
        lambda span: run.execute(
            sql.SQL("UPDATE {} AS t SET {} = {} WHERE {} AND {}::text IS DISTINCT FROM {}::text").format(
                table.identifier, sql.Identifier(twin.twin), real, span, other, real
            )
        ),
    )


def build_indexes(run: Run, twin: Twin) -> None:
    """Build the twin's indexes while others write. Outside of a transaction; can be repeated."""
    table = table_of(run, twin.table)
    for index in twin.indexes:
        wanted = Wanted(name=index.name, definition=index.definition, unique=index.unique)
        indexes.build(run, table, wanted)


def refuse_different(run: Run, twin: Twin) -> None:
    """Compare both in every row. Raises OperationRefused."""
    table = table_of(run, twin.table)
    wrong = run.one(
        sql.SQL("SELECT count(*) FROM {} WHERE {}::text IS DISTINCT FROM {}::text").format(
            table.rows_of_its_own, sql.Identifier(twin.real), sql.Identifier(twin.twin)
        )
    )
    if wrong:
        raise OperationRefused(
            f"{wrong} rows of {table.label} hold something else in {twin.real} than in {twin.twin}: "
            "somebody wrote past the trigger; take it back with `down`"
        )


def _type(run: Run, table: Table, column: Column) -> str:
    with spelled_out(run):
        found = run.one(
            """
            SELECT pg_catalog.format_type(a.atttypid, a.atttypmod)
                   || coalesce((SELECT pg_catalog.format(' COLLATE %%I.%%I', n.nspname, l.collname)
                                FROM pg_catalog.pg_collation AS l
                                JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace
                                WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), '')
            FROM pg_catalog.pg_attribute AS a
            JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
            WHERE a.attrelid = %s AND a.attnum = %s
            """,
            [table.oid, column.number],
        )
    assert isinstance(found, str)
    return found


def _indexes(run: Run, table: Table, column: Column, name: str) -> tuple[TwinIndex, ...]:
    """The indexes over the column in terms of the twin: PostgreSQL writes them down, on an empty copy."""
    copy = sql.Identifier("pg_temp", table.name)
    with run.connection.transaction(force_rollback=True):
        run.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING INDEXES)").format(
                sql.Identifier(table.name), table.identifier
            )
        )
        run.execute(
            sql.SQL("ALTER TABLE {} RENAME COLUMN {} TO {}").format(copy, column.identifier, sql.Identifier(name))
        )
        run.execute("SET LOCAL search_path = ''")
        schema = run.one("SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = pg_catalog.pg_my_temp_schema()")
        names = run.execute(
            """
            SELECT c.relname
            FROM pg_catalog.pg_index AS i
            JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = %s
            WHERE i.indrelid = %s::pg_catalog.regclass AND NOT i.indisexclusion
              AND (a.attnum = ANY (i.indkey::smallint[])
                   OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                              WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
                                AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
            ORDER BY c.relname
            """,
            [name, copy.as_string(run.connection)],
        )
        found = [indexes.find(run, schema, index) for (index,) in names]
    return tuple(
        TwinIndex(
            name=fitting(f"{table.name}_{column.name}", f"__twin{n}"),
            definition=each.definition,
            unique=each.unique,
        )
        for n, each in enumerate(found, start=1)
        if each is not None
    )


def _refuse_triggers(run: Run, table: Table, column: Column) -> None:
    """A trigger on UPDATE OF the column would not fire for who updates the twin."""
    rows = run.execute(
        """
        SELECT tgname
        FROM pg_catalog.pg_trigger
        WHERE tgrelid = %s AND NOT tgisinternal AND %s = ANY (tgattr::smallint[])
        ORDER BY tgname
        """,
        [table.oid, column.number],
    )
    if rows:
        names = ", ".join(name for (name,) in rows)
        raise InTheWay(
            f"{names} on {table.label} fires on UPDATE OF {column.name}, and would not for its old name; "
            "make it fire on every UPDATE first"
        )
