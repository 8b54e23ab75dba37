"""Jobs commit with their data, and come back when their worker dies."""

import asyncio

import procrastinate
import pytest

from hansa.infra import queue
from hansa.infra.queue import JobKind, counts, defer, retry_failed, retry_stalled, worker_app


@pytest.fixture
def job(monkeypatch):
    """Makes a job of a function, known only to this test."""

    def make(work, *, attempts=1):
        monkeypatch.setitem(
            queue.KNOWN.jobs, "tests.work", JobKind(name="tests.work", work=work, attempts=attempts, cron=None)
        )
        return work

    return make


def work_off(db, services):
    """Run the worker until nothing is left to do."""

    async def become(connection):
        await connection.execute("SET search_path = jobs")

    async def run():
        connector = procrastinate.PsycopgConnector(
            conninfo=db.dsn, configure=become, min_size=1, max_size=4, kwargs={"autocommit": True}
        )
        app = worker_app(connector, services)
        async with app.open_async():
            await app.run_worker_async(
                wait=False, listen_notify=False, install_signal_handlers=False, delete_jobs=queue.DONE_JOBS
            )

    asyncio.run(run())


def states(db):
    with db.transaction() as tx:
        return {count.status: count.jobs for count in counts(tx)}


def test_a_job_runs_with_its_arguments_and_leaves_no_row(db, services, job):
    done = []
    work = job(lambda services, *, who, n: done.append((services.db is db, who, n)))
    with db.transaction() as tx:
        defer(tx, work, who="alice", n=3)

    work_off(db, services)

    assert done == [(True, "alice", 3)]
    assert states(db) == {}


def test_a_job_of_a_rolled_back_transaction_never_was(db, services, job):
    done = []
    work = job(lambda services, *, who: done.append(who))
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        defer(tx, work, who="alice")
        raise ZeroDivisionError

    work_off(db, services)

    assert done == []
    assert states(db) == {}


def test_a_job_that_fails_stays_and_can_be_queued_again(db, services, job):
    failures = iter([True])

    def fail_once(services, *, who):
        if next(failures, False):
            raise RuntimeError("not yet")

    work = job(fail_once)
    with db.transaction() as tx:
        defer(tx, work, who="alice")

    work_off(db, services)
    assert states(db) == {"failed": 1}
    with db.transaction() as tx:
        assert retry_failed(tx) == 1
    work_off(db, services)

    assert states(db) == {}


def test_a_job_whose_worker_was_killed_goes_back_into_the_queue(db, services, job, owner):
    done = []
    work = job(lambda services, *, who: done.append(who))
    with db.transaction() as tx:
        defer(tx, work, who="alice")
    owner.execute("SET search_path = jobs")
    owner.execute(
        """
        WITH dead AS (INSERT INTO jobs.procrastinate_workers (last_heartbeat)
                      VALUES (clock_timestamp() - interval '1 hour') RETURNING id)
        UPDATE jobs.procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM dead)
        """
    )

    with db.transaction() as tx:
        assert retry_stalled(tx, silence_s=30) == 1
    work_off(db, services)

    assert done == ["alice"]


def test_a_job_that_is_being_done_is_left_alone(db, job, owner):
    work = job(lambda services, *, who: None)
    with db.transaction() as tx:
        defer(tx, work, who="alice")
    owner.execute("SET search_path = jobs")
    owner.execute(
        """
        WITH alive AS (INSERT INTO jobs.procrastinate_workers (last_heartbeat)
                       VALUES (clock_timestamp()) RETURNING id)
        UPDATE jobs.procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM alive)
        """
    )

    with db.transaction() as tx:
        assert retry_stalled(tx, silence_s=30) == 0


def test_the_migration_holds_the_queues_own_schema():
    from procrastinate.schema import SchemaManager

    from hansa.migrations import DIRECTORY

    up = (DIRECTORY / "20261120T000000_ops" / "up.sql").read_text()

    assert SchemaManager.get_schema().strip() in up
