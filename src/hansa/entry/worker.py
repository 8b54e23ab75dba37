"""The worker: delivers events, runs jobs, keeps house, and says that it is alive.

Everything it does is written so that it may be killed at any moment: events and jobs are claimed rows, effects carry
keys, and what a dead worker left behind is taken up by the next one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import procrastinate
import psycopg

from hansa.entry import contexts
from hansa.infra import limits, outbox, queue
from hansa.infra.db import Actor, Query, register_adapters
from hansa.infra.log import logger
from hansa.infra.services import Services
from hansa.kernel.errors import Refusal

log = logger(__name__)

POLL_S = 0.05
"""How long a published event may wait at most for the dispatcher to look."""
BEAT_S = 3.0
STALLED_S = 30.0
"""A worker that is silent for so long has lost its jobs."""
SPARE = 4
"""Connections that ticks leave to events and the heartbeat."""
KEEPER = Actor(kind="system", did="entry.worker")

BEAT = Query(
    int,
    """
    INSERT INTO ops.heartbeats (process, beat_at)
    VALUES (%(process)s, clock_timestamp())
    ON CONFLICT (process) DO UPDATE SET beat_at = excluded.beat_at
    """,
)
FORGET_DEAD = Query(int, "DELETE FROM ops.heartbeats WHERE beat_at < clock_timestamp() - interval '1 hour'")
FORGET_ANSWERS = Query(
    int, "DELETE FROM ops.idempotency_keys WHERE created_at < clock_timestamp() - interval '30 days'"
)
# One worker at a time does a tick; the lock ends with the transaction, also when the process is killed.
TRY_TICK = Query(bool, "SELECT pg_try_advisory_xact_lock(hashtextextended('tick ' || %(tick)s, 0))")


@dataclass
class Worker:
    """One worker process: threads for events and ticks, and procrastinate for jobs."""

    services: Services
    stopping: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list[threading.Thread])
    turns: threading.Semaphore = field(init=False)
    """A tick holds one connection for its lock and needs another one for its work: as many at once as there is room for."""

    def __post_init__(self) -> None:
        self.turns = threading.Semaphore(max(1, (self.services.settings.database_pool - SPARE) // 2))

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; what is being done is finished."""
        log.info("worker starts", reactions=len(contexts.REACTIONS), ticks=len(queue.KNOWN.ticks))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        self.start("events", self.deliver)
        self.start("heartbeat", lambda: self.every(BEAT_S, self.beat))
        for tick in queue.KNOWN.ticks.values():
            self.start(tick.name, lambda tick=tick: self.every(tick.every_s, lambda: self.tick(tick)))
        asyncio.run(self.jobs())
        for thread in self.threads:
            thread.join(timeout=20)

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        del number, frame
        self.stopping.set()

    def start(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)

    def every(self, seconds: float, work: Callable[[], object]) -> None:
        """Do something every so often, whatever happens to it."""
        while not self.stopping.is_set():
            self.survive(work)
            self.stopping.wait(seconds)

    def deliver(self) -> None:
        """Deliver events; look again at once while there are more."""
        while not self.stopping.is_set():
            if not self.survive(lambda: outbox.dispatch(self.services.db)):
                self.stopping.wait(POLL_S)

    def survive(self, work: Callable[[], object]) -> object:
        """The database may be away for a while; the worker is still there when it comes back."""
        try:
            return work()
        except (Refusal, psycopg.Error) as error:
            log.warning("work postponed", thread=threading.current_thread().name, error=repr(error))
            self.stopping.wait(0.5)
            return None
        except Exception:
            log.exception("work failed", thread=threading.current_thread().name)
            self.stopping.wait(1.0)
            return None

    def tick(self, tick: queue.Tick) -> None:
        """Housekeeping by one worker at a time: the lock is held in a transaction of its own."""
        with self.turns, self.services.db.transaction(KEEPER) as tx:
            if tx.one(TRY_TICK, tick=tick.name):
                tick.work(self.services)

    def beat(self) -> None:
        with self.services.db.transaction(KEEPER) as tx:
            tx.run(BEAT, process=f"worker {socket.gethostname()} {os.getpid()}")
            tx.run(FORGET_DEAD)
            tx.run(FORGET_ANSWERS)
            limits.forget_idle(tx)
            stalled = queue.retry_stalled(tx, silence_s=STALLED_S)
        if stalled:
            log.warning("jobs of a silent worker go back into the queue", jobs=stalled)

    async def jobs(self) -> None:
        """Run jobs until told to stop; when the database goes away, begin again."""
        while not self.stopping.is_set():
            try:
                await self.jobs_until_stopped()
            except Exception as error:  # noqa: BLE001 - whatever the queue met, the worker must go on
                log.warning("the job queue is interrupted", error=repr(error))
                await asyncio.sleep(1)

    async def jobs_until_stopped(self) -> None:
        connector = procrastinate.PsycopgConnector(
            conninfo=self.services.db.dsn, configure=self.become, min_size=1, max_size=6, kwargs={"autocommit": True}
        )
        app = queue.worker_app(connector, self.services)
        async with app.open_async():
            work = asyncio.create_task(
                app.run_worker_async(
                    concurrency=4,
                    listen_notify=False,  # a pooler swallows notifications, and polling is quick enough
                    fetch_job_polling_interval=0.2,
                    install_signal_handlers=False,
                    delete_jobs=queue.DONE_JOBS,
                    shutdown_graceful_timeout=10,
                    stalled_worker_timeout=STALLED_S,
                )
            )
            stop = asyncio.create_task(asyncio.to_thread(self.stopping.wait))
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def become(self, connection: psycopg.AsyncConnection[Any]) -> None:  # Any: rows are not looked at
        """The queue works under the application's role too."""
        register_adapters(connection.adapters)
        if connection.info.user != self.services.db.role:
            await connection.execute(f"SET ROLE {self.services.db.role}".encode())
            await connection.execute("SET search_path = jobs")
