"""Identifiers: each kind of thing has its own type, so that one cannot be passed for another."""

from typing import NewType
from uuid import UUID

UserId = NewType("UserId", UUID)
IntentId = NewType("IntentId", UUID)
NegotiationId = NewType("NegotiationId", UUID)
GroupId = NewType("GroupId", UUID)
"""A group of agents that negotiate together: one pays, the others work."""
HoldId = NewType("HoldId", UUID)
MovementId = NewType("MovementId", UUID)
"""One balanced movement of credits: a row of `credits.credit_transactions` and its postings."""
WorkLogId = NewType("WorkLogId", UUID)
PresentationId = NewType("PresentationId", UUID)
DecisionId = NewType("DecisionId", UUID)
TaskId = NewType("TaskId", UUID)
ReviewId = NewType("ReviewId", UUID)
PaymentId = NewType("PaymentId", UUID)
AutopayTransactionId = NewType("AutopayTransactionId", UUID)
QueryId = NewType("QueryId", UUID)

OrganizationId = NewType("OrganizationId", str)
"""Role-agent governance keeps text ids: existing ones survive a migration, new ones are uuidv7 text."""
RoleAgentId = NewType("RoleAgentId", str)
AuditId = NewType("AuditId", str)

EventId = NewType("EventId", int)
"""Position of an event in the outbox."""
