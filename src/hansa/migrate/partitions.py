"""Partitions by the clock: made before they are needed, archived and dropped when their time is over.

What each table wants is its row in mig.partition_policies. There is never a DEFAULT partition: it would take rows whose
own partition could then not be made any more, and no partition beside it could be detached without stopping the traffic.
So partitions are made ahead, and `partition_alarms` says when somebody stopped making them.

The functions commit for themselves, on a connection in autocommit, and can be called as often as one likes: what an
interrupted call left is finished by the next.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.pq import TransactionStatus

from hansa.migrate.archive import Archive, archive, archived, content
from hansa.migrate.errors import BadRequest, Refusal
from hansa.migrate.naming import fitting
from hansa.migrate.session import Connection

T = TypeVar("T")

LOCK = int.from_bytes(b"partitio")
LOCK_TIMEOUT_MS = 200
LOCK_TRIES = 50
LOCK_PAUSE_S = 0.1
MONDAY = datetime(2001, 1, 1, tzinfo=UTC)
"""Steps of days and hours are counted from here, so that a week begins with its Monday."""
_MONTHS_AND_SECONDS = """
    (extract(year FROM {0}) * 12 + extract(month FROM {0}))::integer,
    extract(epoch FROM {0} - pg_catalog.make_interval(
      months => (extract(year FROM {0}) * 12 + extract(month FROM {0}))::integer))::double precision
