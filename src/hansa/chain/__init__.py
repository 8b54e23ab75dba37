"""The local chain: a Solana that fits into one small process and costs nothing.

`python -m hansa.chain --home DIR` runs LiteSVM behind Solana JSON-RPC, so that unmodified x402, solana-py and
TypeScript clients pay against it. This package imports nothing else of Hansa and, but for `client`, only solders
and uvicorn, because the same files also run on a newer solders in an environment of their own.

What it adds to the bare machine, because a cluster has it:

- slots that follow the wall clock, a blockhash that lives for 150 of them, and `lastValidBlockHeight`;
- a status cache by message: what landed once never lands twice;
- transactions that fail on chain still land, pay their fee and keep their `err`;
- a transfer may not leave an account below its rent minimum;
- durable nonces, which advance even when their transaction fails;
- a preflight that knows only the blockhashes of the commitment it was asked for;
- USDC at its devnet address and a faucet that holds its mint authority.

What stays different from a cluster:

- One validator, no forks: a transaction runs the moment it arrives and is `confirmed` at once. It is `finalized`
  32 slots later, but accounts are always read as they are now.
- A transaction that may not land is dropped on arrival, without retries by the node.
- The block height lags the slot by a constant, so that a client that mixes up the two is caught.
- Fees are those of the installed LiteSVM: solders 0.27 charges no priority fee, later ones do.
- There are no stakes, rewards, rent collection, subscriptions over WebSocket or scans of a program's accounts.
"""
