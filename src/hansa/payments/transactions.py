"""Reading what a buyer signed: pure checks, made before anything is written or asked of the chain.

A payment is one v0 transaction of this exact shape: compute limit, compute price, one TransferChecked of the amount
from the payer to the payee's token account, one memo; two signers, of which we are the fee payer and nothing else.
What the official mechanism would let pass and we do not: our key as an account of any instruction, a fee above our
cap, no memo or several (the memo is what makes a payment the only one of its kind), a lookup table, more than the
price, a token that is not listed, a network that merely looks like ours.
Source: x402 version 2, scheme `exact` on Solana; its own verification runs after this one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

import rfc8785
from solders.instruction import CompiledInstruction
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from x402.mechanisms.svm.constants import (
    COMPUTE_BUDGET_PROGRAM_ADDRESS,
    ERR_AMOUNT_INSUFFICIENT,
    ERR_COMPUTE_PRICE_TOO_HIGH,
    ERR_FEE_PAYER_MISSING,
    ERR_FEE_PAYER_NOT_MANAGED,
    ERR_FEE_PAYER_TRANSFERRING,
    ERR_INVALID_COMPUTE_LIMIT,
    ERR_INVALID_COMPUTE_PRICE,
    ERR_INVALID_INSTRUCTION_COUNT,
    ERR_MEMO_COUNT,
    ERR_MEMO_MISMATCH,
    ERR_MINT_MISMATCH,
    ERR_NETWORK_MISMATCH,
    ERR_NO_TRANSFER_INSTRUCTION,
    ERR_RECIPIENT_MISMATCH,
    ERR_TRANSACTION_DECODE_FAILED,
    ERR_UNSUPPORTED_SCHEME,
    LIGHTHOUSE_PROGRAM_ADDRESS,
    MAX_MEMO_BYTES,
    MEMO_PROGRAM_ADDRESS,
    SCHEME_EXACT,
)
from x402.schemas import PaymentPayload, PaymentRequirements

from hansa.chain.tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM, associated_token_address
from hansa.kernel.money import TokenUnits
from hansa.payments.errors import PaymentInvalid
from hansa.payments.models import Network, Presented
from hansa.payments.onchain import message_hash_of

TRANSACTION_BYTES_MAX = 1232
SIGNATURE_LAMPORTS = 5_000
MICRO = 1_000_000
"""Micro-lamports in a lamport."""
AMOUNT_DIGITS_MAX = 18
URL_LENGTH_MAX = 2_048

COMPUTE_BUDGET = Pubkey.from_string(COMPUTE_BUDGET_PROGRAM_ADDRESS)
MEMO = Pubkey.from_string(MEMO_PROGRAM_ADDRESS)
LIGHTHOUSE = Pubkey.from_string(LIGHTHOUSE_PROGRAM_ADDRESS)
"""Wallets append its assertions; they can only make a transaction fail."""
TOKEN_PROGRAMS = frozenset({TOKEN_PROGRAM, TOKEN_2022_PROGRAM})
SET_LIMIT, SET_PRICE, TRANSFER_CHECKED = 2, 3, 12
CHANGING_HINTS = frozenset({"recentBlockhash", "lastValidBlockHeight"})
"""Hints for building a transaction, which sellers renew in every answer: no part of what is bought."""

ERR_LOOKUP_TABLE = "invalid_exact_svm_payload_lookup_table"
ERR_SIGNERS = "invalid_exact_svm_payload_signers"
ERR_SIGNATURE = "invalid_exact_svm_payload_signature"
ERR_RESOURCE = "invalid_resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The one thing that a payment does."""

    program: str
    source: Pubkey
    mint: Pubkey
    destination: Pubkey
    authority: Pubkey
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPayment:
    """A payment transaction whose shape and payer's signature are right."""

    transaction: VersionedTransaction
    message_hash: str
    fee_payer: str
    transfer: Transfer
    memo: str
    fee_lamports: int
    """The most that the network takes for it."""


