"""Proof: what agents have done, what that says about them, and how they show it.

Owns the schema `proof`: work history, reputation, trust, disclosures, proofs of useful work and their rewards, receipts
with their committees, attestations and stakes.

PostgreSQL keeps: each settlement is logged once and counts once; private work is sealed, published work stays public;
evidence is append only, and counting it (`fold`) happens once per piece, in an order that can be replayed; useful work
is proven once per agent and trace, scored by one formula, within limits that hold for every writer; the pool rewards
usefulness once per day and agent, with what was fixed when the day was opened. The view
`proof.differences` counts everything again from the evidence and is empty when the published numbers are right.

A receipt ends once, and only as its quorum says (`proof.quorum`); each member audits once, signed, in time.

A settlement calls `commands.record_outcome` in its own transaction; the numbers follow in a reaction to
`OutcomeRecorded`, so that no settlement waits for another one's scores. `commands.note_evidence` does the same for
what attesters and arbiters find out; trust follows `EvidenceNoted`. Publishes `ReputationChanged`,
`TrustChanged`, `WorkPublished`, `DisclosureAsked`, `WorkDisclosed`, `UsefulWorkProven`, `UsefulnessChanged`,
`RewardPaid`, `ReceiptOpened`, `AttestationMade`, `ReceiptFinalized` and `StakeSlashed`.
Sources: Proof-of-Service registry (work history, reputation), AINP (trust, usefulness).
"""
