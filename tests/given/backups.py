"""A cluster's rows as one value, servers of restored homes, and damage."""

from contextlib import contextmanager
from pathlib import Path

import psycopg

from hansa.infra.backup import Repository, Source
from hansa.infra.embedded import EmbeddedPostgres, test_settings

DIGEST = "SELECT (count(*), md5(string_agg(letter::text, E'\\n' ORDER BY id)))::text FROM letters AS letter"
"""Count and digest of the table that the tests write."""


def first(connection: psycopg.Connection, query: str, *values: object):
    """The first value of a query's first row."""
    cursor = connection.execute(query, values or None)
    return cursor.fetchone()[0] if cursor.description else None


@contextmanager
def started(home: Path, database: str = "hansa"):
    """Runs SQL on the server of a restored home."""
    cluster = EmbeddedPostgres(home, settings=test_settings())
    server = cluster.start()
    try:
        with psycopg.connect(server.dsn(role="postgres", database=database), autocommit=True) as connection:
            yield lambda query, *values: first(connection, query, *values)
    finally:
        cluster.stop()


def drop_slot(source: Source, repository: Repository) -> None:
    """Let the server forget that somebody archives its log here."""
    with psycopg.connect(source.dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            [repository.identity().slot],
        )


def rewrite(path: Path, content: bytes) -> None:
    """Replace a file by another one: a copy of the folder may share the old one."""
    path.unlink()
    path.write_bytes(content)


def flip_a_bit(path: Path, *, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    rewrite(path, bytes(content))