"""
BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
ONCE = "mig_once_"
"""Names of triggers that keep a key in a side table begin so; their arguments are that table and its columns."""


class UnfitPolicy(Refusal):
    """A partition policy speaks of a table that is not there, or not partitioned by one timestamptz range."""


class DefaultPartition(Refusal):
    """The table has a DEFAULT partition, beside which others can neither be made nor detached safely."""


class PartitionReferenced(Refusal):
    """Rows of a partition whose time is over are still referenced by foreign keys."""


class LockDenied(Refusal):
    """A table stayed locked by others for as long as we were willing to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Length of one partition: months, or days and hours; never both, because then none would begin at a round time."""

    months: int
    rest: timedelta

    def __post_init__(self) -> None:
        if bool(self.months) == bool(self.rest) or self.months < 0 or self.rest < timedelta():
            raise BadRequest("a partition spans either whole months or a number of days, hours and minutes")

    def floor(self, at: datetime) -> datetime:
        """Beginning of the partition that holds this instant."""
        at = at.astimezone(UTC)
        if not self.months:
            return at - (at - MONDAY) % self.rest
        month = at.year * 12 + at.month - 1
        return _month(month - month % self.months)

    def after(self, start: datetime, count: int = 1) -> datetime:
        """Beginning of the `count`th partition after the one that begins at `start`."""
        if not self.months:
            return start + count * self.rest
        return _month(start.year * 12 + start.month - 1 + count * self.months)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A row of mig.partition_policies with what the catalog says of its table."""

    parent: str
    """Partitioned table, qualified, as it was written."""
    oid: int
    schema: str
    table: str
    column: str
    span: Span
    ahead: int
    keep: bool
    archive: bool
    stem: str
    """What the names of partitions begin with."""

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition, from `start` up to but not including `end`."""

    schema: str
    table: str
    oid: int
    start: datetime
    end: datetime
    detaching: bool
    """Somebody was interrupted while detaching it."""

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Partitions are running out."""

    parent: str
    until: datetime
    """The first instant for which there is no partition."""
    wanted_until: datetime
    """Where `ensure_partitions` would have brought it by now."""

    @property
    def sentence(self) -> str:
        return (
            f"{self.parent} has partitions until {self.until:%Y-%m-%d %H:%M} UTC, "
            f"and should have them until {self.wanted_until:%Y-%m-%d %H:%M}; run ensure-partitions"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A partition that is gone."""

    parent: str
    partition: str
    rows: int
    archive: Archive | None
    """Where its rows are; None where the policy wants them dropped."""


def policies(connection: Connection) -> tuple[Policy, ...]:
    """What is to be kept in partitions, by table. Raises UnfitPolicy, DefaultPartition."""
    if connection.execute("SELECT pg_catalog.to_regclass('mig.partition_policies')").fetchone() == (None,):
        return ()
    rows = connection.execute(f"""
        SELECT p.parent, c.oid::bigint, n.nspname, c.relname, a.attname, {_MONTHS_AND_SECONDS.format("p.step")},
               p.ahead, p.keep IS NOT NULL, p.archive,
               t.partstrat = 'r' AND t.partnatts = 1 AND a.atttypid = 'pg_catalog.timestamptz'::pg_catalog.regtype,
               t.partdefid <> 0
        FROM mig.partition_policies AS p
        LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(p.parent)
        LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_partitioned_table AS t ON t.partrelid = c.oid
        LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = t.partattrs[0]
        ORDER BY p.parent
    """)
    return tuple(_policy(*row) for row in rows)


def span_of(connection: Connection, step: str) -> Span:
    """The span that an interval, as PostgreSQL writes them, stands for. Raises BadRequest, psycopg.DataError."""
    row = connection.execute(f"SELECT {_MONTHS_AND_SECONDS.format('i')} FROM (SELECT %s::interval AS i) AS s", [step])
    [(months, seconds)] = row.fetchall()
    return Span(months=months, rest=timedelta(seconds=seconds))


def ensure_partitions(connection: Connection, *, at: datetime) -> tuple[str, ...]:
    """Make the partition of this instant and as many after it as each policy wants; returns the names of the new ones.

    A new partition is made beside its table and attached, so neither readers nor writers wait for it.
    Raises UnfitPolicy, DefaultPartition, LockDenied.
    """
    _refuse_transaction(connection)
    made: list[str] = []
    for policy in policies(connection):
        until = policy.span.after(policy.span.floor(at), policy.ahead + 1)
        made += _patiently(
            connection, lambda policy=policy, until=until: make_partitions(connection, policy, since=at, until=until)
        )
    return tuple(made)


def partition_alarms(connection: Connection, *, at: datetime) -> tuple[Alarm, ...]:
    """Tables whose partitions end nearer than half of what they should have ahead."""
    alarms: list[Alarm] = []
    for policy in policies(connection):
        start = policy.span.floor(at)
        until = _covered_until(partitions_of(connection, policy), at)
        if until < policy.span.after(start, 1 + (policy.ahead + 1) // 2):
            wanted = policy.span.after(start, policy.ahead + 1)
            alarms.append(Alarm(parent=policy.parent, until=until, wanted_until=wanted))
    return tuple(alarms)


def retire_partitions(connection: Connection, *, at: datetime, archive_to: Path) -> tuple[Retired, ...]:
    """Archive and drop the partitions that are older than their policy keeps, the oldest first.

    A partition is written to a file, the file is read back and compared, the partition is detached while others read
    and write, compared with the file once more, and only then dropped; its keys leave the side tables with it.
    Raises PartitionReferenced before a partition is touched, ArchiveMismatch, UnfitPolicy, LockDenied.
    """
    _refuse_transaction(connection)
    found = [policy for policy in policies(connection) if policy.keep]
    return tuple(retired for policy in found for retired in _retire(connection, policy, at, archive_to))


def partitions_of(connection: Connection, policy: Policy) -> tuple[Partition, ...]:
    """The partitions of a table in the order of their ranges."""
    with connection.transaction():
        connection.execute("SET LOCAL TimeZone = 'UTC'")
        rows = connection.execute(
            """
            SELECT n.nspname, c.relname, c.oid::bigint,
                   nullif(substring(b.bound FROM $$FROM \\('([^']*)'\\)$$), '-infinity')::timestamptz,
                   nullif(substring(b.bound FROM $$TO \\('([^']*)'\\)$$), 'infinity')::timestamptz,
                   i.inhdetachpending
            FROM pg_catalog.pg_inherits AS i
            JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
            JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound) AS b
            WHERE i.inhparent = %s
            ORDER BY 4 NULLS FIRST
            """,
            [policy.oid],
        ).fetchall()
    return tuple(
        Partition(
            schema=schema, table=table, oid=oid, start=start or BEGINNING, end=end or END, detaching=bool(detaching)
        )
        for schema, table, oid, start, end, detaching in rows
    )


def make_partitions(connection: Connection, policy: Policy, *, since: datetime, until: datetime) -> list[str]:
    """Make the partitions that are missing between two instants, in the current transaction; returns their names."""
    connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", [LOCK])
    there = partitions_of(connection, policy)
    made: list[str] = []
    start = policy.span.floor(since)
    while start < until:
        end = policy.span.after(start)
        for first, last in _gaps(there, start, end):
            made.append(_make(connection, policy, first, last))
        start = end
    return made


def _gaps(there: Sequence[Partition], start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The parts of a range without a partition; more than none or all of it only after a change of the step."""
    for partition in there:
        if partition.end <= start or partition.start >= end:
            continue
        if partition.start > start:
            yield start, partition.start
        start = partition.end
    if start < end:
        yield start, end


def _make(connection: Connection, policy: Policy, start: datetime, end: datetime) -> str:
    """Beside its table first: CREATE TABLE ... PARTITION OF would stop everybody on the parent, ATTACH does not."""
    name = sql.Identifier(policy.schema, partition_name(policy.stem, start))
    connection.execute(
        sql.SQL("""
          CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED
            INCLUDING STORAGE INCLUDING COMPRESSION)
        """).format(name, policy.name)
    )
    for statement in _properties(connection, policy, name):
        connection.execute(statement)
    connection.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            policy.name, name, sql.Literal(start), sql.Literal(end)
        )
    )
    return f"{policy.schema}.{partition_name(policy.stem, start)}"


