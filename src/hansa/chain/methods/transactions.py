"""Sending transactions, and what became of them."""

import base64
import binascii
from collections.abc import Callable

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from hansa.chain import base58
from hansa.chain.chain import Chain
from hansa.chain.clock import FINALITY_LAG, last_valid_block_height
from hansa.chain.errors import InvalidParams, Json, RpcError
from hansa.chain.machine import Landed, Simulation
from hansa.chain.methods.accounts import account_json
from hansa.chain.methods.answer import Method, bank, with_context
from hansa.chain.methods.rendering import error_text, inner_json, return_data_json, transaction_json
from hansa.chain.params import Config, Params
from hansa.chain.submitted import Submitted, parse_transaction

SIGNATURES_MAX = 256
HISTORY_MAX = 1000
RECENT_SLOTS = 300
"""How long getSignatureStatuses remembers by itself; older ones need searchTransactionHistory."""
ENCODINGS = ("base64", "base58")


def send_transaction(chain: Chain, params: Params) -> Json:
    """Run a transaction. With skipPreflight a bad one is dropped and its signature answered, as on a cluster."""
    submitted = accept(chain, params)
    chain.submit(submitted)
    return submitted.signature


def accept(chain: Chain, params: Params) -> Submitted:
    """Read a transaction and refuse it when it would fail, unless the client wants it sent all the same."""
    config = params.config(1)
    submitted = read_transaction(params, config)
    if not config.flag("skipPreflight"):
        check_signatures(submitted)
        refuse_failing(chain, submitted, bank_slot=chain.slot_at(config.commitment("preflightCommitment")))
    return submitted


def refuse_failing(chain: Chain, submitted: Submitted, *, bank_slot: int) -> None:
    simulation = chain.simulate(submitted, bank_slot=bank_slot)
    if simulation.err is not None:
        message = f"Transaction simulation failed: {error_text(simulation.err)}"
        raise RpcError(-32002, message, simulation_json(chain, simulation, Config(values={})))


def simulate_transaction(chain: Chain, params: Params) -> Json:
    config = params.config(1)
    submitted = read_transaction(params, config)
    replace = config.flag("replaceRecentBlockhash")
    if config.flag("sigVerify"):
        if replace:
            raise InvalidParams("sigVerify may not be used with replaceRecentBlockhash")
        check_signatures(submitted)
    slot = bank(chain, config)
    simulation = chain.simulate(submitted, bank_slot=slot, any_blockhash=replace)
    value = simulation_json(chain, simulation, config)
    if replace:
        value["replacementBlockhash"] = {
            "blockhash": str(chain.blockhashes.of(slot)),
            "lastValidBlockHeight": last_valid_block_height(slot),
        }
    return with_context(slot, value)


def get_signature_statuses(chain: Chain, params: Params) -> Json:
    signatures = params.texts(0)
    if len(signatures) > SIGNATURES_MAX:
        raise InvalidParams(f"at most {SIGNATURES_MAX} signatures at once")
    whole_history = params.config(1).flag("searchTransactionHistory")
    now = chain.clock.slot
    statuses: list[Json] = []
    for signature in signatures:
        landed = chain.landed.get(check_signature(signature))
        known = landed is not None and (whole_history or now - landed.moment.slot <= RECENT_SLOTS)
        statuses.append(status_json(landed, now) if landed is not None and known else None)
    return with_context(now, statuses)


def get_transaction(chain: Chain, params: Params) -> Json:
    config = params.config(1)
    landed = chain.landed.get(check_signature(params.text(0)))
    if landed is None or landed.moment.slot > bank(chain, config):
        return None
    encoding = config.one_of("encoding", ("json", *ENCODINGS), default="json")
    return transaction_json(landed, encoding, version_max=config.integer("maxSupportedTransactionVersion"))


def get_signatures_for_address(chain: Chain, params: Params) -> Json:
    """The newest first. `before` and `until` are signatures that bound the answer without being part of it."""
    config = params.config(1)
    limit = config.integer("limit", default=HISTORY_MAX)
    if limit is None or not 1 <= limit <= HISTORY_MAX:
        raise InvalidParams(f"limit must be from 1 to {HISTORY_MAX}")
    slot, now = bank(chain, config), chain.clock.slot
    history = [landed for landed in reversed(chain.history(params.address(0))) if landed.moment.slot <= slot]
    start, end = _place(history, config.text("before")), _place(history, config.text("until"))
    history = history[0 if start is None else start + 1 : end]
    return [_summary_json(landed, now) for landed in history[:limit]]


def _place(history: list[Landed], signature: str | None) -> int | None:
    """Where `signature` is in the history; None when it is not asked for or not there."""
    return next((i for i, landed in enumerate(history) if landed.submitted.signature == signature), None)


def _summary_json(landed: Landed, now: int) -> Json:
    return {
        "signature": landed.submitted.signature,
        "slot": landed.moment.slot,
        "err": landed.err,
        "memo": landed.submitted.memo,
        "blockTime": landed.moment.unix_time,
        "confirmationStatus": confirmation(landed, now),
    }


def confirmation(landed: Landed, now: int) -> str:
    return "finalized" if now - landed.moment.slot >= FINALITY_LAG else "confirmed"


def status_json(landed: Landed, now: int) -> Json:
    confirmed = confirmation(landed, now)
    return {
        "slot": landed.moment.slot,
        "confirmations": None if confirmed == "finalized" else now - landed.moment.slot,
        "err": landed.err,
        "status": {"Ok": None} if landed.err is None else {"Err": landed.err},
        "confirmationStatus": confirmed,
    }


def simulation_json(chain: Chain, simulation: Simulation, config: Config) -> dict[str, Json]:
    meta = simulation.meta
    return {
        "err": simulation.err,
        "logs": list(meta.logs()) if meta is not None else [],
        "accounts": _wanted_accounts(chain, simulation, config.part("accounts")),
        "unitsConsumed": meta.compute_units_consumed() if meta is not None else 0,
        "returnData": return_data_json(meta) if meta is not None else None,
        "innerInstructions": inner_json(meta) if meta is not None and config.flag("innerInstructions") else None,
    }


def _wanted_accounts(chain: Chain, simulation: Simulation, wanted: Config | None) -> Json:
    if wanted is None:
        return None
    current: Callable[[Pubkey], Account | None] = chain.account
    return [
        account_json(chain, simulation.accounts.get(address) or current(address), wanted)
        for address in wanted.addresses("addresses")
    ]


def read_transaction(params: Params, config: Config) -> Submitted:
    """The transaction of a call. Raises InvalidParams."""
    encoding = config.one_of("encoding", ENCODINGS, default="base58")
    text = params.text(0)
    try:
        raw = base64.b64decode(text, validate=True) if encoding == "base64" else base58.decode(text)
    except (ValueError, binascii.Error) as error:
        raise InvalidParams(f"invalid {encoding} encoding: {error}") from error
    return parse_transaction(raw)


def check_signatures(submitted: Submitted) -> None:
    if not submitted.is_signed():
        raise RpcError(-32003, "Transaction signature verification failure")


def check_signature(text: str) -> str:
    try:
        return str(Signature.from_string(text))
    except ValueError as error:
        raise InvalidParams(f"not a signature: {text}") from error


METHODS: dict[str, Method] = {
    "sendTransaction": send_transaction,
    "simulateTransaction": simulate_transaction,
    "getSignatureStatuses": get_signature_statuses,
    "getTransaction": get_transaction,
    "getSignaturesForAddress": get_signatures_for_address,
}
