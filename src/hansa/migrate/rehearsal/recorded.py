"""Certificates in the live database, and which of them still counts.

A certificate is void as soon as the pending revisions or the live catalog are not those that were rehearsed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import class_row

from hansa.migrate import ledger
from hansa.migrate.catalog import snapshot
from hansa.migrate.chain import EventKind
from hansa.migrate.errors import DatabaseProblem
from hansa.migrate.options import Options
from hansa.migrate.rehearsal.certificate import Certificate
from hansa.migrate.rehearsal.errors import CannotRecord, NotRehearsed
from hansa.migrate.revisions import Revision
from hansa.migrate.session import Connection, locked


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A certificate as the live database keeps it."""

    id: int
    at: datetime
    actor: str
    pending: str
    catalog_digest: str
    ok: bool
    report: Mapping[str, Any]
    """The JSON form of the certificate."""


def pending_digest(pending: Sequence[Revision]) -> str:
    """sha256 over the ids and checksums of pending revisions in their order, in hexadecimal."""
    listing = "".join(f"{revision.checksum}  {revision.id}\n" for revision in pending)
    return hashlib.sha256(listing.encode()).hexdigest()


def prepare_record(dsn: str, options: Options) -> None:
    """Make sure that a certificate can be kept, before anything long is done; waits for a deployment under way.

    Raises CannotRecord, and what `locked` raises.
    """
    try:
        with locked(dsn, options) as session:
            ledger.prepare(session)
            row = session.connection.execute(
                "SELECT pg_catalog.has_table_privilege('mig.rehearsals', 'INSERT') "
                "AND pg_catalog.has_table_privilege('mig.events', 'INSERT')"
            ).fetchone()
    except DatabaseProblem as problem:
        raise CannotRecord(f"{problem}; rehearse without keeping a record") from problem
    if row != (True,):
        raise CannotRecord("this role may not write into mig.rehearsals; rehearse without keeping a record")


def record(dsn: str, certificate: Certificate, pending: Sequence[Revision], options: Options) -> Recorded:
    """Keep a certificate in the live database. Raises what `locked` raises."""
    last = pending[-1]
    with locked(dsn, options) as session:
        ledger.prepare(session)
        with session.connection.transaction():
            row = (
                session.connection.cursor(row_factory=class_row(Recorded))
                .execute(
                    """
                    INSERT INTO mig.rehearsals (actor, pending, catalog_digest, ok, report)
                    VALUES (%s, %s, %s, %s, %s)
                    RETURNING id, at, actor, pending, catalog_digest, ok, report
                    """,
                    [
                        certificate.actor,
                        certificate.pending,
                        certificate.catalog_digest,
                        certificate.ok,
                        certificate.to_json(),
                    ],
                )
                .fetchone()
            )
            assert row is not None
            detail = f"certificate {row.id}, {'good' if row.ok else 'not good'}: {certificate.pending}"
            ledger.record(session, EventKind.REHEARSED, last.id, last.checksum, detail=detail)
    return row


def certified(connection: Connection, pending: str, catalog_digest: str, *, within_s: float) -> Recorded | None:
    """The certificate for exactly these revisions on exactly this catalog, if it is good and not too old.

    The latest one counts: a rehearsal that failed voids the good ones before it.
    """
    row = _latest(connection, pending, catalog_digest)
    if row is None or not row.ok or _age_s(connection, row) > within_s:
        return None
    return row


def require_rehearsal(connection: Connection, pending: Sequence[Revision], *, within_s: float) -> Recorded | None:
    """The certificate that covers what is about to be applied; None when that is nothing.

    Raises NotRehearsed, which says what is wrong: never rehearsed, changed since, failed, or too old.
    """
    if not pending:
        return None
    wanted, catalog_digest = pending_digest(pending), snapshot(connection).digest
    row = certified(connection, wanted, catalog_digest, within_s=within_s)
    if row is None:
        raise NotRehearsed(f"{_why_void(connection, wanted, catalog_digest)}; rehearse first")
    return row


def _why_void(connection: Connection, pending: str, catalog_digest: str) -> str:
    exact = _latest(connection, pending, catalog_digest)
    if exact is not None:
        when = f"the rehearsal of {exact.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{when} is too old" if exact.ok else f"{when} was not good"
    if _latest(connection, pending, None) is not None:
        return "the catalog of the database changed since the rehearsal"
    if _latest(connection, None, None) is not None:
        return "the pending revisions are not those that were rehearsed"
    return "the pending revisions were never rehearsed"


def _latest(connection: Connection, pending: str | None, catalog_digest: str | None) -> Recorded | None:
    if connection.execute("SELECT pg_catalog.to_regclass('mig.rehearsals')").fetchone() == (None,):
        return None
    return (
        connection.cursor(row_factory=class_row(Recorded))
        .execute(
            """
            SELECT id, at, actor, pending, catalog_digest, ok, report
            FROM mig.rehearsals
            WHERE (%(pending)s::text IS NULL OR pending = %(pending)s)
              AND (%(catalog)s::text IS NULL OR catalog_digest = %(catalog)s)
            ORDER BY id DESC
            LIMIT 1
            """,
            {"pending": pending, "catalog": catalog_digest},
        )
        .fetchone()
    )


def _age_s(connection: Connection, row: Recorded) -> float:
    found = connection.execute(
        "SELECT extract(epoch FROM pg_catalog.clock_timestamp() - %s)::double precision", [row.at]
    ).fetchone()
    assert found is not None
    return float(found[0])