def _properties(connection: Connection, policy: Policy, name: sql.Identifier) -> Iterator[sql.Composed]:
    """Who comes through the parent is checked there; nobody but its owner comes in directly."""
    row = connection.execute(
        "SELECT pg_catalog.pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, relpersistence"
        " FROM pg_catalog.pg_class WHERE oid = %s",
        [policy.oid],
    ).fetchone()
    assert row is not None
    owner, secured, forced, persistence = row
    if persistence == "u":
        yield sql.SQL("ALTER TABLE {} SET UNLOGGED").format(name)
    yield sql.SQL("ALTER TABLE {} OWNER TO {}").format(name, sql.Identifier(owner))
    if secured:
        yield sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(name)
    if forced:
        yield sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(name)


def partition_name(stem: str, start: datetime) -> str:
    """Name of the partition that begins then."""
    clock = "" if start == start.replace(hour=0, minute=0, second=0, microsecond=0) else f"{start:t%H%M%S}"
    return fitting(stem, f"_p{start:%Y%m%d}{clock}")


def _retire(connection: Connection, policy: Policy, at: datetime, archive_to: Path) -> Iterator[Retired]:
    partitions = partitions_of(connection, policy)
    for partition in partitions:
        if partition.detaching:
            _finish_detaching(connection, policy, partition)
    for partition in _left_behind(connection, policy):
        yield _finish(connection, policy, partition, archive_to)
    limit = _limit(connection, policy, at)
    for partition in partitions:
        if not partition.detaching and partition.end <= limit:
            _refuse_referenced(connection, policy, partition)
            if policy.archive:
                archive(connection, partition.oid, partition.name, archive_to / f"{partition.label}.copy.gz")
            _detach(connection, policy, partition)
            yield _finish(connection, policy, partition.label, archive_to)


def _limit(connection: Connection, policy: Policy, at: datetime) -> datetime:
    """What ends before this instant is too old; as PostgreSQL counts months."""
    row = connection.execute(
        """
        SELECT (%s::timestamptz AT TIME ZONE 'UTC' - keep) AT TIME ZONE 'UTC'
        FROM mig.partition_policies
        WHERE parent = %s
        """,
        [at, policy.parent],
    ).fetchone()
    assert row is not None
    return row[0]


def _detach(connection: Connection, policy: Policy, partition: Partition) -> None:
    """Mark it first: a table with this comment is finished by the next call, should this one end here."""
    statement = sql.SQL("COMMENT ON TABLE {} IS {}").format(partition.name, sql.Literal(_mark(policy)))
    _patiently(connection, lambda: connection.execute(statement))
    connection.execute("SET lock_timeout = 0")  # it waits for readers, and nobody waits for it
    try:
        connection.execute(
            sql.SQL("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY").format(policy.name, partition.name)
        )
    finally:
        with suppress(psycopg.OperationalError):
            connection.execute("RESET lock_timeout")


def _finish_detaching(connection: Connection, policy: Policy, partition: Partition) -> None:
    statement = sql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(policy.name, partition.name)
    _patiently(connection, lambda: connection.execute(statement))


def _mark(policy: Policy) -> str:
    return f"Retired from {policy.parent}; dropped as soon as its archive is proven."


def _left_behind(connection: Connection, policy: Policy) -> tuple[str, ...]:
    """Tables that were detached to be dropped, and are still there."""
    rows = connection.execute(
        """
        SELECT n.nspname || '.' || c.relname
        FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relkind = 'r' AND NOT c.relispartition
          AND pg_catalog.obj_description(c.oid, 'pg_class') = %s
        ORDER BY c.relname
        """,
        [policy.schema, _mark(policy)],
    )
    return tuple(label for (label,) in rows)


def _finish(connection: Connection, policy: Policy, label: str, archive_to: Path) -> Retired:
    """Drop a detached partition, when its archive holds exactly what it holds."""
    name = sql.Identifier(policy.schema, label.removeprefix(f"{policy.schema}."))
    oid = _oid(connection, name)
    kept: Archive | None = None
    now = content(connection, oid, name)
    if policy.archive:
        path = archive_to / f"{label}.copy.gz"
        kept = archived(path)
        if kept is None or kept.content != now:  # somebody wrote into it before it was detached
            kept = archive(connection, oid, name, path)
    _patiently(connection, lambda: _drop(connection, policy, name))
    return Retired(parent=policy.parent, partition=label, rows=now.rows, archive=kept)


