"""Identity: accounts, the keys of DIDs, sign-in with a wallet, and nonces against replay.

Owns the schema `identity`. An account is one wallet: `solana_did` is the did:sol of the key it began with. One key
has several names (did:key, did:sol, did:pkh); all of them lead to one account, and a key that ended under one of
its names has ended under all.

PostgreSQL keeps: a DID has one active key at a time; an ended key has a reason and stays on record; a nonce, a
sign-in message and a session token serve once; accounts and sessions are visible to their owner and to the house
only, by forced row-level security.

Publishes `KeyEnded` when a key was rotated or revoked, so that what was granted to it can be taken back.
Source: Proof-of-Service registry (users, revocable Solana DID keys); AMOCA (users).
"""
