"""The audit trail: rows are written in the transaction of what they tell, and sealed into one chain soon after."""

from pydantic_core import to_jsonable_python

from hansa.infra.db import JsonObject, Query, Tx
from hansa.kernel.ids import AuditId, OrganizationId, RoleAgentId

SEAL_BATCH = 1000
"""Rows that one transaction seals at most."""

RECORD = Query(str, "SELECT governance.record(%(action)s, %(entity)s, %(entity_id)s, %(metadata)s)")

SEAL = Query(int, "SELECT governance.seal_audit(%(limit)s)")


def record(
    tx: Tx,
    *,
    action: str,
    entity: str,
    entity_id: str,
    organization: OrganizationId | None = None,
    role_agent: RoleAgentId | None = None,
    facts: JsonObject,
) -> AuditId:
    """Add a row to the audit trail, in the name of whoever acts in this transaction.

    The ids of the organization and the role agent are copied into the row, where the seal covers them: the trail
    says who was concerned when both are long gone. Source: role-agent governance, audit_logs.
    """
    metadata = {"organization_id": organization, "role_agent_id": role_agent, "facts": to_jsonable_python(facts)}
    return AuditId(tx.one(RECORD, action=action, entity=entity, entity_id=entity_id, metadata=metadata))


def seal(tx: Tx, *, limit: int = SEAL_BATCH) -> int:
    """Chain the audit rows that wait for their seal, in the order of their arrival; returns how many.

    Sealers wait for each other until the end of the transaction, so keep it short.
    """
    return tx.one(SEAL, limit=limit)
