"""What happened to a catalog besides migrations: the live one against the one they led to.

After each step the engine records the catalog it expects, and the latest record is in force. It carries over only
what a revision changed, so an index dropped by hand stays missing, however many revisions follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import tuple_row

from hansa.migrate.catalog.differences import Difference, differences
from hansa.migrate.catalog.errors import NothingToCompare, SchemaMissing
from hansa.migrate.catalog.snapshot import Snapshot, snapshot
from hansa.migrate.session import Connection, Session, looking


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the live catalog differs from the expected one."""

    event: int
    """The event of the ledger after which this catalog was expected."""
    recorded_at: datetime
    expected: str
    """Digest of the expected catalog."""
    found: str
    """Digest of the live one; unlike the differences it tells partitions that a policy made."""
    differences: tuple[Difference, ...]
    """What a statement can notice."""
    soft: tuple[Difference, ...]
    """What only shows where columns are not named: their order."""

    @property
    def ok(self) -> bool:
        return not self.differences

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(one.sentence for one in (*self.differences, *self.soft))


def drift(dsn: str) -> Drift:
    """Compare the catalog with the expected one; nothing is written. Partitions kept by a policy may come and go.

    Raises NothingToCompare, UnreadableSnapshot.
    """
    with looking(dsn) as connection:
        record = _latest(connection)
        if record is None:
            raise NothingToCompare(
                "no catalog was recorded yet, so there is nothing to compare with; the next `up` or `baseline` records it"
            )
        event, at, expected_then = record
        found = snapshot(connection)
        changes = differences(*without_kept_partitions(expected_then, found, kept_parents(connection)))
    return Drift(
        event=event,
        recorded_at=at,
        expected=expected_then.digest,
        found=found.digest,
        differences=tuple(one for one in changes if not one.soft),
        soft=tuple(one for one in changes if one.soft),
    )


def diff(
    dsn_a: str, dsn_b: str, *, schemas: Sequence[str] | None = None, owners: bool = False
) -> tuple[Difference, ...]:
    """What is different in the second database, seen from the first.

    The same objects may belong to other roles there, unless `owners` counts. Raises SchemaMissing.
    """
    with looking(dsn_a) as connection_a, looking(dsn_b) as connection_b:
        for schema in schemas or ():
            if not (_has_schema(connection_a, schema) or _has_schema(connection_b, schema)):
                raise SchemaMissing(f"schema {schema} is in neither database")
        before, after = snapshot(connection_a, schemas=schemas), snapshot(connection_b, schemas=schemas)
    if not owners:
        before, after = before.without_aspect("owner"), after.without_aspect("owner")
    return differences(before, after)


def remember(where: Session | Connection, n: int, expected: Snapshot) -> None:
    """Record, in the current transaction, the catalog that is expected after event `n`."""
    connection = where.connection if isinstance(where, Session) else where
    connection.execute(
        """
        INSERT INTO mig.catalog_snapshots (n, digest, objects, at)
        VALUES (%s, %s, %s::pg_catalog.jsonb, pg_catalog.clock_timestamp())
        """,
        [n, expected.digest, expected.to_json()],
    )


def expected(connection: Connection) -> Snapshot | None:
    """The catalog that is expected now; None as long as none was recorded. Raises UnreadableSnapshot."""
    record = _latest(connection)
    return None if record is None else record[2]


def kept_parents(connection: Connection) -> frozenset[str]:
    """The partitioned tables whose partitions a policy makes and drops, by name."""
    if not _has_table(connection, "mig.partition_policies"):
        return frozenset()
    cursor = connection.cursor(row_factory=tuple_row).execute("""
        SELECT pg_catalog.concat_ws('.', pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname))
        FROM mig.partition_policies AS p
        JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(p.parent)
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    """)
    return frozenset(str(parent) for (parent,) in cursor.fetchall())


def without_kept_partitions(before: Snapshot, after: Snapshot, parents: frozenset[str]) -> tuple[Snapshot, Snapshot]:
    """Both catalogs without the partitions of these tables, also where only one of them has it attached."""
    partitions = before.partitions_of(parents) | after.partitions_of(parents)
    return before.without(partitions), after.without(partitions)


def _latest(connection: Connection) -> tuple[int, datetime, Snapshot] | None:
    if not _has_table(connection, "mig.catalog_snapshots"):
        return None
    cursor = connection.cursor(row_factory=tuple_row).execute(
        "SELECT n, at, objects::text FROM mig.catalog_snapshots ORDER BY n DESC LIMIT 1"
    )
    row = cursor.fetchone()
    return None if row is None else (row[0], row[1], Snapshot.from_json(row[2]))


def _has_table(connection: Connection, name: str) -> bool:
    row = connection.cursor(row_factory=tuple_row).execute("SELECT pg_catalog.to_regclass(%s)", [name]).fetchone()
    return row is not None and row[0] is not None


def _has_schema(connection: Connection, name: str) -> bool:
    cursor = connection.cursor(row_factory=tuple_row)
    row = cursor.execute("SELECT FROM pg_catalog.pg_namespace WHERE nspname = %s", [name]).fetchone()
    return row is not None
