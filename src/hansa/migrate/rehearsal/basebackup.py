"""A copy of the whole cluster, file by file, under a second server: works while clients write."""

import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hansa.migrate.rehearsal.errors import CannotClone
from hansa.migrate.rehearsal.programs import Binaries, find_binaries
from hansa.migrate.rehearsal.second_server import second_server
from hansa.migrate.rehearsal.source import Source, size_of_cluster
from hansa.migrate.rehearsal.workplaces import DATA
from hansa.migrate.session import connect

_MARGIN = 1.2
"""Room for the log of what is written meanwhile, and for what the revisions add, as a factor."""
_FLOOR_BYTES = 256 * 2**20
# What decides how long a statement takes, but not where files lie, who may connect, or what is sent elsewhere.
_CARRIED = """
  SELECT name, reset_val
  FROM pg_catalog.pg_settings
  WHERE source IN ('configuration file', 'command line')
    AND (category LIKE 'Query Tuning%'
         OR category = 'Client Connection Defaults / Statement Behavior'
         OR name IN ('work_mem', 'maintenance_work_mem', 'hash_mem_multiplier', 'deadlock_timeout',
                     'TimeZone', 'DateStyle', 'IntervalStyle', 'default_text_search_config'))
  UNION ALL
  SELECT name, setting
  FROM pg_catalog.pg_settings
  WHERE name IN ('max_prepared_transactions', 'max_locks_per_transaction', 'max_worker_processes', 'wal_level')
"""


@contextmanager
def basebackup_clone(source: Source, place: Path, binaries: Binaries | None) -> Generator[str]:
    """The connection string of the same database on a second server, made of a base backup. Raises CannotClone."""
    if not source.may_replicate:
        raise CannotClone(f"role {source.user} may neither replicate nor is it a superuser")
    binaries = binaries or find_binaries(source.major)
    binaries.require(source.major)
    tablespaces, settings = _facts(source, place)
    try:
        binaries.run(
            "pg_basebackup",
            f"--pgdata={place / DATA}",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
            "--no-manifest",
            *_mapped(place, tablespaces),
            dsn=source.dsn,
        )
        for folder in place.glob("tablespace_*"):
            binaries.account.give(folder)
        server = second_server(place, binaries, user=source.user, database=source.name, settings=settings)
        with server as running:
            yield running.dsn(user=source.user, database=source.name)
    finally:
        for folder in (place / DATA, *place.glob("tablespace_*")):
            shutil.rmtree(folder, ignore_errors=True)


def _facts(source: Source, place: Path) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Folders of the tablespaces and the settings to carry over; refuses when the disk is too full."""
    with connect(source.dsn) as connection:
        needed = round(size_of_cluster(connection) * _MARGIN) + _FLOOR_BYTES
        free = shutil.disk_usage(place).free
        if free < needed:
            raise CannotClone(f"{place.parent} has {free >> 20} MB free, and {needed >> 20} MB are needed")
        rows = connection.execute("""
            SELECT pg_catalog.pg_tablespace_location(oid)
            FROM pg_catalog.pg_tablespace
            WHERE spcname NOT IN ('pg_default', 'pg_global')
        """).fetchall()
        settings = dict(connection.execute(_CARRIED).fetchall())
    return tuple(row[0] for row in rows), settings


def _mapped(place: Path, tablespaces: tuple[str, ...]) -> Generator[str]:
    for number, location in enumerate(tablespaces, start=1):
        old = location.replace("=", "\\=")
        yield f"--tablespace-mapping={old}={os.fspath(place / f'tablespace_{number}')}"
