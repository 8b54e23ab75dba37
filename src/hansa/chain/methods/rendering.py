"""Transactions and their outcome as JSON."""

import base64

from solders.instruction import CompiledInstruction
from solders.message import Message, MessageV0
from solders.transaction_metadata import InnerInstruction, TransactionMetadata

from hansa.chain import base58
from hansa.chain.errors import Json, RpcError
from hansa.chain.machine import Balances, Landed
from hansa.chain.tokens import amount_json

ERROR_TEXTS = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
}


def error_text(err: Json) -> str:
    """An error as a sentence, in Solana's words where clients look for them."""
    match err:
        case str():
            return ERROR_TEXTS.get(err, err)
        case {"InstructionError": [int(index), {"Custom": int(code)}]}:
            return f"Error processing Instruction {index}: custom program error: {code:#x}"
        case {"InstructionError": [int(index), cause]}:
            return f"Error processing Instruction {index}: {cause}"
        case {"InsufficientFundsForRent": {"account_index": int(index)}}:
            return f"Transaction results in an account ({index}) with insufficient funds for rent"
        case _:
            return str(err)


def transaction_json(landed: Landed, encoding: str, *, version_max: int | None) -> Json:
    """The answer of getTransaction. Raises RpcError when the client did not say it can read this version."""
    message = landed.submitted.tx.message
    versioned = isinstance(message, MessageV0)
    if versioned and version_max is None:
        raise RpcError(
            -32015,
            "Transaction version (0) is not supported by the requesting client. "
            'Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": 0',
        )
    answer: dict[str, Json] = {
        "slot": landed.moment.slot,
        "blockTime": landed.moment.unix_time,
        "transaction": _encoded(landed, encoding),
        "meta": _meta_json(landed),
    }
    if version_max is not None:
        answer["version"] = 0 if versioned else "legacy"
    return answer


def _encoded(landed: Landed, encoding: str) -> Json:
    raw = landed.submitted.raw
    match encoding:
        case "base64":
            return [base64.b64encode(raw).decode(), "base64"]
        case "base58":
            return [base58.encode(raw), "base58"]
        case _:
            tx = landed.submitted.tx
            return {"signatures": [str(signature) for signature in tx.signatures], "message": _message_json(tx.message)}


def _message_json(message: Message | MessageV0) -> Json:
    header = message.header
    answer: dict[str, Json] = {
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(key) for key in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [_instruction_json(instruction, 1) for instruction in message.instructions],
    }
    if isinstance(message, MessageV0):
        answer["addressTableLookups"] = [
            {
                "accountKey": str(lookup.account_key),
                "writableIndexes": list(bytes(lookup.writable_indexes)),
                "readonlyIndexes": list(bytes(lookup.readonly_indexes)),
            }
            for lookup in message.address_table_lookups
        ]
    return answer


def _instruction_json(instruction: CompiledInstruction, stack_height: int) -> Json:
    return {
        "programIdIndex": instruction.program_id_index,
        "accounts": list(bytes(instruction.accounts)),
        "data": base58.encode(bytes(instruction.data)),
        "stackHeight": stack_height,
    }


def _meta_json(landed: Landed) -> Json:
    static = len(landed.submitted.tx.message.account_keys)
    lent = [str(key) for key in landed.keys.every[static:]]
    meta: dict[str, Json] = {
        "err": landed.err,
        "status": {"Ok": None} if landed.err is None else {"Err": landed.err},
        "fee": landed.fee,
        "preBalances": list(landed.before.lamports),
        "postBalances": list(landed.after.lamports),
        "preTokenBalances": _token_balances_json(landed.before),
        "postTokenBalances": _token_balances_json(landed.after),
        "innerInstructions": inner_json(landed.meta),
        "logMessages": list(landed.meta.logs()),
        "rewards": [],
        "loadedAddresses": {
            "writable": [*lent[: landed.keys.loaded_writable]],
            "readonly": [*lent[landed.keys.loaded_writable :]],
        },
        "computeUnitsConsumed": landed.meta.compute_units_consumed(),
    }
    returned = return_data_json(landed.meta)
    return meta if returned is None else {**meta, "returnData": returned}


def _token_balances_json(balances: Balances) -> Json:
    return [
        {
            "accountIndex": token.index,
            "mint": str(token.mint),
            "owner": str(token.owner),
            "programId": str(token.program),
            "uiTokenAmount": amount_json(token.amount, token.decimals),
        }
        for token in balances.tokens
    ]


def inner_json(meta: TransactionMetadata) -> Json:
    """The instructions that programs called, by the index of the instruction that began it."""
    answer: list[Json] = []
    for index, calls in enumerate(meta.inner_instructions()):
        inner = [_instruction_json(call.instruction(), _stack_height(call)) for call in calls]
        if inner:
            answer.append({"index": index, "instructions": [*inner]})
    return answer


def _stack_height(call: InnerInstruction) -> int:
    return call.stack_height()  # pyright: ignore[reportAttributeAccessIssue] the stub forgot it


def return_data_json(meta: TransactionMetadata) -> Json:
    returned = meta.return_data()  # pyright: ignore[reportAttributeAccessIssue] the stub names it otherwise
    data = bytes(returned.data)
    if not data:
        return None
    return {"programId": str(returned.program_id), "data": [base64.b64encode(data).decode(), "base64"]}
