"""What can be done in governance."""

from hansa.governance.commands.audit import SEAL_BATCH, record, seal
from hansa.governance.commands.hire import decide_hire, hire_refusal, reasons_against
from hansa.governance.commands.organizations import add_member, found_organization, set_active, set_threshold
from hansa.governance.commands.role_agents import (
    accept_role,
    assess,
    name_role_agent,
    note_trust,
    set_role_agent_status,
)

__all__ = [
    "SEAL_BATCH",
    "accept_role",
    "add_member",
    "assess",
    "decide_hire",
    "found_organization",
    "hire_refusal",
    "name_role_agent",
    "note_trust",
    "reasons_against",
    "record",
    "seal",
    "set_active",
    "set_role_agent_status",
    "set_threshold",
]
