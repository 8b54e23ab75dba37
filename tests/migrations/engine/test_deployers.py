import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hansa import migrate
from hansa.migrate import errors
from hansa.migrate.session import LOCK

A, B, C = (f"2026010{n}T000000_{name}" for n, name in enumerate(("a", "b", "c"), start=1))


def test_of_three_deployers_at_once_one_applies_and_two_wait_and_say_so(folder, dsn, ask):
    folder.table(A, "a", up="CREATE TABLE a (n int); SELECT pg_sleep(0.5);")
    folder.revision(B, meta=f'requires = ["{A}"]\ntransactional = false', up="CREATE INDEX CONCURRENTLY a_n ON a (n);")
    heard: list[list[migrate.Notice]] = [[], [], []]
    start = threading.Barrier(3)

    def deploy(number):
        start.wait()
        return migrate.up(dsn, folder.path, options=migrate.Options(notify=heard[number].append))

    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(deploy, range(3)))

    assert sorted(report.revisions for report in reports) == [(), (), (A, B)]
    waited = [any("holds the migration lock" in notice.message for notice in notices) for notices in heard]
    assert waited == [report.revisions == () for report in reports]
    assert ask("SELECT kind, revision FROM mig.events ORDER BY n") == [("applied", A), ("applied", B)]


def test_a_deployer_that_may_not_wait_longer_names_the_one_who_works(folder, dsn):
    folder.table(A, "a")

    with psycopg.connect(dsn, autocommit=True, application_name="long deployment") as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(errors.LockUnavailable, match=f"process {other.info.backend_pid}, long deployment"):
            migrate.up(dsn, folder.path, options=migrate.Options(deployer_wait_s=0.1))

    assert migrate.up(dsn, folder.path).revisions == (A,)


@pytest.mark.parametrize("meta", ["", "transactional = false"])
def test_a_lost_lock_stops_the_run_before_the_next_revision(folder, dsn, ask, meta):
    folder.revision(A, meta=meta, up="SELECT pg_advisory_unlock_all();")
    folder.table(B, "b", meta=meta)

    with pytest.raises(errors.LockLost):
        migrate.up(dsn, folder.path)

    assert ask("SELECT to_regclass('b')") == [(None,)]
    assert migrate.up(dsn, folder.path, to=B).revisions[-1] == B


def test_a_connection_through_a_pooler_is_refused(folder, dsn, ask):
    folder.table(A, "a")

    with greeting_as_somebody_else(dsn) as pooled:
        with pytest.raises(errors.PooledConnection, match="address of the server itself"):
            migrate.up(pooled, folder.path)
        assert migrate.status(pooled, folder.path).pending == (A,)

    assert ask("SELECT to_regclass('a')") == [(None,)]


def test_a_server_that_cannot_be_reached_is_named_as_such(folder, dsn):
    folder.table(A, "a")
    nowhere = make_conninfo(dsn, dbname="not_there")

    with pytest.raises(errors.Unreachable, match="not_there"):
        migrate.up(nowhere, folder.path)


def test_a_deployer_killed_by_the_server_leaves_nothing(folder, dsn, ask):
    folder.table(A, "a", up="CREATE TABLE a (n int); SELECT pg_terminate_backend(pg_backend_pid());")

    with pytest.raises(errors.Refusal, match="terminat"):
        migrate.up(dsn, folder.path)

    assert ask("SELECT to_regclass('a'), (SELECT count(*) FROM mig.events)") == [(None, 0)]


@contextmanager
def greeting_as_somebody_else(dsn):
    """A relay to the server that, like every pooler, tells its client a process id of its own making."""
    target = conninfo_to_dict(dsn)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_relay, args=(listener, (target["host"], int(target["port"]))), daemon=True).start()
        yield make_conninfo(
            dsn, host="127.0.0.1", port=listener.getsockname()[1], sslmode="disable", gssencmode="disable"
        )


def _relay(listener, address):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = _to_server(address)
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        threading.Thread(target=_pump, args=(server, client), kwargs={"pooler": True}, daemon=True).start()


def _to_server(address):
    host, port = address
    if host.startswith("/"):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server
    return socket.create_connection(address)


def _pump(source, sink, *, pooler=False):
    key = b"K\x00\x00\x00\x0c"
    with source, sink:
        try:
            while data := source.recv(65536):
                if pooler and key in data:
                    at = data.index(key) + len(key)
                    data = data[:at] + (123456789).to_bytes(4) + data[at + 4 :]
                    pooler = False
                sink.sendall(data)
        except OSError:
            return
