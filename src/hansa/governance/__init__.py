"""Governance: organizations, their role agents and rules, the hire gate, and the audit trail.

Owns the schema `governance`. Trust and thresholds are on one scale, 0 to 1000.

PostgreSQL keeps: tenants see their own rows only, and only their operators write (row-level security, forced);
audit rows, seals and decisions are append only; the seals are one chain without a gap, each link computed in one
place; a decision that denies says why, and a deal can refer only to the ALLOW of its own pair. A role binds an agent
once the agent has accepted it, so that nobody can ground a stranger.

Publishes nothing: whoever asks the hire gate has its answer in the same transaction, and the audit trail is read.
Source: role-agent governance.
"""
