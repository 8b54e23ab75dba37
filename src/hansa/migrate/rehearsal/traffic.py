"""How busy each table of the live database is: statements that read it and that write it, per second.

From pg_stat_statements where it is installed and shows us the texts; else from the counters of the tables, which count
scans and changed rows, and so come near the number of statements where each touches few rows.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from psycopg import errors as pg
from psycopg import sql

from hansa.migrate.rehearsal.relations import relations_of
from hansa.migrate.session import Connection, connect

WINDOW_S_MIN = 1.5
"""Sessions report their counts about once a second: over a shorter window there is nothing to see."""
_WRITES = re.compile(
    r"^\s*(?:INSERT|UPDATE|DELETE|MERGE)\b|^\s*WITH\b.*\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE | re.DOTALL
)
_READS = re.compile(r"^\s*(?:SELECT|WITH|TABLE|VALUES|FETCH|EXECUTE)\b", re.IGNORECASE)
_NAME = re.compile(r'(?:(?P<schema>"(?:[^"]|"")+"|\w+)\s*\.\s*)?(?P<name>"(?:[^"]|"")+"|[^\W\d]\w*)')


class TrafficSource(StrEnum):
    """Where the numbers come from."""

    STATEMENTS = "pg_stat_statements"
    TABLES = "pg_stat_user_tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Statements a second."""

    reads_per_s: float = 0.0
    writes_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Of each table that was used."""

    source: TrafficSource
    window_s: float
    """How long we looked."""
    rates: Mapping[str, Rate]
    """By qualified name."""

    def rate(self, table: str) -> Rate:
        return self.rates.get(table, Rate())


Counts = Mapping[str, tuple[int, int]]
"""Reads and writes since the counters began, by table."""


class TrafficMeter:
    """Counts from when it is made. `own_reads` are scans of every table that we make ourselves meanwhile."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        with connect(dsn) as live:
            self._source, self._before = _counts(live)
        self._since = time.monotonic()

    def read(self, *, patient: bool, own_reads: int = 0) -> Traffic:
        """What happened since; a patient reader waits until the window is long enough to tell."""
        if patient:
            time.sleep(max(0.0, WINDOW_S_MIN - (time.monotonic() - self._since)))
        with connect(self._dsn) as live:
            source, after = _counts(live)
        window_s = time.monotonic() - self._since
        before = self._before if source is self._source else after
        return Traffic(source=source, window_s=round(window_s, 3), rates=rates(before, after, window_s, own_reads))


def rates(before: Counts, after: Counts, window_s: float, own_reads: int = 0) -> Mapping[str, Rate]:
    """Rates between two counts; counters that were reset in between count from zero."""
    found: dict[str, Rate] = {}
    for table, (reads, writes) in after.items():
        reads_before, writes_before = before.get(table, (0, 0))
        more_reads = (reads - reads_before if reads >= reads_before else reads) - own_reads
        more_writes = writes - writes_before if writes >= writes_before else writes
        if more_reads > 0 or more_writes > 0:
            found[table] = Rate(
                reads_per_s=round(max(0, more_reads) / window_s, 3), writes_per_s=round(more_writes / window_s, 3)
            )
    return found


def statement_counts(statements: Iterable[tuple[str, int]], tables: Iterable[str]) -> Counts:
    """Calls of statements as reads and writes of the tables they name. `tables` are qualified names."""
    by_name: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for table in tables:
        parts = _NAME.fullmatch(table)
        if parts is not None:
            by_name[_plain(parts["name"])].append((_plain(parts["schema"] or ""), table))
    reads: dict[str, int] = defaultdict(int)
    writes: dict[str, int] = defaultdict(int)
    for text, calls in statements:
        counted = writes if _WRITES.match(text) else reads if _READS.match(text) else None
        if counted is not None:
            for table in _named(text, by_name):
                counted[table] += calls
    return {table: (reads[table], writes[table]) for table in reads.keys() | writes.keys()}


def _named(text: str, by_name: Mapping[str, list[tuple[str, str]]]) -> set[str]:
    """The tables that a statement names, alone or with their own schema."""
    found: set[str] = set()
    for match in _NAME.finditer(text):
        for schema, table in by_name.get(_plain(match["name"]), ()):
            if match["schema"] is None or _plain(match["schema"]) == schema:
                found.add(table)
    return found


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def _counts(live: Connection) -> tuple[TrafficSource, Counts]:
    found = _of_statements(live)
    return (TrafficSource.STATEMENTS, found) if found is not None else (TrafficSource.TABLES, _of_tables(live))


def _of_statements(live: Connection) -> Counts | None:
    """None when the extension is not there, not loaded, or hides what others say."""
    row = live.execute("""
        SELECT n.nspname
        FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_stat_statements' AND pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
    """).fetchone()
    if row is None:
        return None
    query = sql.SQL("""
        SELECT query, sum(calls)::bigint
        FROM {}
        WHERE dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        GROUP BY query
    """).format(sql.Identifier(row[0], "pg_stat_statements"))
    try:
        statements = live.execute(query).fetchall()
    except pg.ObjectNotInPrerequisiteState:  # the extension is there, but the server was started without it
        return None
    return statement_counts(statements, {relation.table for relation in relations_of(live).values()})


def _of_tables(live: Connection) -> Counts:
    """A partition's counts are also those of the tables above it."""
    rows = live.execute("""
        SELECT format('%I.%I', n.nspname, c.relname),
               sum(s.seq_scan + coalesce(s.idx_scan, 0))::bigint,
               sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del)::bigint
        FROM pg_catalog.pg_stat_user_tables AS s
        CROSS JOIN LATERAL (
          SELECT s.relid
          UNION
          SELECT relid::oid FROM pg_catalog.pg_partition_ancestors(s.relid)
        ) AS counted (relid)
        JOIN pg_catalog.pg_class AS c ON c.oid = counted.relid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        GROUP BY 1
    """).fetchall()
    return {name: (reads, writes) for name, reads, writes in rows}
