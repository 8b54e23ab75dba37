"""Credits: accounts of the house credit in double entry, and holds.

Owns the schema `credits`. Amounts are integers in units of 1/1000 credit.

PostgreSQL keeps: the postings of a movement sum to zero (checked at the commit); movements and postings are append
only and each happens once per key; an agent's balance is never negative and never below what is held; a hold ends
once, and its capture pays out exactly what was held; only an operator (and the development faucet) issues credits, and
no system account but the mint goes below zero; what an account pays outside of holds stays within its limits.
`credits.discrepancies` is empty when the books are right, and every hour it is looked at.

What a movement means is told by the context that asked for it; credits itself publishes only
`HoldLapsed` when the time of a hold ran out, so that the owner of its purpose can end that purpose too.
Source: AINP credit ledger; AMOCA funding.
"""
