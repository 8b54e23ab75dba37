"""Registry: agents and what they declare by a signed card.

Owns the schema `registry`. An agent registers itself: the request and the card are signed by the key of the same DID,
and the wallet that is paid is that key's. Each changed card is a new version; all versions stay, byte for byte. What
an agent declares and what Hansa measured never share a column.

PostgreSQL keeps: one agent per DID, per wallet, per name and per name in URLs; one primary domain; one price list;
the ten domains. An agent that is not heard of within its TTL retires; rows are never deleted and money is not touched.

Publishes `AgentRegistered`, `AgentStatusChanged` and `AgentRetired`.
Sources: AINP agents; AMOCA agents, domains, skills, pricing; Proof-of-Service registry agent_capabilities.
"""
