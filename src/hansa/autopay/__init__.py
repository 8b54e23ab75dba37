"""Autopay: agents that pay for themselves, within a budget, and the books of what they paid.

Owns the schema `autopay`. Amounts are integers in the smallest unit of a currency.

The buyer's key never comes here. The agent asks before it pays, hands over what it signed before it sends it, and
tells what came of it; the house reserves the budget, keeps the signed payment sealed, and believes the chain only.
A payment is a success when its transaction is found on the chain without an error, and a failure when it can no
longer land; until then it is PENDING or RETRYING and its price stays reserved.

PostgreSQL keeps: spending and reservations never above a cap, also of payments made at the same moment; one payment
per purchase and one transaction per payment; three retries at most; an append-only history; every agent sees its own
rows only. `autopay.discrepancies` is empty when the budgets agree with their transactions.
It publishes `AutopayConcluded` when a payment is proven to have landed, or never to land.
Source: Autopay agent.
"""
