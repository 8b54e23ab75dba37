"""Negotiation: what an agent wants, the haggle about it in rounds, and the settlement of what was agreed.

Owns the schema `negotiation`. The initiator pays, the responder works.

PostgreSQL keeps: only participants act, in turns, on an open negotiation, within its rounds and its time by the
database's clock, each round within its own; rounds are never changed, states change only as drawn; an accepted
negotiation has a hold of exactly the accepted price, and the holds of an intent's deals never exceed its budget; it is
settled at most once, in shares that sum to the price; nothing is opened or accepted without an ALLOW of the hire gate
for this very pair (foreign keys to governance.decisions).

A group negotiates with three and more: its members propose parts for each worker and vote. PostgreSQL keeps: one vote
per member and round, on the proposal that was seen; an agreed group has an agreement by its rule, which one routine
knows, with the approval of the payer and of everybody it binds, each of them by an accepted negotiation at its part.

Publishes DealOpened, ProposalMade, DealAccepted, DealRejected, DealExpired, DealSettled; GroupOpened, GroupProposed,
GroupVoted, GroupLeft, GroupAgreed, GroupEnded. Source: AINP negotiation.
"""
