"""What a monitoring system wants to know of migrations, in the exposition format of Prometheus.

`hansa migrate metrics` writes it; a node exporter's text-file folder or any cron job takes it from there. Everything
is read in one read-only look that takes no lock, so it is safe to ask every few seconds, on a replica too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hansa.migrate import ledger
from hansa.migrate.chain import EventKind
from hansa.migrate.ledger import Ledger
from hansa.migrate.revisions import Revision, load
from hansa.migrate.session import Connection, looking
from hansa.migrate.state import faults, pending

PREFIX = "hansa_migrate"


@dataclass(frozen=True, slots=True, eq=False)  # a registry keeps collectors by identity
class _Look(Collector):
    """One look at a database, as metrics."""

    state: Ledger
    revisions: tuple[Revision, ...]
    operations: tuple[tuple[str, int, str, int, int | None, float], ...]
    hooks: tuple[int, int]
    quarantined: int

    def collect(self) -> Iterator[Metric]:
        yield _gauge("applied", "Revisions that are applied.", len(self.state.applied))
        yield _gauge(
            "pending", "Revisions in the folder that are not applied.", len(pending(self.state, self.revisions))
        )
        yield _gauge("failed", "Revisions of which the latest event is a failure.", len(failed(self.state)))
        problems = tuple(faults(self.state, self.revisions))
        yield _gauge("problems", "Edited or missing revisions, and breaks of the event log.", len(problems))
        waiting, broken = self.hooks
        yield _gauge("hooks_waiting", "Work that follows an application and is still to be done.", waiting)
        yield _gauge("hooks_failed", "Work that follows an application and failed the last time.", broken)
        yield _gauge(
            "quarantined_rows", "Rows set aside because the new shape has no place for them.", self.quarantined
        )
        if self.state.applied:
            last = max(row.applied_at for row in self.state.applied)
            yield _gauge("last_applied_timestamp_seconds", "When the latest revision was applied.", last.timestamp())
        yield from self._operations()

    def _operations(self) -> Iterator[Metric]:
        labels = ["revision", "operation", "kind"]
        done = GaugeMetricFamily(
            f"{PREFIX}_operation_rows_done", "Rows of the step under way that are done.", labels=labels
        )
        total = GaugeMetricFamily(f"{PREFIX}_operation_rows_total", "Estimate of all rows of that step.", labels=labels)
        idle = GaugeMetricFamily(
            f"{PREFIX}_operation_idle_seconds",
            "How long ago an unfinished operation made its last progress.",
            labels=labels,
        )
        for revision, number, kind, rows_done, rows_total, idle_s in self.operations:
            named = [revision, str(number), kind]
            done.add_metric(named, rows_done)
            if rows_total is not None:
                total.add_metric(named, rows_total)
            idle.add_metric(named, idle_s)
        yield from (done, total, idle)


def metrics(dsn: str, directory: Path) -> str:
    """All metrics as text, ready to be scraped. Raises what `status` raises."""
    revisions = load(directory)
    with looking(dsn) as connection:
        state = ledger.read(connection)
        look = _Look(
            state, revisions, _operations(connection, state), _hooks(connection, state), _set_aside(connection, state)
        )
    registry = CollectorRegistry()
    registry.register(look)
    return generate_latest(registry).decode()


def failed(state: Ledger) -> tuple[str, ...]:
    """Revisions whose latest event is a failure."""
    latest = {event.revision: event.kind for event in state.events}
    return tuple(sorted(name for name, kind in latest.items() if kind is EventKind.FAILED))


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", words, value=value)


def _operations(connection: Connection, state: Ledger) -> tuple[tuple[str, int, str, int, int | None, float], ...]:
    if state.version < 2:
        return ()
    return tuple(
        connection.execute("""
            SELECT revision, number, kind, rows_done, rows_total,
                   extract(epoch FROM pg_catalog.clock_timestamp() - updated_at)::double precision
            FROM mig.operations
            WHERE NOT finished
            ORDER BY revision, number
        """)
    )


def _hooks(connection: Connection, state: Ledger) -> tuple[int, int]:
    if state.version < 2:
        return 0, 0
    row = connection.execute("""
        SELECT count(*) FILTER (WHERE error IS NULL), count(*) FILTER (WHERE error IS NOT NULL)
        FROM mig.hook_outbox
        WHERE finished_at IS NULL
    """).fetchone()
    assert row is not None
    return row[0], row[1]


def _set_aside(connection: Connection, state: Ledger) -> int:
    if state.version < 2:
        return 0
    row = connection.execute("SELECT count(*) FROM mig.quarantine").fetchone()
    assert row is not None
    return row[0]