def present(
    payload: object, requirements: object, *, network: Network, fee_payer: str, fee_lamports_max: int
) -> Presented:
    """Read and check a payment for what a seller requires, without the network. Raises PaymentInvalid."""
    if not isinstance(payload, PaymentPayload) or not isinstance(requirements, PaymentRequirements):
        raise PaymentInvalid("only version 2 of x402 is spoken here", reason="invalid_x402_version")
    require_terms(payload, requirements, network=network, fee_payer=fee_payer)
    payment = read_payment(payload)
    if payment.fee_payer != fee_payer:
        raise PaymentInvalid("the transaction names another fee payer", reason=ERR_FEE_PAYER_NOT_MANAGED)
    if payment.fee_lamports > fee_lamports_max:
        raise PaymentInvalid(
            f"the network fee may be {payment.fee_lamports} lamports; we pay at most {fee_lamports_max}",
            reason=ERR_COMPUTE_PRICE_TOO_HIGH,
        )
    require_transfer(payment.transfer, requirements)
    expected_memo = (requirements.extra or {}).get("memo")
    if expected_memo and expected_memo != payment.memo:
        raise PaymentInvalid("the memo is not the one that the seller asked for", reason=ERR_MEMO_MISMATCH)
    return Presented(
        message_hash=payment.message_hash,
        requirements_digest=digest_of(requirements),
        resource=resource_of(payload),
        payer=str(payment.transfer.authority),
        pay_to=requirements.pay_to,
        asset=requirements.asset,
        amount=TokenUnits(payment.transfer.amount),
        memo=payment.memo,
        fee_payer=fee_payer,
        network=network.caip2,
    )


def require_terms(
    payload: PaymentPayload, requirements: PaymentRequirements, *, network: Network, fee_payer: str
) -> None:
    """The requirements are ones that this facilitator serves: scheme, exact network, listed token, our fee payer."""
    if {payload.accepted.scheme, requirements.scheme} != {SCHEME_EXACT}:
        raise PaymentInvalid("only the scheme exact is settled here", reason=ERR_UNSUPPORTED_SCHEME)
    if {str(payload.accepted.network), str(requirements.network)} != {network.caip2}:
        raise PaymentInvalid(f"payments are settled on {network.caip2} only", reason=ERR_NETWORK_MISMATCH)
    if requirements.asset not in network.mints:
        raise PaymentInvalid("this token is not taken as payment", reason=ERR_MINT_MISMATCH)
    named = (requirements.extra or {}).get("feePayer")
    if named != fee_payer:
        reason = ERR_FEE_PAYER_NOT_MANAGED if named else ERR_FEE_PAYER_MISSING
        raise PaymentInvalid("the requirements name another fee payer", reason=reason)


def require_transfer(transfer: Transfer, requirements: PaymentRequirements) -> None:
    """The transfer is of exactly the price, in the token and to the account that the seller asks for."""
    if str(transfer.mint) != requirements.asset:
        raise PaymentInvalid("the transfer is of another token", reason=ERR_MINT_MISMATCH)
    if not (requirements.amount.isdecimal() and len(requirements.amount) <= AMOUNT_DIGITS_MAX):
        raise PaymentInvalid("the amount asked for is no whole number of units", reason=ERR_AMOUNT_INSUFFICIENT)
    if transfer.amount != int(requirements.amount) or not transfer.amount:
        raise PaymentInvalid("the transfer is not of exactly the price", reason=ERR_AMOUNT_INSUFFICIENT)
    if str(transfer.destination) != account_of(requirements.pay_to, requirements.asset, transfer.program):
        raise PaymentInvalid("the transfer goes to somebody else", reason=ERR_RECIPIENT_MISMATCH)


def account_of(owner: str, mint: str, program: str) -> str:
    try:
        keys = [Pubkey.from_string(text) for text in (owner, mint, program)]
    except ValueError as problem:
        raise PaymentInvalid("payTo is not a Solana address", reason=ERR_RECIPIENT_MISMATCH) from problem
    return str(associated_token_address(*keys))


def read_payment(payload: PaymentPayload) -> SignedPayment:
    """The payment transaction inside a payload, signed by its payer and shaped as one. Raises PaymentInvalid."""
    transaction = decode(payload.payload.get("transaction"))
    message = transaction.message
    if not isinstance(message, MessageV0) or message.address_table_lookups:
        raise PaymentInvalid("a payment is a v0 transaction without lookup tables", reason=ERR_LOOKUP_TABLE)
    keys, instructions = message.account_keys, message.instructions
    if message.header.num_required_signatures != 2 or len(transaction.signatures) != 2:
        raise PaymentInvalid("a payment has two signers: the fee payer and the payer", reason=ERR_SIGNERS)
    if any(0 in (one.program_id_index, *bytes(one.accounts)) for one in instructions):
        raise PaymentInvalid("the fee payer may take part in no instruction", reason=ERR_FEE_PAYER_TRANSFERRING)
    if len(instructions) < 4:
        raise PaymentInvalid(
            "a payment has a compute limit, a compute price, a transfer and a memo",
            reason=ERR_INVALID_INSTRUCTION_COUNT if len(instructions) < 3 else ERR_MEMO_COUNT,
        )
    fee_lamports = read_fee(keys, instructions)
    transfer = read_transfer(keys, instructions[2])
    memo = read_memo(keys, instructions[3:])
    if transfer.authority != keys[1]:
        raise PaymentInvalid("the second signer is the payer", reason=ERR_SIGNERS)
    if not transaction.signatures[1].verify(keys[1], to_bytes_versioned(message)):
        raise PaymentInvalid("the payer did not sign this transaction", reason=ERR_SIGNATURE)
    return SignedPayment(
        transaction=transaction,
        message_hash=message_hash_of(transaction),
        fee_payer=str(keys[0]),
        transfer=transfer,
        memo=memo,
        fee_lamports=fee_lamports,
    )


