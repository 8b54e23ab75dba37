"""Wallets with money, and transactions between them."""

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from hansa.chain.client import ChainRpc
from hansa.chain.genesis import USDC_DECIMALS, USDC_MINT
from hansa.chain.tokens import TOKEN_PROGRAM, associated_token_address

USDC = str(USDC_MINT)
SOL = 10**9


def wallet(rpc: ChainRpc, *, usdc: int = 0, lamports: int = 0) -> Keypair:
    keypair = Keypair()
    rpc.faucet(address(keypair), usdc=usdc, lamports=lamports)
    return keypair


def address(keypair: Keypair) -> str:
    return str(keypair.pubkey())


def usdc_transfer(payer: Keypair, payee: Keypair, amount: int) -> Instruction:
    accounts = [
        AccountMeta(associated_token_address(payer.pubkey(), USDC_MINT), is_signer=False, is_writable=True),
        AccountMeta(USDC_MINT, is_signer=False, is_writable=False),
        AccountMeta(associated_token_address(payee.pubkey(), USDC_MINT), is_signer=False, is_writable=True),
        AccountMeta(payer.pubkey(), is_signer=True, is_writable=False),
    ]
    return Instruction(TOKEN_PROGRAM, bytes([12]) + amount.to_bytes(8, "little") + bytes([USDC_DECIMALS]), accounts)


def sol_transfer(payer: Keypair, payee: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=payee, lamports=lamports))


def signed(*instructions: Instruction, payer: Keypair, blockhash: Hash, others: tuple[Keypair, ...] = ()) -> bytes:
    message = MessageV0.try_compile(payer.pubkey(), instructions, [], blockhash)
    return bytes(VersionedTransaction(message, [payer, *others]))


def usdc_payment(rpc: ChainRpc, payer: Keypair, payee: Keypair, amount: int) -> bytes:
    blockhash, _ = rpc.latest_blockhash()
    return signed(usdc_transfer(payer, payee, amount), payer=payer, blockhash=blockhash)


def signature_of(raw: bytes) -> str:
    return str(VersionedTransaction.from_bytes(raw).signatures[0])
