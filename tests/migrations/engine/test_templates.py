import contextlib
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hansa.migrate import errors, status, testing

A, B = "20260101T000000_a", "20260102T000000_b"


@pytest.fixture
def name(server_dsn):
    name = f"t{uuid4().hex[:8]}"
    yield name
    for found in databases(server_dsn, name):
        testing.drop(server_dsn, found)


def databases(server_dsn, name):
    with psycopg.connect(server_dsn) as server:
        query = "SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY 1"
        return [found for (found,) in server.execute(query, [f"{name}%"])]


def test_a_template_is_built_once_and_copied(folder, server_dsn, name):
    folder.table(A, "a")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: testing.template(server_dsn, folder.path, name), range(2))
    assert first == second
    assert databases(server_dsn, name) == [first]
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        psycopg.connect(make_conninfo(server_dsn, dbname=first))

    one = testing.clone(server_dsn, first, f"{name}_one")
    two = testing.clone(server_dsn, first, f"{name}_two")
    with psycopg.connect(one) as connection:
        connection.execute("INSERT INTO a VALUES (1)")

    assert [row.state for row in status(two, folder.path).revisions] == ["applied"]
    with contextlib.closing(psycopg.connect(two)) as still_open:
        assert still_open.execute("SELECT count(*) FROM a").fetchone() == (0,)
        testing.drop(server_dsn, f"{name}_two")
    assert databases(server_dsn, name) == sorted([first, f"{name}_one"])


def test_a_template_of_other_files_replaces_the_one_before(folder, server_dsn, name):
    folder.table(A, "a")
    before = testing.template(server_dsn, folder.path, name)
    folder.table(B, "b")

    after = testing.template(server_dsn, folder.path, name)

    assert after != before
    assert databases(server_dsn, name) == [after]


def test_a_template_whose_building_failed_is_no_template(folder, server_dsn, name):
    path = folder.table(A, "a", up="CREATE TABLE a (n int); SELECT 1/0;")
    with pytest.raises(errors.StatementFailed):
        testing.template(server_dsn, folder.path, name)
    with pytest.raises(errors.StatementFailed):
        testing.template(server_dsn, folder.path, name)
    (path / "up.sql").write_text("CREATE TABLE a (n int);")

    built = testing.template(server_dsn, folder.path, name)

    assert databases(server_dsn, name) == [built]


def test_a_name_that_postgresql_would_cut_is_refused(folder, server_dsn):
    folder.table(A, "a")

    with pytest.raises(errors.BadRequest, match="63 bytes"):
        testing.template(server_dsn, folder.path, "x" * 40)
