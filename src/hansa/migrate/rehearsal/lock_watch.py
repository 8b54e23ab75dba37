"""Sees when another session takes its locks and when it lets them go, by looking again and again.

Locks that come and go between two looks stay unseen: then nobody waited long enough to matter.
"""

import threading
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

import psycopg

from hansa.migrate.errors import DatabaseProblem
from hansa.migrate.rehearsal.lock_modes import LockMode
from hansa.migrate.session import Connection

INTERVAL_S = 0.005
_HELD = """
  SELECT relation::bigint, mode, virtualtransaction
  FROM pg_catalog.pg_locks
  WHERE locktype = 'relation' AND granted AND pid = %s
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""

_Key = tuple[str, int, LockMode]


@dataclass(slots=True, kw_only=True)
class Hold:
    """A lock and how long it was held."""

    transaction: str
    """Number of the transaction, as the server counts those of a session."""
    relation: int
    mode: LockMode
    run: int | None
    """Which statement took it, counted by the observer; None before the first."""
    since: float
    until: float | None = None
    """None while it is held."""


class LockWatch:
    """Follows one session at a time. Looks by itself every few milliseconds, and whenever `look` is called."""

    def __init__(self, connection: Connection, known: Container[int], clock: Callable[[], float]) -> None:
        self._connection = connection
        self._known = known
        self._clock = clock
        self._guard = threading.Lock()
        self._open: dict[_Key, Hold] = {}
        self._closed: list[Hold] = []
        self._pid: int | None = None
        self._run: int | None = None
        self._looked_at = clock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_often, name="lock watch", daemon=True)
        self._problem: psycopg.Error | None = None
        self._thread.start()

    def follow(self, pid: int, run: int) -> None:
        """From here on, new locks of this session belong to the statement `run`."""
        self.look()
        with self._guard:
            if pid != self._pid:
                self._close(self._open.keys(), self._clock())
            self._pid, self._run = pid, run

    def look(self) -> None:
        """Compare what is held with what was. A new lock counts from the last look on: it may be as old as that."""
        with self._guard:
            if self._pid is None:
                self._looked_at = self._clock()
                return
            rows = self._connection.execute(_HELD, [self._pid]).fetchall()
            now = self._clock()
            held = {
                (transaction, relation, LockMode.of_catalog(mode))
                for relation, mode, transaction in rows
                if relation in self._known
            }
            self._close(self._open.keys() - held, now)
            for key in held - self._open.keys():
                transaction, relation, mode = key
                self._open[key] = Hold(
                    transaction=transaction, relation=relation, mode=mode, run=self._run, since=self._looked_at
                )
            self._looked_at = now

    def holds_alone(self) -> bool:
        """Whether, when we last looked, the session had something to itself, as it must to give it another file."""
        with self._guard:
            return any(mode is LockMode.ACCESS_EXCLUSIVE for _, _, mode in self._open)

    def finish(self) -> tuple[Hold, ...]:
        """Everything that was held until now. Raises DatabaseProblem when looking failed."""
        self._end.set()
        self._thread.join()
        if self._problem is not None:
            raise DatabaseProblem(f"the locks could not be watched: {self._problem}") from self._problem
        self.look()
        with self._guard:
            self._close(self._open.keys(), self._clock())
            return tuple(self._closed)

    def _close(self, keys: Iterable[_Key], now: float) -> None:
        for key in tuple(keys):
            hold = self._open.pop(key)
            hold.until = now
            self._closed.append(hold)

    def _look_often(self) -> None:
        while not self._end.wait(INTERVAL_S):
            try:
                self.look()
            except psycopg.Error as error:
                self._problem = error
                return
