"""What can be read of disclosures: each caller sees those it asked for and those it is asked about."""

from typing import LiteralString
from uuid import UUID

from hansa.infra.db import Page, Query, Tx
from hansa.proof.errors import DisclosureUnknown
from hansa.proof.models import DisclosureRequest, SealedPresentation

REQUEST_COLUMNS: LiteralString = """
    id, log_id AS log, agent_did AS agent, requested_by_did, requested_by_user, audience, nonce, created_at,
    expires_at, used_at
"""

DISCLOSURE_REQUEST = Query(
    DisclosureRequest, f"SELECT {REQUEST_COLUMNS} FROM proof.disclosure_requests WHERE id = %(request)s"
)

# Row security shows each caller its own: the ones it asked for and the ones it is asked about.
DISCLOSURE_REQUESTS = Query(
    DisclosureRequest,
    f"""
    SELECT {REQUEST_COLUMNS}
      FROM proof.disclosure_requests
     WHERE (%(before)s::uuid IS NULL OR id < %(before)s)
       AND (NOT %(open)s OR (used_at IS NULL AND expires_at > clock_timestamp()))
     ORDER BY id DESC
     LIMIT %(limit)s
    """,
)

PRESENTATION = Query(
    SealedPresentation,
    """
    SELECT id, claims, presentation_hash, encrypted_data, verified_at
      FROM proof.credential_presentations
     WHERE request_id = %(request)s
    """,
)


def disclosure_request(tx: Tx, request: UUID) -> DisclosureRequest:
    """A disclosure request that the caller asked for or is asked about. Raises DisclosureUnknown."""
    found = tx.maybe(DISCLOSURE_REQUEST, request=request)
    if found is None:
        raise DisclosureUnknown
    return found


def disclosure_requests(
    tx: Tx, *, unanswered: bool, before: UUID | None = None, limit: int = 50
) -> Page[DisclosureRequest]:
    """Disclosure requests that the caller asked for or is asked about, newest first."""
    rows = tx.all(DISCLOSURE_REQUESTS, open=unanswered, before=before, limit=limit)
    return Page.of(rows, limit=limit, after=lambda last: last.id)


def sealed_presentation(tx: Tx, request: UUID) -> SealedPresentation | None:
    """What was shown in answer to a request; None: nothing yet."""
    return tx.maybe(PRESENTATION, request=request)
