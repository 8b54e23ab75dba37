"""What each statement of a run cost: time, locks until commit, rewrites, rows, log and disk.

The observer looks from the statement's own session, where its uncommitted work shows, and from a second one, which
needs no rights of whoever the revision has become. The clock stands still meanwhile.
"""

from psycopg.pq import TransactionStatus

from hansa.migrate.observing import Place
from hansa.migrate.rehearsal.lock_watch import LockWatch
from hansa.migrate.rehearsal.relations import relations_of
from hansa.migrate.rehearsal.stopwatch import Stopwatch
from hansa.migrate.rehearsal.traced import Run, Trace, blockings, statements
from hansa.migrate.session import Connection, connect

# Everything else leaves the rows of tables that existed before alone, or gives all of them a new file.
_CHANGES_ROWS = frozenset({"UPDATE", "DELETE", "MERGE", "WITH", "INSERT", "SELECT", "DO", "CALL", "EXECUTE"})
_DISK_FROM_WAL_BYTES = 64 * 1024
"""Whoever writes less to the log adds little to the disk: not worth asking for the size of every file each time."""


class Tracer:
    """Observes the statements of one run on a database; `finish` tells what was seen, and must be called."""

    def __init__(self, dsn: str) -> None:
        self._aside = connect(dsn)
        self._watching = connect(dsn)
        self._relations = relations_of(self._aside)
        self._filenodes = {oid: relation.filenode for oid, relation in self._relations.items() if relation.filenode}
        self._tables = [oid for oid, relation in self._relations.items() if relation.kind == "r"]
        self._disk_bytes = self._disk()
        self._stopwatch = Stopwatch()
        self._watch = LockWatch(self._watching, self._relations, self._stopwatch.now)
        self._runs: list[Run] = []

    def now(self) -> float:
        """Seconds on a clock that stands still while the tracer looks."""
        return self._stopwatch.now()

    def before(self, connection: Connection, place: Place) -> None:
        with self._stopwatch.stopped():
            wal = self._wal()
            changed = self._changed_rows(connection) if _changes_rows(place) else {}
            self._watch.follow(connection.info.backend_pid, len(self._runs))
        self._runs.append(Run(place=place, since=self._stopwatch.now(), wal_bytes=wal, rows_locked=changed))

    def after(self, connection: Connection, place: Place, rows: int) -> None:
        run = self._runs[-1]
        assert run.place == place
        run.until = self._stopwatch.now()
        with self._stopwatch.stopped():
            self._watch.look()
            run.rows = max(rows, 0)
            run.wal_bytes = self._wal() - run.wal_bytes
            run.disk_bytes = self._growth() if run.wal_bytes >= _DISK_FROM_WAL_BYTES else 0
            run.rewritten = self._rewritten(connection)
            run.rows_locked = self._rows_locked(connection, run) if _changes_rows(place) else {}

    def finish(self) -> Trace:
        """What was seen. Raises DatabaseProblem when looking failed."""
        try:
            holds = self._watch.finish()
        finally:
            self._aside.close()
            self._watching.close()
        return Trace(
            statements=statements(self._runs, holds, self._relations),
            blockings=blockings(self._runs, holds, self._relations),
        )

    def _wal(self) -> int:
        row = self._aside.execute(
            "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _disk(self) -> int:
        row = self._aside.execute("SELECT pg_catalog.pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    def _growth(self) -> int:
        """By how much the database grew since it was last asked for its size."""
        before, self._disk_bytes = self._disk_bytes, self._disk()
        return self._disk_bytes - before

    def _rewritten(self, connection: Connection) -> tuple[str, ...]:
        if _in_transaction(connection) and not self._watch.holds_alone():
            return ()
        rows = connection.execute(
            "SELECT oid::bigint, relfilenode::bigint FROM pg_catalog.pg_class WHERE oid = ANY (%s::bigint[]::oid[])",
            [list(self._filenodes)],
        ).fetchall()
        moved = {oid: filenode for oid, filenode in rows if filenode != self._filenodes[oid]}
        self._filenodes.update(moved)
        return tuple(sorted(self._relations[oid].name for oid in moved))

    def _rows_locked(self, connection: Connection, run: Run) -> dict[int, int]:
        if _in_transaction(connection):
            now = self._changed_rows(connection)
            return {oid: count - run.rows_locked.get(oid, 0) for oid, count in now.items()}
        return {0: run.rows} if run.place.text.lstrip()[:6].upper() not in ("SELECT", "INSERT") else {}

    def _changed_rows(self, connection: Connection) -> dict[int, int]:
        """Rows updated and deleted so far by table: what a transaction does is known to its own session alone."""
        if not _in_transaction(connection):
            return {}
        rows = connection.execute(
            """
            SELECT oid::bigint,
                   pg_catalog.pg_stat_get_xact_tuples_updated(oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(oid)
            FROM pg_catalog.pg_class
            WHERE oid = ANY (%s::bigint[]::oid[])
            """,
            [self._tables],
        ).fetchall()
        return {oid: int(count) for oid, count in rows if count}


def _in_transaction(connection: Connection) -> bool:
    return connection.info.transaction_status == TransactionStatus.INTRANS


def _changes_rows(place: Place) -> bool:
    words = place.text.split(None, 1)
    return bool(words) and words[0].upper() in _CHANGES_ROWS
