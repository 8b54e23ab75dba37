"""Tables of every kind that an operation can work on, partitioned ones among them."""

from dataclasses import dataclass

from psycopg import sql

from hansa.migrate.online.operation import Run
from hansa.migrate.online.relations import NoSuchColumn, NoSuchTable, Relation, refuse_hidden_rows

ORDINARY = "r"
PARTITIONED = "p"
MATERIALIZED = "m"
WRITABLE = (ORDINARY, PARTITIONED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    number: int
    name: str
    type: str
    not_null: bool
    default: str | None
    """Expression as PostgreSQL writes it; None without one, and for generated columns."""
    generated: bool
    identity: bool

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    oid: int
    schema: str
    name: str
    kind: str
    """As pg_class.relkind."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """Columns of the primary key; empty without one."""
    label: str
    """Qualified, and quoted where needed."""
    rows: int
    """Estimate, partitions included."""

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    @property
    def relation(self) -> Relation:
        """The same, for what goes through a table by its key."""
        return Relation(
            oid=self.oid, schema=self.schema, name=self.name, label=self.label, rows=self.rows, size=0, hides_rows=False
        )

    @property
    def partitioned(self) -> bool:
        return self.kind == PARTITIONED

    @property
    def rows_of_its_own(self) -> sql.Composable:
        """What follows FROM: all partitions, but not the rows of tables that inherit."""
        return self.identifier if self.partitioned else sql.SQL("ONLY {}").format(self.identifier)

    def has(self, column: str) -> bool:
        return any(found.name == column for found in self.columns)

    def column(self, name: str) -> Column:
        """Raises NoSuchColumn."""
        for found in self.columns:
            if found.name == name:
                return found
        raise NoSuchColumn(f"{self.label} has no column {name}")

    def sibling(self, name: str) -> sql.Identifier:
        """Something else in the same schema."""
        return sql.Identifier(self.schema, name)


def table_of(run: Run, name: str, *, kinds: tuple[str, ...] = WRITABLE) -> Table:
    """The table of that name. Raises NoSuchTable, RowsHidden."""
    rows = run.execute(
        """
        SELECT c.oid::bigint, n.nspname, c.relname, c.relkind, pg_catalog.format('%%I.%%I', n.nspname, c.relname),
               (WITH RECURSIVE tree AS (
                  SELECT c.oid, c.reltuples, c.relkind
                  UNION ALL
                  SELECT p.oid, p.reltuples, p.relkind
                  FROM tree
                  JOIN pg_catalog.pg_inherits AS i ON i.inhparent = tree.oid
                  JOIN pg_catalog.pg_class AS p ON p.oid = i.inhrelid
                )
                SELECT coalesce(sum(greatest(reltuples, 0)) FILTER (WHERE relkind <> 'p'), 0) FROM tree)::bigint
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = pg_catalog.to_regclass(%s)
        """,
        [name],
    )
    if not rows:
        raise NoSuchTable(f"there is no table {name}")
    oid, schema, relation, kind, label, count = rows[0]
    if kind not in kinds:
        raise NoSuchTable(f"{name} is a view, or something else that this cannot be done with")
    refuse_hidden_rows(run, [oid])
    key = run.execute(
        """
        SELECT a.attname
        FROM pg_catalog.pg_index AS i
        CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indrelid = %s AND i.indisprimary AND k.place <= i.indnkeyatts
        ORDER BY k.place
        """,
        [oid],
    )
    return Table(
        oid=oid,
        schema=schema,
        name=relation,
        kind=kind,
        columns=_columns(run, oid),
        key=tuple(column for (column,) in key),
        label=label,
        rows=count,
    )


def _columns(run: Run, oid: int) -> tuple[Column, ...]:
    rows = run.execute(
        """
        SELECT a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
               pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '', a.attidentity <> ''
        FROM pg_catalog.pg_attribute AS a
        LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
        """,
        [oid],
    )
    return tuple(
        Column(
            number=number,
            name=name,
            type=kind,
            not_null=not_null,
            default=None if generated else default,
            generated=generated,
            identity=identity,
        )
        for number, name, kind, not_null, default, generated, identity in rows
    )


def columns_of(table: Table, names: tuple[str, ...]) -> tuple[Column, ...]:
    """These columns of a table. Raises NoSuchColumn."""
    return tuple(table.column(name) for name in names)


def listed(names: tuple[str, ...]) -> sql.Composed:
    """Names with commas between them."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)
