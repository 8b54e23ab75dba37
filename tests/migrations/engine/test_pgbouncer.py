"""The engine in front of and behind a real pooler in transaction mode."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.testing import CliRunner

from hansa import migrate
from hansa.infra.database import resolve
from hansa.infra.settings import Settings
from hansa.migrate import errors
from hansa.migrate.cli import app
from hansa.migrate.session import LOCK

A, B = "20260101T000000_a", "20260102T000000_b"
PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
CONFIG = """
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
"""

pytestmark = pytest.mark.skipif(
    PROGRAM is None or sys.platform != "linux", reason="the program pgbouncer is not installed here"
)


@dataclass(frozen=True)
class Addresses:
    direct: str
    pooled: str


@pytest.fixture
def addresses(postgres, dsn, tmp_path):
    """The same database, directly and through a pooler with one server session, which is stopped at the end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        listen = free.getsockname()[1]
    server = conninfo_to_dict(postgres.tcp_dsn(role="postgres", database="postgres"))
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        CONFIG.format(listen=listen, **{name: server[name] for name in ("host", "port", "user", "password")})
    )
    config.chmod(0o600)
    # It refuses to run as root, so it reads its configuration and then becomes somebody else.
    become = ["-u", "nobody"] if os.geteuid() == 0 else []
    pooled = make_conninfo(dsn, host="127.0.0.1", port=listen, sslmode="disable", gssencmode="disable")
    with (tmp_path / "pgbouncer.log").open("w") as log:
        process = subprocess.Popen([str(PROGRAM), *become, str(config)], stdout=log, stderr=log)
        try:
            wait_until_it_answers(process, pooled, tmp_path / "pgbouncer.log")
            yield Addresses(direct=dsn, pooled=pooled)
        finally:
            process.terminate()
            process.wait(10)


def wait_until_it_answers(process, pooled, log):
    deadline = time.monotonic() + 10
    while True:
        with suppress(psycopg.OperationalError), psycopg.connect(pooled):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_a_session_lock_through_a_pooler_is_granted_to_two_at_once_and_not_beside_it(addresses):
    """The danger itself: why the engine will not work through one."""

    def granted(dsn):
        with (
            psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as one,
            psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as two,
        ):
            query = "SELECT pg_try_advisory_lock(%s)"
            answers = [one.execute(query, [LOCK]).fetchone()[0], two.execute(query, [LOCK]).fetchone()[0]]
            one.execute("SELECT pg_advisory_unlock_all()")
            return answers

    assert granted(addresses.pooled) == [True, True]
    assert granted(addresses.direct) == [True, False]


def test_the_engine_refuses_to_change_anything_through_a_pooler_and_works_beside_it(addresses, folder, ask):
    folder.table(A, "a", seed="INSERT INTO a VALUES (1);")

    for refused in (
        lambda: migrate.up(addresses.pooled, folder.path),
        lambda: migrate.down(addresses.pooled, folder.path, everything=True),
        lambda: migrate.verify(addresses.pooled, folder.path),
        lambda: migrate.seed(addresses.pooled, folder.path),
        lambda: migrate.run_hooks(addresses.pooled, folder.path),
        lambda: migrate.accept_drift(addresses.pooled),
        lambda: migrate.reset(addresses.pooled, folder.path),
        lambda: migrate.baseline(addresses.pooled, folder.path, scratch_dsn=addresses.direct),
        lambda: migrate.resolve_applied(addresses.pooled, folder.path, A),
    ):
        with pytest.raises(errors.PooledConnection, match="address of the server itself"):
            refused()

    assert ask("SELECT to_regclass('a'), to_regnamespace('mig')") == [(None, None)]
    assert migrate.up(addresses.direct, folder.path).revisions == (A,)


def test_what_only_looks_works_through_a_pooler(addresses, folder):
    folder.table(A, "a")
    migrate.up(addresses.direct, folder.path)
    folder.table(B, "b")

    status = migrate.status(addresses.pooled, folder.path)

    assert status.pending == (B,)
    assert [step.revision for step in migrate.plan(addresses.pooled, folder.path).steps] == [B]
    assert migrate.drift(addresses.pooled).ok
    assert "hansa_migrate_applied 1.0" in migrate.metrics(addresses.pooled, folder.path)


def test_the_direct_address_is_used_while_the_application_goes_through_the_pooler(addresses, folder, monkeypatch, ask):
    folder.table(A, "a")
    monkeypatch.setenv("DATABASE_URL", addresses.pooled)
    up = ["up", "--dir", str(folder.path)]

    pooled = CliRunner().invoke(app, up)
    monkeypatch.setenv("MIGRATE_DATABASE_URL", addresses.direct)
    direct = CliRunner().invoke(app, up)
    found = resolve(Settings())

    assert (pooled.exit_code, pooled.stderr.split(":")[0]) == (1, "pooled_connection")
    assert (direct.exit_code, direct.stdout.split()[:2]) == (0, ["applied", A])
    assert ask("SELECT to_regclass('a') IS NOT NULL") == [(True,)]
    assert (found.app_dsn, found.owner_dsn, found.embedded) == (addresses.pooled, addresses.direct, None)


def test_a_setting_made_through_a_pooler_reaches_the_next_client(addresses):
    """Why a lock timeout, too, is only safe on a connection of our own."""
    with psycopg.connect(addresses.pooled, autocommit=True, prepare_threshold=None) as one:
        one.execute("SET lock_timeout = '123ms'")
    with psycopg.connect(addresses.pooled, autocommit=True, prepare_threshold=None) as two:
        leaked = two.execute("SHOW lock_timeout").fetchone()

    assert leaked == ("123ms",)
