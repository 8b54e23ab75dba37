"""Credits: accounts of the house credit in double entry, and holds.

Owns the schema `credits`. Amounts are integers in units of 1/1000 credit.

PostgreSQL keeps: the postings of a movement sum to zero (checked at the commit); movements and postings are append
only and each happens once per key; an agent's balance is never negative and never below what is held; a hold ends
once, and its capture pays out exactly what was held. `credits.discrepancies` is empty when the books are right.

What a movement means is told by the context that asked for it; credits itself publishes only
`HoldLapsed` when the time of a hold ran out, so that the owner of its purpose can end that purpose too.
Source: AINP credit ledger; AMOCA funding.
"""
