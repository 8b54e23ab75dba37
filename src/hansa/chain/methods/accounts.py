"""Accounts and what they hold."""

import base64

from solders.account import Account
from solders.pubkey import Pubkey
from solders.token.state import Mint, TokenAccount

from hansa.chain import base58
from hansa.chain.chain import Chain
from hansa.chain.errors import InvalidParams, Json
from hansa.chain.methods.answer import Method, bank, with_context
from hansa.chain.params import Config, Params
from hansa.chain.tokens import PROGRAM_NAMES, amount_json, state_json, token_state

ENCODINGS = ("base64", "base58", "jsonParsed")
BASE58_BYTES_MAX = 128
RENT_EPOCH = 2**64 - 1
"""What a cluster answers for every account that pays no rent, which are all."""


def get_balance(chain: Chain, params: Params) -> Json:
    account = chain.account(params.address(0))
    return with_context(bank(chain, params.config(1)), 0 if account is None else account.lamports)


def get_account_info(chain: Chain, params: Params) -> Json:
    config = params.config(1)
    return with_context(bank(chain, config), account_json(chain, chain.account(params.address(0)), config))


def get_multiple_accounts(chain: Chain, params: Params) -> Json:
    config = params.config(1)
    accounts: list[Json] = [account_json(chain, chain.account(key), config) for key in params.addresses(0)]
    return with_context(bank(chain, config), accounts)


def get_token_account_balance(chain: Chain, params: Params) -> Json:
    state = token_state(chain.account(params.address(0)))
    if not isinstance(state, TokenAccount):
        raise InvalidParams("could not find account")
    value = amount_json(state.amount, mint_decimals(chain, state.mint) or 0)
    return with_context(bank(chain, params.config(1)), value)


def get_token_accounts_by_owner(chain: Chain, params: Params) -> Json:
    config = params.config(2)
    found: list[Json] = [
        {"pubkey": str(address), "account": account_json(chain, account, config)}
        for address, account in chain.token_accounts_of(params.address(0))
        if _is_wanted(account, params.config(1))
    ]
    return with_context(bank(chain, config), found)


def _is_wanted(account: Account, filter_by: Config) -> bool:
    mint, program = filter_by.address("mint"), filter_by.address("programId")
    if (mint is None) == (program is None):
        raise InvalidParams("either a mint or a programId is required")
    if program is not None:
        return account.owner == program
    state = token_state(account)
    return isinstance(state, TokenAccount) and state.mint == mint


def account_json(chain: Chain, account: Account | None, config: Config) -> Json:
    """An account in the encoding asked for. What cannot be parsed is answered in base64, as on a cluster."""
    if account is None:
        return None
    return {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": RENT_EPOCH,
        "space": len(account.data),
        "data": _data(chain, account, config),
    }


def _data(chain: Chain, account: Account, config: Config) -> Json:
    encoding = config.one_of("encoding", ENCODINGS, default="base58")
    raw = bytes(account.data)
    if encoding == "jsonParsed" and (state := token_state(account)) is not None:
        decimals = mint_decimals(chain, state.mint) if isinstance(state, TokenAccount) else None
        return {"program": PROGRAM_NAMES[account.owner], "parsed": state_json(state, decimals), "space": len(raw)}
    piece = config.part("dataSlice")
    if piece is not None:
        start = piece.required_integer("offset")
        raw = raw[start : start + piece.required_integer("length")]
    if encoding != "base58":
        return [base64.b64encode(raw).decode(), "base64"]
    if len(raw) > BASE58_BYTES_MAX:
        raise InvalidParams(f"base58 is for at most {BASE58_BYTES_MAX} bytes; ask for base64")
    # Without an encoding the answer is a bare string, which only the oldest clients still ask for.
    text = base58.encode(raw)
    return [text, "base58"] if config.text("encoding") else text


def mint_decimals(chain: Chain, mint: Pubkey) -> int | None:
    state = token_state(chain.account(mint))
    return state.decimals if isinstance(state, Mint) else None


METHODS: dict[str, Method] = {
    "getBalance": get_balance,
    "getAccountInfo": get_account_info,
    "getMultipleAccounts": get_multiple_accounts,
    "getTokenAccountBalance": get_token_account_balance,
    "getTokenAccountsByOwner": get_token_accounts_by_owner,
}
