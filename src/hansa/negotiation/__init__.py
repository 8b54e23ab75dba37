"""Negotiation: what an agent wants, the haggle about it in rounds, and the settlement of what was agreed.

Owns the schema `negotiation`. The initiator pays, the responder works.

PostgreSQL keeps: only participants act, in turns, on an open negotiation, within its rounds and its time by the
database's clock, each round within its own; rounds are never changed, states change only as drawn; an accepted
negotiation has a hold of exactly the accepted price, and the holds of an intent's deals never exceed its budget; it is
settled at most once, in shares that sum to the price; nothing is opened or accepted without an ALLOW of the hire gate
for this very pair (foreign keys to governance.decisions).

Publishes DealOpened, ProposalMade, DealAccepted, DealRejected, DealExpired, DealSettled. Source: AINP negotiation.
"""
