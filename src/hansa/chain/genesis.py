"""How a chain begins: its identity, its faucet, and the mint of test USDC."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass

from solders.account import Account
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.token.state import Mint

from hansa.chain.errors import LogDamaged
from hansa.chain.log import Record
from hansa.chain.tokens import TOKEN_PROGRAM

NETWORKS = ("devnet", "testnet", "own")
"""Whose genesis hash the chain answers. There is no mainnet: nothing local may ever pass for it."""
CLUSTER_GENESIS = {
    "devnet": "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG",
    "testnet": "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY",
}
USDC_MINT = Pubkey.from_string("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU")
"""The address of USDC on devnet, which x402 takes for its default asset."""
USDC_DECIMALS = 6
FAUCET_LAMPORTS = 500_000_000 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What never changes about one chain. Its log starts with it."""

    instance: str
    """Names this chain among all others; kept across restarts."""
    network: str
    faucet_secret: str
    """32 bytes in hex: the key that holds the test money and may mint more."""

    @property
    def faucet(self) -> Keypair:
        return Keypair.from_seed(bytes.fromhex(self.faucet_secret))

    @property
    def hash(self) -> str:
        """The answer to getGenesisHash: the cluster's, or one that no other chain has."""
        own = Hash(hashlib.sha256(b"hansa genesis" + self.instance.encode()).digest())
        return CLUSTER_GENESIS.get(self.network, str(own))

    def record(self) -> Record:
        return {
            "kind": "genesis",
            "instance": self.instance,
            "network": self.network,
            "faucet_secret": self.faucet_secret,
        }


def new_genesis(network: str) -> Genesis:
    return Genesis(instance=uuid.uuid4().hex, network=network, faucet_secret=secrets.token_hex(32))


def genesis_of(record: Record) -> Genesis:
    """Read the first record of a log."""
    match record:
        case {"kind": "genesis", "instance": str(instance), "network": str(network), "faucet_secret": str(secret)}:
            return Genesis(instance=instance, network=network, faucet_secret=secret)
        case _:
            raise LogDamaged("the log does not begin with a genesis record")


def new_machine(genesis: Genesis) -> LiteSVM:
    """A machine as it stands before the first transaction.

    Signatures, blockhashes and repetition are checked by us: the machine knows one blockhash only, cannot simulate
    what is not yet signed, and would verify every signature of the log again on a restart.
    """
    machine = LiteSVM()
    # The methods of the binding are named `with_` at run time, whatever its stubs say; they change it in place.
    for setting, value in (("sigverify", False), ("blockhash_check", False), ("transaction_history", 0)):
        getattr(machine, f"with_{setting}")(value)
    faucet = genesis.faucet.pubkey()
    mint = Mint(mint_authority=faucet, supply=0, decimals=USDC_DECIMALS, is_initialized=True, freeze_authority=None)
    rent = machine.minimum_balance_for_rent_exemption(len(bytes(mint)))
    machine.set_account(USDC_MINT, Account(rent, bytes(mint), TOKEN_PROGRAM))
    machine.set_account(faucet, Account(FAUCET_LAMPORTS, b"", SYSTEM_PROGRAM))
    return machine
