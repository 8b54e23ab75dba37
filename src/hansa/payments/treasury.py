"""The house's own wallet: the key that pays network fees, and what has to be ready before the first payment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.transaction import VersionedTransaction

from hansa.chain.client import ChainRejected, ChainUnreachable
from hansa.chain.tokens import ASSOCIATED_TOKEN_PROGRAM, associated_token_address
from hansa.infra.keys import AgentKey, KeyFileExists
from hansa.infra.services import Services
from hansa.kernel.money import Asset
from hansa.payments.errors import ChainUnavailable, TreasuryEmpty
from hansa.payments.models import NETWORKS, Environment
from hansa.payments.settlement import check_chain

LAMPORTS_MIN = 10_000_000
"""Below this the house signs for nobody: one token account costs about a fifth of it."""
LAMPORTS_GIFT = 10_000_000_000
CREATE_IDEMPOTENT = bytes([1])


def facilitator_key(services: Services) -> AgentKey:
    """The key that is the fee payer of every payment settled here; made on first use."""
    path: Path = services.settings.home / "keys" / "facilitator.json"
    if not path.exists():
        with suppress(KeyFileExists):  # another process may be quicker; its key is ours too
            AgentKey.generate().save(path)
    return AgentKey.load(path)


def prepare(services: Services) -> None:
    """Make ready to settle: the chain is checked and remembered, and the fee payer has lamports.

    On the local chain the faucet gives them. Raises ChainDiffers, ChainUnavailable, TreasuryEmpty.
    """
    check_chain(services)
    wallet = facilitator_key(services).wallet
    try:
        if services.chain.balance(wallet) >= LAMPORTS_MIN:
            return
        if services.settings.environment != Environment.LOCAL:
            raise TreasuryEmpty(f"send SOL to {wallet}", wallet=wallet, lamports_min=LAMPORTS_MIN)
        services.chain.faucet(wallet, lamports=LAMPORTS_GIFT)
    except ChainUnreachable as outage:
        raise ChainUnavailable(str(outage)) from outage


def open_token_account(services: Services, owner: str, asset: Asset = Asset.USDC) -> str:
    """Open a payee's token account at our cost (its rent), or find it open; returns its address.

    For agents that register here, never on the word of a buyer: whoever may ask at will farms our lamports.
    Raises ChainUnavailable, TreasuryEmpty.
    """
    mint_text = NETWORKS[Environment(services.settings.environment)].mint_of(asset)
    assert mint_text is not None, "the caller asks for an asset of this chain"
    chain, mint = services.chain, Pubkey.from_string(mint_text)
    try:
        minted = chain.account(mint_text)
        assert minted is not None, "listed mints exist"
        program = Pubkey.from_string(minted.owner)
        account = str(associated_token_address(Pubkey.from_string(owner), mint, program))
        if chain.account(account) is None:
            create = create_account(facilitator_key(services), Pubkey.from_string(owner), mint, program)
            chain.send(signed_alone(facilitator_key(services), create, chain.latest_blockhash()[0]))
    except ChainUnreachable as outage:
        raise ChainUnavailable(str(outage)) from outage
    except ChainRejected as refused:
        raise TreasuryEmpty(f"the account was not opened: {refused}") from refused
    return account


def create_account(payer: AgentKey, owner: Pubkey, mint: Pubkey, program: Pubkey) -> Instruction:
    house = Pubkey.from_string(payer.wallet)
    accounts = [
        AccountMeta(house, is_signer=True, is_writable=True),
        AccountMeta(associated_token_address(owner, mint, program), is_signer=False, is_writable=True),
        AccountMeta(owner, is_signer=False, is_writable=False),
        AccountMeta(mint, is_signer=False, is_writable=False),
        AccountMeta(SYSTEM_PROGRAM, is_signer=False, is_writable=False),
        AccountMeta(program, is_signer=False, is_writable=False),
    ]
    return Instruction(ASSOCIATED_TOKEN_PROGRAM, CREATE_IDEMPOTENT, accounts)


def signed_alone(key: AgentKey, instruction: Instruction, blockhash: Hash) -> bytes:
    """A transaction of one instruction that needs nobody else's signature."""
    message = MessageV0.try_compile(Pubkey.from_string(key.wallet), [instruction], [], blockhash)
    return bytes(VersionedTransaction(message, [key.solders()]))


def cosigned(key: AgentKey, raw: bytes) -> bytes:
    """A buyer's transaction with our signature as its fee payer; the same every time, and it is the transaction's id."""
    transaction = VersionedTransaction.from_bytes(raw)
    ours = Signature.from_bytes(key.sign(to_bytes_versioned(transaction.message)))
    return bytes(VersionedTransaction.populate(transaction.message, [ours, *transaction.signatures[1:]]))


def txid_of(raw: bytes) -> str:
    return str(VersionedTransaction.from_bytes(raw).signatures[0])