def decode(text: object) -> VersionedTransaction:
    """Read a base64 transaction: one spelling only, and every index inside points at something."""
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
        transaction = VersionedTransaction.from_bytes(raw[: TRANSACTION_BYTES_MAX + 1])
        transaction.sanitize()
    except (ValueError, binascii.Error, RuntimeError) as problem:
        raise PaymentInvalid("the transaction cannot be read", reason=ERR_TRANSACTION_DECODE_FAILED) from problem
    if bytes(transaction) != raw or len(raw) > TRANSACTION_BYTES_MAX:
        raise PaymentInvalid(
            "there is more than a transaction, or it is too long", reason=ERR_TRANSACTION_DECODE_FAILED
        )
    return transaction


def read_fee(keys: list[Pubkey], instructions: list[CompiledInstruction]) -> int:
    """The most that the network takes: two signatures, and the price of all compute units that may be used."""
    limit, price = bytes(instructions[0].data), bytes(instructions[1].data)
    if keys[instructions[0].program_id_index] != COMPUTE_BUDGET or len(limit) != 5 or limit[0] != SET_LIMIT:
        raise PaymentInvalid("the first instruction sets the compute limit", reason=ERR_INVALID_COMPUTE_LIMIT)
    if keys[instructions[1].program_id_index] != COMPUTE_BUDGET or len(price) != 9 or price[0] != SET_PRICE:
        raise PaymentInvalid("the second instruction sets the compute price", reason=ERR_INVALID_COMPUTE_PRICE)
    priority = int.from_bytes(limit[1:], "little") * int.from_bytes(price[1:], "little")
    return 2 * SIGNATURE_LAMPORTS + -(-priority // MICRO)


def read_transfer(keys: list[Pubkey], instruction: CompiledInstruction) -> Transfer:
    program, data = keys[instruction.program_id_index], bytes(instruction.data)
    accounts = [keys[index] for index in bytes(instruction.accounts)]
    if program not in TOKEN_PROGRAMS or len(data) != 10 or data[0] != TRANSFER_CHECKED or len(accounts) != 4:
        raise PaymentInvalid("the third instruction is the transfer", reason=ERR_NO_TRANSFER_INSTRUCTION)
    source, mint, destination, authority = accounts
    return Transfer(
        program=str(program),
        source=source,
        mint=mint,
        destination=destination,
        authority=authority,
        amount=int.from_bytes(data[1:9], "little"),
    )


def read_memo(keys: list[Pubkey], instructions: list[CompiledInstruction]) -> str:
    """The one memo of a payment; without it two equal purchases in one block would be the same transaction."""
    memos = [bytes(one.data) for one in instructions if keys[one.program_id_index] == MEMO]
    if len(memos) != 1 or not 0 < len(memos[0]) <= MAX_MEMO_BYTES:
        raise PaymentInvalid("a payment has exactly one memo", reason=ERR_MEMO_COUNT)
    if any(keys[one.program_id_index] not in {MEMO, LIGHTHOUSE} for one in instructions):
        raise PaymentInvalid("a payment does nothing but pay", reason=ERR_INVALID_INSTRUCTION_COUNT)
    try:
        return memos[0].decode()
    except UnicodeDecodeError as problem:
        raise PaymentInvalid("the memo is no text", reason=ERR_MEMO_MISMATCH) from problem


def resource_of(payload: PaymentPayload) -> str:
    """URL that the buyer presents the payment for; empty when the seller's offer named none."""
    url = payload.resource.url if payload.resource else ""
    if len(url) > URL_LENGTH_MAX or not url.isprintable():
        raise PaymentInvalid("the resource is no URL of a sensible length", reason=ERR_RESOURCE)
    return url


def digest_of(requirements: PaymentRequirements) -> str:
    """SHA-256 of the canonical requirements, hex: what a claim is bound to."""
    document = requirements.model_dump(by_alias=True, exclude_none=True)
    document["extra"] = {name: value for name, value in requirements.extra.items() if name not in CHANGING_HINTS}
    try:
        return hashlib.sha256(rfc8785.dumps(document)).hexdigest()
    except (rfc8785.CanonicalizationError, RecursionError) as problem:
        raise PaymentInvalid("the requirements have no canonical form", reason=ERR_RESOURCE) from problem
