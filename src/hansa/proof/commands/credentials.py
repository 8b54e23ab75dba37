"""Credentials: the house signs what it knows about one piece of work, for the agent that did it to show."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa.identity.queries import keys_of, signing_key
from hansa.infra.db import JsonObject, Tx
from hansa.infra.keys import AgentKey, verification_key
from hansa.infra.seal import KeyRing
from hansa.kernel.dids import Did
from hansa.kernel.dids import key_id as own_key_id
from hansa.kernel.ids import WorkLogId
from hansa.proof import sd_jwt
from hansa.proof.errors import HolderKeyUnknown, WorkOfAnotherAgent
from hansa.proof.models import SealedWork
from hansa.proof.queries import sealed_work
from hansa.proof.records import open_record

VCT = "urn:hansa:credential:work-log:1"
LIFETIME = timedelta(days=90)

IN_THE_OPEN = ("log", "work_hash")
"""What the credential is about; hashes and ids, which everybody sees in the agent's work history anyway."""
DISCLOSABLE = (
    "agent",
    "counterparty",
    "subject_kind",
    "subject_id",
    "outcome",
    "amount",
    "asset",
    "started_at",
    "due_at",
    "delivered_at",
    "settled_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCredential:
    """A credential over one piece of work; its holder shows the claims it chooses."""

    credential: str
    """SD-JWT VC (RFC 9901): keep it, and present claims from it."""
    vct: str
    issuer: Did
    claims: list[str]
    """Names of the claims that can be shown one by one."""
    expires_at: datetime


def issue_work_credential(
    tx: Tx, keys: KeyRing, log: WorkLogId, *, by: Did, house: AgentKey, key_id: str | None = None, at: datetime
) -> WorkCredential:
    """Sign what is on record about one piece of work, bound to a key of the agent that did it.

    `key_id` names one of the agent's keys; left out, it is the one that counts now.
    Raises WorkUnknown, WorkOfAnotherAgent, HolderKeyUnknown.
    """
    work = sealed_work(tx, log)
    if work.agent != by:
        raise WorkOfAnotherAgent
    claims = claims_of(work, open_record(keys, work) or {})
    disclosable = [name for name in claims if name not in IN_THE_OPEN]
    credential = sd_jwt.issue(
        claims,
        disclosable=disclosable,
        issuer=house.did,
        key=house,
        holder=holder_key(tx, by, key_id, at=at),
        vct=VCT,
        issued_at=at,
        expires_at=at + LIFETIME,
        key_id=house.key_id,
    )
    return WorkCredential(
        credential=credential, vct=VCT, issuer=house.did, claims=disclosable, expires_at=at + LIFETIME
    )


def claims_of(work: SealedWork, record: JsonObject) -> JsonObject:
    """The claims about a piece of work; what is not known is not claimed."""
    known = {**record, "counterparty": record.get("payer")}
    hidden = {name: known[name] for name in DISCLOSABLE if known.get(name) is not None}
    return {"log": str(work.id), "work_hash": work.zkp_hash, **hidden}


def holder_key(tx: Tx, agent: Did, key_id: str | None, *, at: datetime) -> Ed25519PublicKey:
    """The key that the agent will present with. Raises HolderKeyUnknown."""
    name = key_id or current_key_id(tx, agent)
    public_key = signing_key(tx, agent, name, at=at) if name else None
    if public_key is None:
        raise HolderKeyUnknown(key_id=name)
    return verification_key(public_key)


def current_key_id(tx: Tx, agent: Did) -> str | None:
    active = [key.kid for key in keys_of(tx, agent) if key.revoked_at is None]
    if active:
        return active[-1]
    return None if agent.startswith("did:web:") else own_key_id(agent)
