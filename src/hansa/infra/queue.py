"""Jobs through procrastinate: rows written in the transaction of the data they are about, run by the worker.

    @job("autopay.pay", attempts=3)
    def pay(services: Services, *, transaction: str) -> None: ...

    defer(tx, pay, transaction=str(transaction))

A job commits with its data or not at all. It may run twice (a worker can die after the work and before the tick), so
its effect carries a key. Time-critical housekeeping is a `tick`: a function that the worker calls every so often under
an advisory lock, because a row per second and task would only be noise in the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

import procrastinate
from procrastinate.jobs import DeleteJobCondition, Job, JobDeferrer
from procrastinate.retry import RetryStrategy

from hansa.infra.db import Query, Tx
from hansa.infra.services import Services

P = ParamSpec("P")
Work = Callable[Concatenate[Services, P], object]

DONE_JOBS = DeleteJobCondition.SUCCESSFUL
"""A job that did its work leaves no row; failed ones stay until somebody looks (`hansa jobs`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A named piece of deferred work."""

    name: str
    work: Callable[..., object]
    attempts: int
    cron: str | None
    """When it is due by itself; None: only when somebody defers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Housekeeping that one worker does every so often."""

    name: str
    every_s: float
    work: Callable[[Services], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    jobs: dict[str, JobKind] = field(default_factory=dict[str, JobKind])
    ticks: dict[str, Tick] = field(default_factory=dict[str, Tick])


KNOWN = Registry()


def job(name: str, *, attempts: int = 5, cron: str | None = None) -> Callable[[Work[P]], Work[P]]:
    """Make a function a job: `(services, **arguments)` with JSON arguments; a failure is retried with back-off."""

    def register(work: Work[P]) -> Work[P]:
        assert name not in KNOWN.jobs, f"two jobs are called {name}"
        KNOWN.jobs[name] = JobKind(name=name, work=work, attempts=attempts, cron=cron)
        return work

    return register


def tick(name: str, *, every_s: float) -> Callable[[Callable[[Services], object]], Callable[[Services], object]]:
    """Make a function housekeeping that one worker at a time calls every so often."""

    def register(work: Callable[[Services], object]) -> Callable[[Services], object]:
        assert name not in KNOWN.ticks, f"two ticks are called {name}"
        KNOWN.ticks[name] = Tick(name=name, every_s=every_s, work=work)
        return work

    return register


_deferring = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())
"""Knows how to write job rows; its own pool is never opened, since each row goes through the caller's connection."""


def defer(tx: Tx, work: Work[P], *, lock: str | None = None, **arguments: str | int) -> int:
    """Ask for a job in this transaction; returns its id.

    `lock`: jobs with the same lock run one after the other. (A queueing lock would poison the transaction when the
    job is already queued, so there is none.)
    """
    kind = next(kind for kind in KNOWN.jobs.values() if kind.work is work)
    row = Job(id=None, queue="default", lock=lock, queueing_lock=None, task_name=kind.name, task_kwargs=dict(arguments))
    deferrer = JobDeferrer(job_manager=_deferring.job_manager, job=row, connection=tx.connection)
    return deferrer.defer()


def worker_app(connector: procrastinate.PsycopgConnector, services: Services) -> procrastinate.App:
    """The procrastinate application that runs all known jobs with the process's services."""
    app = procrastinate.App(connector=connector)
    for kind in KNOWN.jobs.values():
        # The library counts the attempts after the first one, and takes 0 for "for ever".
        retry = RetryStrategy(max_attempts=kind.attempts - 1, exponential_wait=2) if kind.attempts > 1 else False
        task = app.task(name=kind.name, retry=retry, pass_context=False)(bound(kind.work, services))
        if kind.cron:
            app.periodic(cron=kind.cron)(task)
    return app


def bound(work: Callable[..., object], services: Services) -> Callable[..., object]:
    def run(timestamp: int | None = None, **arguments: Any) -> object:  # Any: JSON arguments of the job
        del timestamp  # periodic jobs get the time for which they were due; ours look at the clock
        return work(services, **arguments)

    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCount:
    """How many jobs of one kind are in one state."""

    task: str
    status: str
    jobs: int


COUNTS = Query(
    JobCount,
    """
    SELECT task_name AS task, status::text AS status, count(*) AS jobs
      FROM jobs.procrastinate_jobs
     GROUP BY task_name, status
     ORDER BY task_name, status
    """,
)

# A worker that was killed leaves its jobs in `doing`. Procrastinate drops its row once the heartbeat is stale, which
# sets the job's worker to NULL; such a job goes back to the queue. A job without any worker for a moment is normal
# only in `todo`, so nothing running is touched.
RETRY_STALLED = Query(
    int,
    """
    UPDATE jobs.procrastinate_jobs AS job
       SET status = 'todo', worker_id = NULL, scheduled_at = NULL
     WHERE job.status = 'doing'
       AND NOT EXISTS (SELECT FROM jobs.procrastinate_workers AS worker
                        WHERE worker.id = job.worker_id
                          AND worker.last_heartbeat > clock_timestamp() - %(silence)s::interval)
    """,
)

RETRY_FAILED = Query(
    int,
    """
    UPDATE jobs.procrastinate_jobs
       SET status = 'todo', scheduled_at = NULL, attempts = 0
     WHERE status = 'failed'
       AND (%(job)s::bigint IS NULL OR id = %(job)s)
    """,
)


def counts(tx: Tx) -> list[JobCount]:
    """What waits, runs and has failed, by kind of job."""
    return tx.all(COUNTS)


def retry_stalled(tx: Tx, *, silence_s: float) -> int:
    """Put jobs of workers that fell silent back into the queue; returns how many."""
    return tx.run(RETRY_STALLED, silence=f"{silence_s} seconds")


def retry_failed(tx: Tx, job_id: int | None = None) -> int:
    """Queue failed jobs again: one, or all of them; returns how many."""
    return tx.run(RETRY_FAILED, job=job_id)
