"""Runs probes in an open loop: each statement is due at an instant of its own, and its answer counts from then.

So a stall is felt by everybody who came meanwhile, as it is by real users, and not only by those who were let in
before it. Each connection writes to keys that no other one touches, so it knows what must be there in the end.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from hansa.migrate.rehearsal.errors import BadProbes
from hansa.migrate.rehearsal.probes import Check, Probe, Probes

STALE = ("0A000", "42804")
"""What a prepared statement says after its table changed: the application has to connect anew."""
SLOW_S = 0.1
NO_ROW = "02000"
"""A write that found its row gone."""
_CONNECTION_LOST = "08006"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How long statements took from when they were due, in milliseconds; zero when there were none."""

    count: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    slow: int
    """How many took longer than 100 ms."""

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Answers":
        ordered = sorted(seconds)
        return cls(
            count=len(ordered),
            p50_ms=_rank(ordered, 0.5),
            p99_ms=_rank(ordered, 0.99),
            worst_ms=_rank(ordered, 1.0),
            slow=sum(second > SLOW_S for second in ordered),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What one probe felt."""

    name: str
    before: Answers
    """While nothing was migrated."""
    during: Answers
    """From the first revision on."""
    failed: Mapping[str, int]
    """How many statements failed for good, by SQLSTATE."""
    replaced: int
    """Connections that had to be replaced because their prepared statements were stale."""
    retried: int
    """Statements that succeeded on such a new connection."""
    lost_writes: int | None
    """Writes that were confirmed and are not there; None when nobody asked."""
    problem: str | None = None
    """Why the writes could not be looked up; None when they could, or nobody asked."""
    stall_ms_max: float | None = None
    """The longest answer that was allowed; None: any."""

    @property
    def ok(self) -> bool:
        stalled = self.stall_ms_max is not None and self.during.worst_ms > self.stall_ms_max
        return not (self.failed or self.lost_writes or self.problem or stalled)

    @property
    def sentence(self) -> str:
        now = self.during
        parts = [
            f"probe {self.name}: half within {now.p50_ms:.1f} ms, 99 % within {now.p99_ms:.1f} ms",
            f"{now.slow} of {now.count} over {SLOW_S * 1000:.0f} ms",
            f"the worst {now.worst_ms:.0f} ms (before: 99 % within {self.before.p99_ms:.1f} ms)",
        ]
        if self.stall_ms_max is not None and self.during.worst_ms > self.stall_ms_max:
            parts.append(f"allowed were {self.stall_ms_max:.0f} ms")
        parts += [f"{count} failed with {state}" for state, count in self.failed.items()]
        if self.replaced:
            parts.append(f"{self.replaced} connections replaced, {self.retried} statements repeated on them")
        if self.lost_writes is not None:
            parts.append(f"{self.lost_writes or 'no'} write{'' if self.lost_writes == 1 else 's'} lost")
        if self.problem is not None:
            parts.append(f"what was written could not be looked up: {self.problem}")
        return "; ".join(parts)


class Probing:
    """Probes under way."""

    def __init__(self, dsn: str, probes: Probes) -> None:
        self._dsn = dsn
        self._probes = probes
        self._workers: list[_Worker] = []

    def start(self) -> None:
        """Find the keys, connect, and let them run. Raises BadProbes."""
        for probe in self._probes.probes:
            with _named(probe):
                self._connect(probe)
        start = time.monotonic()
        for worker in self._workers:
            worker.start(start)

    def migrating(self) -> None:
        """The revisions begin now."""
        now = time.monotonic()
        for worker in self._workers:
            worker.migrating_at = now

    def stop(self) -> None:
        """Nothing more comes due; what was due until now is still answered."""
        now = time.monotonic()
        for worker in self._workers:
            worker.stop_at = now
            worker.stopping.set()
        for worker in self._workers:
            worker.join()

    def _connect(self, probe: Probe) -> None:
        keys = keys_of(self._dsn, self._probes, probe)
        for number in range(self._probes.connections):
            mine = keys[number :: self._probes.connections]
            self._workers.append(_Worker(self._dsn, self._probes, probe, number, mine))

    def report(self) -> tuple[ProbeReport, ...]:
        """What was felt, and whether what was confirmed is there."""
        return tuple(
            self._report(probe, [worker for worker in self._workers if worker.probe is probe])
            for probe in self._probes.probes
        )

    def _report(self, probe: Probe, workers: "Sequence[_Worker]") -> ProbeReport:
        failed: Counter[str] = Counter()
        for worker in workers:
            failed += worker.failed
        lost, problem = self._lost(probe, workers)
        return ProbeReport(
            name=probe.name,
            before=Answers.of([second for worker in workers for second in worker.before]),
            during=Answers.of([second for worker in workers for second in worker.during]),
            failed=dict(sorted(failed.items())),
            replaced=sum(worker.replaced for worker in workers),
            retried=sum(worker.retried for worker in workers),
            lost_writes=lost,
            problem=problem,
            stall_ms_max=probe.stall_ms_max,
        )

    def _lost(self, probe: Probe, workers: "Sequence[_Worker]") -> tuple[int | None, str | None]:
        if probe.check is None:
            return None, None
        try:
            with connect_as(self._dsn, self._probes.role) as connection:
                return sum(worker.lost(connection) for worker in workers), None
        except psycopg.Error as error:
            return None, " ".join(str(error).split())


class _Worker:
    """One connection of one probe, and everything it knows of what it did."""

    def __init__(self, dsn: str, probes: Probes, probe: Probe, number: int, keys: Sequence[Any]) -> None:
        self.probe = probe
        self.stopping = threading.Event()
        self.stop_at = float("inf")
        self.migrating_at = float("inf")
        self.before: list[float] = []
        self.during: list[float] = []
        self.failed: Counter[str] = Counter()
        self.replaced = 0
        self.retried = 0
        self._dsn = dsn
        self._role = probes.role
        self._connections = probes.connections
        self._number = number
        self._keys = keys
        self._writes = _Writes()
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._run, name=f"probe {probe.name} {number}", daemon=True)
        self._started = 0.0
        if probe.check is Check.INCREMENTS:
            self._writes.base = {key: self._read(self._connection, key) for key in keys}

    def start(self, at: float) -> None:
        self._started = at
        self._thread.start()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        self._connection.close()

    def lost(self, connection: psycopg.Connection[Any]) -> int:
        """How many confirmed writes are not there."""
        return sum(
            self._lost(key, self._read(connection, key)) for key in self._keys if key not in self._writes.uncertain
        )

    def _lost(self, key: Any, found: Any) -> int:
        if self.probe.check is Check.INCREMENTS:
            return max(0, self._writes.base[key] + self._writes.count[key] - (found or 0))
        if key not in self._writes.last:
            return 0
        wanted = str(self._writes.last[key])
        return int(self.probe.reads_as.get(wanted, wanted) != str(found))

    def _run(self) -> None:
        between = self._connections / self.probe.rate
        for turn in itertools.count():
            due = self._started + between * (turn + self._number / self._connections)
            self.stopping.wait(max(0.0, due - time.monotonic()))
            if due > self.stop_at:
                return
            self._answer(due, turn)

    def _answer(self, due: float, turn: int) -> None:
        key = self._keys[turn % len(self._keys)] if self._keys else None
        value = self.probe.values[turn % len(self.probe.values)] if self.probe.values else turn + 1
        state = self._send(key, value)
        if state in STALE:
            self._reconnect()
            self.replaced += 1
            state = self._send(key, value)
            self.retried += state is None
        if state is not None:
            self.failed[state] += 1
        now = time.monotonic()
        (self.during if now >= self.migrating_at else self.before).append(now - due)

    def _send(self, key: Any, value: Any) -> str | None:
        """The SQLSTATE it failed with, or None; what is confirmed is remembered."""
        try:
            if self._keys:
                cursor = self._connection.execute(self.probe.sql.encode(), {"key": key, "value": value})
            else:
                cursor = self._connection.execute(self.probe.sql.encode())
        except psycopg.Error as error:
            if error.sqlstate is None or self._connection.broken:
                self._writes.uncertain.add(key)  # it may have been committed or not
                self._reconnect()
            return error.sqlstate or _CONNECTION_LOST
        if cursor.description is None and cursor.rowcount == 0 and self.probe.check is not None:
            return NO_ROW
        self._writes.last[key] = value
        self._writes.count[key] += 1
        return None

    def _read(self, connection: psycopg.Connection[Any], key: Any) -> Any:  # of whatever type the column is
        assert self.probe.read is not None
        row = connection.execute(self.probe.read.encode(), {"key": key}).fetchone()
        return row[0] if row is not None else None

    def _reconnect(self) -> None:
        self._connection.close()
        with suppress(psycopg.Error):  # the next statement fails, and that is counted
            self._connection = self._connect()

    def _connect(self) -> psycopg.Connection[Any]:
        return connect_as(self._dsn, self._role)


@dataclass(slots=True, kw_only=True)
class _Writes:
    """What a connection knows of its own keys."""

    base: dict[Any, int] = field(default_factory=dict[Any, int])
    last: dict[Any, Any] = field(default_factory=dict[Any, Any])
    count: Counter[Any] = field(default_factory=Counter[Any])
    uncertain: set[Any] = field(default_factory=set[Any])


@contextmanager
def probing(dsn: str, probes: Probes) -> Generator[Probing]:
    """Probes that run before, during and after the body, where `migrating` says when it begins.

    They are stopped at its end, whatever happens there; ask for the report afterwards. Raises BadProbes.
    """
    under_way = Probing(dsn, probes)
    try:
        under_way.start()
        time.sleep(probes.warm_up_s)
        yield under_way
        time.sleep(probes.cool_down_s)
    finally:
        under_way.stop()


def try_probes(dsn: str, probes: Probes) -> None:
    """Refuse probes that could not even begin, before anything long is done. Raises BadProbes."""
    for probe in probes.probes:
        with _named(probe):
            keys_of(dsn, probes, probe)


def keys_of(dsn: str, probes: Probes, probe: Probe) -> list[Any]:  # of whatever type the query returns
    """The keys of a probe; enough for each connection to have one. Raises BadProbes, psycopg.Error."""
    with connect_as(dsn, probes.role) as connection:
        if probe.keys is None:
            return []
        keys = [row[0] for row in connection.execute(probe.keys.encode()).fetchall()]
    if len(keys) < probes.connections:
        raise BadProbes(f"probe {probe.name}: {len(keys)} keys for {probes.connections} connections")
    return keys


@contextmanager
def _named(probe: Probe) -> Generator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise BadProbes(f"probe {probe.name}: {' '.join(str(error).split())}") from error


def connect_as(dsn: str, role: str | None) -> psycopg.Connection[Any]:
    """A connection as an application has it, prepared statements included."""
    connection = psycopg.connect(dsn, autocommit=True, fallback_application_name="probe")
    if role is not None:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    return connection


def _rank(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)
