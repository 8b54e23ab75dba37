"""The plugin in a test run of its own, as a project would use it."""

import os
import subprocess
import sys

import psycopg

CONFTEST = 'pytest_plugins = ["hansa.migrate.pytest_plugin"]\n'
TESTS = """
import psycopg

def test_one_writes(migrated_dsn):
    with psycopg.connect(migrated_dsn) as connection:
        connection.execute("INSERT INTO a VALUES (1)")

def test_two_finds_nothing_of_it(migrated_dsn):
    with psycopg.connect(migrated_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM a").fetchone() == (0,)
"""
INI = "[pytest]\nmigrate_dir = history\n"


def run(folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", str(folder)],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def project(folder, tmp_path):
    folder.path.rename(tmp_path / "history")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(INI)
    return tmp_path


def test_each_test_gets_a_migrated_database_of_its_own_and_leaves_none_behind(folder, tmp_path, server_dsn):
    folder.table("20260101T000000_a", "a")
    place = project(folder, tmp_path)

    ended = run(place, MIGRATE_TEST_SERVER=server_dsn)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout
    with psycopg.connect(server_dsn, autocommit=True) as server:
        left = server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test_test_%'").fetchall()
        assert left == []


def test_without_a_server_the_tests_say_what_to_set(folder, tmp_path):
    folder.table("20260101T000000_a", "a")
    place = project(folder, tmp_path)

    ended = run(place, MIGRATE_TEST_SERVER="")

    assert "2 skipped" in ended.stdout
    assert "set MIGRATE_TEST_SERVER" in ended.stdout
