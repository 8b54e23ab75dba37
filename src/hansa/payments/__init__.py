"""Payments: x402 on Solana, with a facilitator of our own that cannot pay or answer twice.

Owns the schema `payments`. Amounts are integers in the smallest unit of a mint.

PostgreSQL keeps: one claim per payment, written before any work and bound to the requirements and the resource it was
presented for; a claim only moves forward, ends once and keeps the transaction it was signed as; its history is append
only; one answer per payment. `payments.discrepancies` is empty when the records are right.

We are the fee payer, so we know the id of a transaction before it is sent: it is stored first, and what became of it
is read from the chain by that id. A send that failed is "unknown", never "failed".

From the inside out: `transactions` reads and checks what a buyer signed, `facilitator` claims, signs, sends and
confirms, `paywall` sells a route and keeps its answers. It publishes `PaymentSettled` when the chain has confirmed.
Source: Autopay agent; x402 version 2, scheme `exact`.
"""