def _drop(connection: Connection, policy: Policy, name: sql.Identifier) -> None:
    for side, columns in _side_tables(connection, policy):
        matching = sql.SQL(" AND ").join(sql.SQL("s.{0} = p.{0}").format(sql.Identifier(column)) for column in columns)
        connection.execute(sql.SQL("DELETE FROM {} AS s USING {} AS p WHERE {}").format(side, name, matching))
    connection.execute(sql.SQL("DROP TABLE {}").format(name))


def _side_tables(connection: Connection, policy: Policy) -> Iterator[tuple[sql.Identifier, list[str]]]:
    rows = connection.execute(
        """
        SELECT pg_catalog.encode(tgargs, 'escape')
        FROM pg_catalog.pg_trigger
        WHERE tgrelid = %s AND NOT tgisinternal AND pg_catalog.starts_with(tgname, %s)
        """,
        [policy.oid, ONCE],
    ).fetchall()
    for (arguments,) in rows:
        schema, table, *columns = arguments.removesuffix("\\000").split("\\000")
        yield sql.Identifier(schema, table), columns


def _refuse_referenced(connection: Connection, policy: Policy, partition: Partition) -> None:
    """PostgreSQL would refuse to detach it as well, but only after the archive was written, and without saying whose."""
    keys = connection.execute(
        """
        SELECT c.conname, n.nspname, t.relname,
               ARRAY(SELECT a.attname FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
                     ORDER BY k.place)::text[],
               ARRAY(SELECT a.attname FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS k (attnum, place)
                     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum
                     ORDER BY k.place)::text[]
        FROM pg_catalog.pg_constraint AS c
        JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
        WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confrelid IN (%s, %s)
        """,
        [policy.oid, partition.oid],
    ).fetchall()
    for constraint, schema, table, own, theirs in keys:
        pairs = sql.SQL(" AND ").join(
            sql.SQL("r.{} = p.{}").format(sql.Identifier(mine), sql.Identifier(other))
            for mine, other in zip(own, theirs, strict=True)
        )
        query = sql.SQL("SELECT count(*) FROM {} AS r JOIN {} AS p ON {}")
        row = connection.execute(query.format(sql.Identifier(schema, table), partition.name, pairs)).fetchone()
        if row is not None and row[0]:
            raise PartitionReferenced(
                f"{partition.label} is over, but {row[0]} rows of {schema}.{table} still refer to it by {constraint}; "
                "nothing was changed"
            )


def _covered_until(there: Sequence[Partition], at: datetime) -> datetime:
    """The first instant from `at` on that no partition holds."""
    for partition in there:
        if partition.start <= at < partition.end and not partition.detaching:
            at = partition.end
    return at


def _policy(*row: Any) -> Policy:  # the columns of the query in `policies`
    parent, oid, schema, table, column, months, seconds, ahead, keep, wants_archive, fits, default = row
    if oid is None or not fits:
        raise UnfitPolicy(f"mig.partition_policies has {parent}, which is no table in ranges of one timestamptz column")
    if default:
        raise DefaultPartition(f"{parent} has a DEFAULT partition; move its rows and drop it first")
    return Policy(
        parent=parent,
        oid=oid,
        schema=schema,
        table=table,
        column=column,
        span=Span(months=months, rest=timedelta(seconds=seconds)),
        ahead=ahead,
        keep=keep,
        archive=wants_archive,
        stem=table,
    )


def _oid(connection: Connection, name: sql.Identifier) -> int:
    row = connection.execute("SELECT %s::regclass::oid::bigint", [name.as_string(connection)]).fetchone()
    assert row is not None
    return row[0]


def _patiently(connection: Connection, work: Callable[[], T]) -> T:
    """Run short work in a transaction that waits shortly for its locks, again and again, so that nobody queues long."""
    for _ in range(LOCK_TRIES):
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}".encode())
                return work()
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            time.sleep(LOCK_PAUSE_S)
    raise LockDenied(f"no lock in {LOCK_TRIES} tries of {LOCK_TIMEOUT_MS} ms; others keep the table locked")


def _refuse_transaction(connection: Connection) -> None:
    if not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
        raise BadRequest("partitions are made and retired on a connection in autocommit, outside of a transaction")


def _month(count: int) -> datetime:
    """Beginning of a month, counted from the year 0."""
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)
