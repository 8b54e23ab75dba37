"""Everything that a migration could have left in a database, and what is different in another one.

Ids, times, and what clients wrote are left out: they are accounted for in `accounts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from campaigns.online.migration import TABLE, TOUCHABLE_EACH
from hansa import migrate
from hansa.migrate.catalog import NothingToCompare, Snapshot, differences, snapshot
from hansa.migrate.digests import TableDigest, table_digests

Facts = Sequence[tuple[Any, ...]]

# The order of columns is no part of anything here: after a way down and up again it is another one.
ROWS_OF_NOBODY = f"""
    SELECT count(*), encode(sha256(convert_to(string_agg(to_jsonb(t)::text, E'\\n' ORDER BY id), 'UTF8')), 'hex')
      FROM {TABLE} AS t
     WHERE id <= %(rows)s AND id %% {TOUCHABLE_EACH} <> 0
"""
PREIMAGES = f"""
    SELECT revision, operation, key, original, converted
      FROM mig.preimages
     WHERE key[1]::bigint <= %(rows)s AND key[1]::bigint %% {TOUCHABLE_EACH} <> 0
     ORDER BY revision, operation, key
"""
QUARANTINE = f"""
    SELECT revision, operation, relation, reason, jsonb_object(columns, contents)::text AS row
      FROM mig.quarantine
     WHERE relation <> '{TABLE}' OR contents[array_position(columns, 'id')]::bigint <= %(rows)s
     ORDER BY revision, operation, relation, row
"""
OPERATIONS = "SELECT revision, number, kind, direction, step, finished FROM mig.operations ORDER BY revision, number"
HELPERS = """
    SELECT 'function mig.' || proname FROM pg_proc WHERE pronamespace = to_regnamespace('mig')
    UNION ALL
    SELECT 'relation mig.' || relname FROM pg_class WHERE relnamespace = to_regnamespace('mig')
    UNION ALL
    SELECT format('trigger %I on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT format('index %s', oid::regclass) FROM pg_class WHERE relname ~ '^mig_' AND relkind = 'i'
    ORDER BY 1
"""
INVALID = (
    "SELECT format('index %s is INVALID', indexrelid::regclass) FROM pg_index WHERE NOT (indisvalid AND indisready)"
)
LEFT_BEHIND = """
    SELECT format('process %s still works on it: %s', pid, query)
      FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'migrate'
"""
UNFINISHED = """
    SELECT 'the catalog of a run under way is still kept' FROM mig.catalog_before
    UNION ALL
    SELECT format('%s is still under way', revision) FROM mig.progress
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A database as far as it does not depend on clients and clocks."""

    catalog: Snapshot
    tables: Mapping[str, TableDigest]
    """Of the tables that clients do not touch."""
    rows_of_nobody: Facts
    """Number and digest of the rows that clients do not touch, in the table that they do."""
    preimages: Facts
    quarantine: Facts
    operations: Facts
    helpers: Facts

    @classmethod
    def of(cls, dsn: str, *, rows: int) -> World:
        """The database as it is; `rows` transfers were there at the beginning."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            known = connection.execute("SELECT to_regclass('mig.operations') IS NOT NULL").fetchall() == [(True,)]

            def ask(query: str) -> Facts:
                return connection.execute(query.encode(), {"rows": rows} if "%(rows)s" in query else None).fetchall()

            return cls(
                catalog=snapshot(connection),
                tables=table_digests(connection, exclude=[TABLE]),
                rows_of_nobody=ask(ROWS_OF_NOBODY),
                preimages=ask(PREIMAGES) if known else (),
                quarantine=ask(QUARANTINE) if known else (),
                operations=ask(OPERATIONS) if known else (),
                helpers=ask(HELPERS),
            )

    def differences(self, other: World) -> Iterator[tuple[str, str]]:
        """What is different in the other one, each with the title of the check that it fails."""
        if self.catalog.digest != other.catalog.digest:
            told = [found.sentence for found in differences(self.catalog, other.catalog)]
            yield "catalog", "; ".join(told) or "the digest is another one"
        for name in sorted(self.tables.keys() | other.tables.keys()):
            if self.tables.get(name) != other.tables.get(name):
                yield "digests", f"{name}: {other.tables.get(name)}, not {self.tables.get(name)}"
        if self.rows_of_nobody != other.rows_of_nobody:
            yield "rows", f"{other.rows_of_nobody}, not {self.rows_of_nobody}"
        for title in ("preimages", "quarantine", "operations"):
            yield from ((title, told) for told in _differing(getattr(self, title), getattr(other, title)))

    def leftovers(self, other: World) -> list[str]:
        """Helpers that the other one has besides, and those that it lacks."""
        return list(_differing(self.helpers, other.helpers))


def unsoundness(dsn: str, directory: Path, *, pending: int) -> Iterator[tuple[str, str]]:
    """What the engine itself and the server say against a database in which `pending` revisions should be left."""
    status = migrate.status(dsn, directory)
    yield from (("status", f"{problem.code}: {problem.message}") for problem in status.problems)
    if len(status.pending) != pending:
        yield "status", f"pending are {status.pending}"
    try:
        yield from (("drift", sentence) for sentence in migrate.drift(dsn).sentences)
    except NothingToCompare as nothing:
        yield "drift", str(nothing)
    yield from (("verify", f"{check.name}: {check.detail}") for check in migrate.verify(dsn, directory).failed)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for title, query in (("invalid", INVALID), ("sessions", LEFT_BEHIND), ("unfinished", UNFINISHED)):
            yield from ((title, told) for (told,) in connection.execute(query.encode()))


def _differing(wanted: Facts, found: Facts) -> Iterator[str]:
    missing, added = ([row for row in one if row not in other] for one, other in ((wanted, found), (found, wanted)))
    yield from (f"missing: {row}" for row in missing[:3])
    yield from (f"too much: {row}" for row in added[:3])
    if not (missing or added) and len(wanted) != len(found):
        yield f"{len(found)} rows, not {len(wanted)}"
