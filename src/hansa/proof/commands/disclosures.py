"""Disclosures: somebody asks, the agent shows what it chooses, the house verifies and remembers that it did."""

import hashlib
import json
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from hansa.infra.db import Query, Tx
from hansa.infra.keys import verification_key
from hansa.infra.outbox import publish
from hansa.infra.seal import KeyRing, open_sealed, seal
from hansa.kernel.dids import Did, did_public_key
from hansa.kernel.ids import UserId, WorkLogId
from hansa.proof import sd_jwt
from hansa.proof.commands.credentials import VCT
from hansa.proof.errors import PresentationOfOtherWork, WorkOfAnotherAgent
from hansa.proof.events import DisclosureAsked, WorkDisclosed
from hansa.proof.models import (
    Disclosure,
    DisclosureRequest,
    Presentation,
    SealedPresentation,
)
from hansa.proof.queries import (
    REQUEST_COLUMNS,
    disclosure_request,
    sealed_presentation,
    work_log,
)
from hansa.proof.sd_jwt import VerifiedPresentation

TABLE, COLUMN = "proof.credential_presentations", "encrypted_data"
NONCE_BYTES = 32

ASK = Query(
    DisclosureRequest,
    f"""
    INSERT INTO proof.disclosure_requests
           (log_id, agent_did, requested_by_did, requested_by_user, audience, nonce, expires_at)
    VALUES (%(log)s, %(agent)s, %(by)s, %(user)s, %(audience)s, %(nonce)s, clock_timestamp() + %(lifetime)s)
    RETURNING {REQUEST_COLUMNS}
    """,
)

TAKE = Query(DisclosureRequest, f"SELECT {REQUEST_COLUMNS} FROM proof.take_disclosure_request(%(request)s)")

NEW_ID = Query(UUID, "SELECT uuidv7()")

STORE = Query(
    int,
    """
    INSERT INTO proof.credential_presentations
           (id, log_id, agent_did, request_id, disclosed_to_did, disclosed_to_user, claims, presentation_hash,
            encrypted_data, verified_at)
    VALUES (%(id)s, %(log)s, %(agent)s, %(request)s, %(did)s, %(user)s, %(claims)s, %(presentation_hash)s,
            %(encrypted_data)s, %(verified_at)s)
    """,
)


def ask_disclosure(
    tx: Tx, log: WorkLogId, *, audience: str, lifetime: timedelta, by: Did | None, user: UserId | None = None
) -> DisclosureRequest:
    """Ask the agent behind a work log to show claims about it to a verifier; the answer carries a fresh nonce.

    Raises WorkUnknown, AudienceMalformed.
    """
    agent = work_log(tx, log).agent
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    asked = tx.one(ASK, log=log, agent=agent, by=by, user=user, audience=audience, nonce=nonce, lifetime=lifetime)
    publish(tx, DisclosureAsked(request=asked.id, log=log, agent=agent))
    return asked


def answer_disclosure(
    tx: Tx, keys: KeyRing, request: UUID, presentation: str, *, by: Did, house: Did, at: datetime
) -> Disclosure:
    """Verify what an agent shows in answer to a request, and keep it for the one who asked; once.

    A presentation that is refused leaves the request open. Raises DisclosureUnknown, WorkOfAnotherAgent,
    DisclosureUsed, DisclosureExpired, PresentationOfOtherWork, and every refusal of `sd_jwt_errors`.
    """
    if disclosure_request(tx, request).agent != by:
        raise WorkOfAnotherAgent
    taken = tx.one(TAKE, request=request)
    proven = sd_jwt.verify(
        presentation,
        issuer_keys=lambda issuer, _key_id: house_key(house) if issuer == house else None,
        audience=taken.audience,
        nonce=taken.nonce,
        at=at,
        vct=VCT,
    )
    if proven.claims.get("log") != str(taken.log):
        raise PresentationOfOtherWork
    store(tx, keys, taken, presentation, proven=proven, at=at)
    publish(tx, WorkDisclosed(request=taken.id, log=taken.log, agent=by, claims=list(proven.disclosed)))
    return open_disclosure(tx, keys, request)


def open_disclosure(tx: Tx, keys: KeyRing, request: UUID) -> Disclosure:
    """A request with what was shown in answer to it, for its two parties. Raises DisclosureUnknown."""
    asked = disclosure_request(tx, request)
    shown = sealed_presentation(tx, request)
    return Disclosure(request=asked, presentation=shown and open_presentation(keys, asked, shown))


def store(
    tx: Tx, keys: KeyRing, request: DisclosureRequest, presentation: str, *, proven: VerifiedPresentation, at: datetime
) -> None:
    presentation_id = tx.one(NEW_ID)
    content = json.dumps({"presentation": presentation, "claims": dict(proven.claims)}).encode()
    sealed = seal(keys, content, table=TABLE, column=COLUMN, row=str(presentation_id), scope=request.agent)
    tx.run(
        STORE,
        id=presentation_id,
        log=request.log,
        agent=request.agent,
        request=request.id,
        did=request.requested_by_did,
        user=request.requested_by_user,
        claims=list(proven.disclosed),
        presentation_hash=hashlib.sha256(presentation.encode()).hexdigest(),
        encrypted_data=sealed,
        verified_at=at,
    )


def open_presentation(keys: KeyRing, request: DisclosureRequest, shown: SealedPresentation) -> Presentation:
    content = open_sealed(
        keys, shown.encrypted_data, table=TABLE, column=COLUMN, row=str(shown.id), scope=request.agent
    )
    return Presentation(
        disclosed=shown.claims,
        presentation_hash=shown.presentation_hash,
        verified_at=shown.verified_at,
        **json.loads(content),
    )


def house_key(house: Did) -> sd_jwt.PublicKey:
    public_key = did_public_key(house)
    assert public_key is not None, "the house has a did:key"
    return verification_key(public_key)
