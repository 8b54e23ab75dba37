"""Time, blockhashes, fees and the identity of the cluster."""

import base64
import binascii

from solders.litesvm import LiteSVM
from solders.message import VersionedMessage, from_bytes_versioned

from hansa.chain.chain import Chain
from hansa.chain.clock import BLOCKHASH_LIFE, SLOTS_PER_EPOCH, block_height, last_valid_block_height
from hansa.chain.errors import InvalidParams, Json
from hansa.chain.methods.answer import VERSION, Method, bank, with_context
from hansa.chain.params import Params

LAMPORTS_PER_SIGNATURE = 5000
COMPUTE_UNITS_MAX = 1_400_000
COMPUTE_UNITS_PER_INSTRUCTION = 200_000
COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111"
CHARGES_PRIORITY_FEES = hasattr(LiteSVM, "get_program_accounts")
"""The same release of the machine brought both."""


def get_version(_: Chain, __: Params) -> Json:
    return {"solana-core": VERSION, "feature-set": 0}


def get_health(_: Chain, __: Params) -> Json:
    return "ok"


def get_genesis_hash(chain: Chain, _: Params) -> Json:
    return chain.genesis.hash


def get_slot(chain: Chain, params: Params) -> Json:
    return bank(chain, params.config(0))


def get_block_height(chain: Chain, params: Params) -> Json:
    return block_height(bank(chain, params.config(0)))


def get_latest_blockhash(chain: Chain, params: Params) -> Json:
    slot = bank(chain, params.config(0))
    value: Json = {
        "blockhash": str(chain.blockhashes.of(slot)),
        "lastValidBlockHeight": last_valid_block_height(slot),
    }
    return with_context(slot, value)


def is_blockhash_valid(chain: Chain, params: Params) -> Json:
    slot = bank(chain, params.config(1))
    known = chain.blockhashes.slot_of(params.blockhash(0), now=chain.clock.slot)
    return with_context(slot, known is not None and known <= slot)


def get_epoch_info(chain: Chain, params: Params) -> Json:
    slot = bank(chain, params.config(0))
    epoch, slot_index = divmod(slot, SLOTS_PER_EPOCH)
    return {
        "absoluteSlot": slot,
        "blockHeight": block_height(slot),
        "epoch": epoch,
        "slotIndex": slot_index,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": len(chain.landed),
    }


def get_minimum_balance_for_rent_exemption(chain: Chain, params: Params) -> Json:
    return chain.rent_minimum(params.integer(0))


def get_fee_for_message(chain: Chain, params: Params) -> Json:
    slot = bank(chain, params.config(1))
    try:
        message = from_bytes_versioned(base64.b64decode(params.text(0), validate=True))
    except (ValueError, binascii.Error) as error:
        raise InvalidParams("parameter 1 is not a message in base64") from error
    if chain.blockhashes.slot_of(message.recent_blockhash, now=chain.clock.slot) is None:
        return with_context(slot, None)
    priority_fee = _priority_fee(message) if CHARGES_PRIORITY_FEES else 0
    return with_context(slot, message.header.num_required_signatures * LAMPORTS_PER_SIGNATURE + priority_fee)


def _priority_fee(message: VersionedMessage) -> int:
    """Lamports on top of the signatures: compute units times their price, rounded up."""
    limit, price, others = None, 0, 0
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if str(message.account_keys[instruction.program_id_index]) != COMPUTE_BUDGET:
            others += 1
        elif data[:1] == b"\x02":
            limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\x03":
            price = int.from_bytes(data[1:9], "little")
    units = min(others * COMPUTE_UNITS_PER_INSTRUCTION if limit is None else limit, COMPUTE_UNITS_MAX)
    return -(-units * price // 1_000_000)


def get_recent_prioritization_fees(chain: Chain, params: Params) -> Json:
    """Nobody competes for our blocks, so every recent slot was free."""
    if params.values:
        params.addresses(0)
    newest = chain.clock.slot
    return [{"slot": slot, "prioritizationFee": 0} for slot in range(newest - BLOCKHASH_LIFE + 1, newest + 1)]


METHODS: dict[str, Method] = {
    "getVersion": get_version,
    "getHealth": get_health,
    "getGenesisHash": get_genesis_hash,
    "getSlot": get_slot,
    "getBlockHeight": get_block_height,
    "getLatestBlockhash": get_latest_blockhash,
    "isBlockhashValid": is_blockhash_valid,
    "getEpochInfo": get_epoch_info,
    "getMinimumBalanceForRentExemption": get_minimum_balance_for_rent_exemption,
    "getFeeForMessage": get_fee_for_message,
    "getRecentPrioritizationFees": get_recent_prioritization_fees,
}
